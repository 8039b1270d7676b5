//! Reading types for which serde needs a buffer, without one.
//!
//! serde reads an internally tagged or untagged enum into a buffer that knows plain data only,
//! before it knows the variant, and likewise what is flattened. So fields would read something else
//! than those of a plain struct do. Two copies of the type are made, for `read_enum` of the wire
//! crate: one in serde's default representation, for messages, and one as it is, for other formats.

use std::collections::HashMap;

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::{
    Attribute, Data, DeriveInput, Field, Fields, GenericParam, Type, Visibility, parse_quote,
};

use super::serde_attributes::{ContainerAttributes, says, without};
use crate::{options::Options, parameters::substituted};

/// Returns whether a type needs serde's buffer and can be read without it.
pub(super) fn is_wanted(item: &DeriveInput, container: &ContainerAttributes) -> bool {
    let (is_enum, fields): (bool, Vec<&Field>) = match &item.data {
        Data::Struct(data) => (false, data.fields.iter().collect()),
        Data::Enum(data) => {
            let fields = data.variants.iter().flat_map(|variant| &variant.fields);
            (true, fields.collect())
        }
        Data::Union(_) => return false,
    };
    let flattened: Vec<_> = fields.into_iter().filter(is_flattened).collect();
    let is_tagged = is_enum && (container.is_untagged || container.tag.is_some());
    // Some attributes only serde understands.
    let is_serdes = container.is_read_converted
        || flattened.iter().any(|field| is_option(&field.ty))
        || !flattened.is_empty()
            && says(&item.attrs, &["content", "default", "deny_unknown_fields"])
        || matches!(&item.data, Data::Enum(data)
            if data.variants.iter().any(|variant| says(&variant.attrs, &["untagged", "other"])));
    (is_tagged || !flattened.is_empty()) && !is_serdes
}

fn is_flattened(field: &&Field) -> bool {
    says(&field.attrs, &["flatten"])
}

/// Returns whether a type is an option. A flattened one is none if its value does not fit, which
/// only serde can tell.
fn is_option(ty: &Type) -> bool {
    let Type::Path(ty) = ty else { return false };
    let last = ty.path.segments.last();
    last.is_some_and(|last| last.ident == "Option")
}

/// Implements `Deserialize`. `item` has its serde attributes.
pub(super) fn implementation(
    item: &DeriveInput,
    container: &ContainerAttributes,
    options: &Options,
) -> TokenStream {
    let krate = &options.krate;
    let serde = quote!(#krate::macro_support::serde);
    let tagging = match (&item.data, &container.tag) {
        (Data::Enum(_), Some(tag)) => quote!(Internal(&[#tag])),
        (Data::Enum(_), None) if container.is_untagged => quote!(None),
        _ => quote!(External),
    };
    let (variants, buffered) = (format_ident!("__Variants"), format_ident!("__Buffered"));
    let copies = [
        copy(item, &variants, true, options),
        copy(item, &buffered, false, options),
    ];
    let name = &item.ident;
    let (_, arguments, _) = item.generics.split_for_impl();
    let mut generics = item.generics.clone();
    generics.params.insert(0, parse_quote!('de));
    if item.generics.params.iter().any(is_type) {
        // These are the bounds that serde derives.
        let clause = generics.make_where_clause();
        for copied in [&variants, &buffered] {
            let predicate = parse_quote!(#copied #arguments: #serde::Deserialize<'de>);
            clause.predicates.push(predicate);
        }
    }
    let (parameters, _, clause) = generics.split_for_impl();
    let from_variants = arms(&item.data, &variants);
    let from_buffered = arms(&item.data, &buffered);
    quote! {
        #[allow(
            dead_code, deprecated, private_bounds, unused_qualifications, clippy::all, clippy::pedantic
        )]
        const _: () = {
            #(#copies)*

            impl #parameters #serde::Deserialize<'de> for #name #arguments #clause {
                fn deserialize<__D: #serde::Deserializer<'de>>(
                    deserializer: __D,
                ) -> ::core::result::Result<Self, __D::Error> {
                    #krate::macro_support::read_enum(
                        #krate::macro_support::Tagging::#tagging,
                        deserializer,
                        |value: #variants #arguments| match value { #from_variants },
                        |value: #buffered #arguments| match value { #from_buffered },
                    )
                }
            }
        };
    }
}

fn is_type(param: &GenericParam) -> bool {
    matches!(param, GenericParam::Type(_))
}

/// A copy of the type that derives `Deserialize`: in serde's default representation if it is
/// `plain`.
fn copy(item: &DeriveInput, name: &Ident, plain: bool, options: &Options) -> TokenStream {
    let krate = &options.krate;
    let mut copy = item.clone();
    copy.vis = Visibility::Inherited;
    let left_out: &[&str] = if plain { &["tag", "untagged"] } else { &[] };
    copy.attrs = without(&item.attrs, left_out);
    match &mut copy.data {
        Data::Enum(data) => {
            for variant in &mut data.variants {
                variant.discriminant = None;
                variant.attrs = kept(&variant.attrs);
                prepare(&mut variant.fields, plain);
            }
        }
        Data::Struct(data) => {
            prepare(&mut data.fields, plain);
            if plain {
                copy.attrs = without(&copy.attrs, &["rename"]);
                copy.attrs
                    .push(parse_quote!(#[serde(rename = "$capnweb::Flattened")]));
            }
        }
        Data::Union(_) => {}
    }
    let (ident, (_, arguments, _)) = (&item.ident, item.generics.split_for_impl());
    let itself = HashMap::from([("Self".to_owned(), quote!(#ident #arguments))]);
    copy.ident = name.clone();
    let copy = substituted(copy.to_token_stream(), &itself);
    quote! {
        #[derive(#krate::macro_support::serde::Deserialize)]
        #copy
    }
}

/// Leaves serde's attributes on the fields of a copy. In a `plain` one what is flattened has a name
/// that says so.
fn prepare(fields: &mut Fields, plain: bool) {
    for (number, field) in fields.iter_mut().enumerate() {
        let is_flattened = is_flattened(&&*field);
        field.attrs = kept(&field.attrs);
        if plain && is_flattened {
            let name = format!("$capnweb::Flat{number}");
            field.attrs = without(&field.attrs, &["flatten", "rename"]);
            field.attrs.push(parse_quote!(#[serde(rename = #name)]));
        }
    }
}

/// Returns the attributes that a copy needs.
fn kept(attrs: &[Attribute]) -> Vec<Attribute> {
    let is_kept = |attr: &&Attribute| attr.path().is_ident("serde") || attr.path().is_ident("cfg");
    attrs.iter().filter(is_kept).cloned().collect()
}

/// The arms that turn a copy into the type.
fn arms(data: &Data, copied: &Ident) -> TokenStream {
    match data {
        Data::Enum(data) => {
            let arms = data.variants.iter().map(|variant| {
                let (cfgs, name) = (cfgs(&variant.attrs), &variant.ident);
                let content = content(&variant.fields);
                quote!(#(#cfgs)* #copied::#name #content => Self::#name #content,)
            });
            arms.collect()
        }
        Data::Struct(data) => {
            let content = content(&data.fields);
            quote!(#copied #content => Self #content,)
        }
        Data::Union(_) => TokenStream::new(),
    }
}

/// Fields, as a pattern and as an expression.
fn content(fields: &Fields) -> TokenStream {
    match fields {
        Fields::Named(fields) => {
            let fields = fields.named.iter().map(|field| {
                let (cfgs, name) = (cfgs(&field.attrs), &field.ident);
                quote!(#(#cfgs)* #name)
            });
            quote!({ #(#fields),* })
        }
        Fields::Unnamed(fields) => {
            let fields = (0..fields.unnamed.len()).map(|index| format_ident!("field{index}"));
            quote!((#(#fields),*))
        }
        Fields::Unit => TokenStream::new(),
    }
}

fn cfgs(attrs: &[Attribute]) -> Vec<&Attribute> {
    let cfgs = attrs.iter().filter(|attr| attr.path().is_ident("cfg"));
    cfgs.collect()
}
