//! Deserialization without serde's buffer, for types that serde would buffer.
//!
//! serde reads an internally tagged or untagged enum into a buffer before it knows the variant, and
//! the same goes for flattened fields. The buffer can only represent plain data, so such fields
//! would be read differently from those of a plain struct. Instead, `read_enum` of the wire crate
//! uses two copies of the type: one in serde's default representation, for messages, and an
//! unchanged one, for other formats.

use std::collections::HashMap;

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::{
    Attribute, Data, DeriveInput, Field, Fields, GenericParam, Meta, Visibility, parse_quote,
};

use super::serde_attributes::{ContainerAttributes, find, says, without};
use crate::{errors::Errors, options::Options, parameters::substituted, types::arguments_of};

/// Returns whether serde would buffer the type.
pub(super) fn is_wanted(item: &DeriveInput, container: &ContainerAttributes) -> bool {
    let is_tagged = matches!(item.data, Data::Enum(_))
        && (container.is_untagged || container.own_tag().is_some());
    (is_tagged || fields(item).iter().any(is_flattened)) && !container.is_read_converted
}

/// Rejects types that can only be read through serde's buffer. Returns true if there is nothing to
/// reject.
pub(super) fn refuse_buffered(
    item: &DeriveInput,
    container: &ContainerAttributes,
    errors: &mut Errors,
) -> bool {
    if container.is_read_converted {
        return true;
    }
    let mut is_sound = true;
    let mut refuse = |meta: Option<Meta>, message: &str| {
        if let Some(meta) = meta {
            errors.at(meta, message);
            is_sound = false;
        }
    };
    if let Data::Enum(data) = &item.data {
        for variant in &data.variants {
            refuse(
                find(&variant.attrs, "untagged"),
                "serde reads such an enum through a buffer that loses information; make two \
                 enums: one of the tagged variants, and an `#[serde(untagged)]` one around it: \
                 `enum Either { Tagged(Tagged), Other(Other) }`",
            );
        }
    }
    if fields(item).iter().any(is_flattened) {
        refuse(
            find(&item.attrs, "content"),
            "serde reads flattened fields in a variant's `content` through a buffer that loses \
             information; make a struct of the variant's fields: `Variant(Fields)`",
        );
        refuse(
            find(&item.attrs, "default"),
            "serde reads a struct with `default` and flattened fields through a buffer that loses \
             information; put `#[serde(default)]` on its fields",
        );
        refuse(
            find(&item.attrs, "deny_unknown_fields"),
            "with a flattened field, serde knows every field; remove `deny_unknown_fields`, or \
             write the fields out",
        );
    }
    is_sound
}

fn fields(item: &DeriveInput) -> Vec<&Field> {
    match &item.data {
        Data::Struct(data) => data.fields.iter().collect(),
        Data::Enum(data) => {
            let fields = data.variants.iter().flat_map(|variant| &variant.fields);
            fields.collect()
        }
        Data::Union(_) => Vec::new(),
    }
}

fn is_flattened(field: &&Field) -> bool {
    says(&field.attrs, &["flatten"])
}

/// Implements `Deserialize`. `item` includes its serde attributes.
pub(super) fn implementation(
    item: &DeriveInput,
    container: &ContainerAttributes,
    options: &Options,
) -> TokenStream {
    let krate = &options.krate;
    let serde = quote!(#krate::macro_support::serde);
    let tagging = match (&item.data, container.own_tag()) {
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
        // serde derives the same bounds.
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

/// Returns a copy of the type that derives `Deserialize`. If `plain`, it has serde's default
/// representation.
fn copy(item: &DeriveInput, name: &Ident, plain: bool, options: &Options) -> TokenStream {
    let krate = &options.krate;
    let mut copy = item.clone();
    copy.vis = Visibility::Inherited;
    let generic = item.generics.params.iter().any(is_type);
    let left_out: &[&str] = if plain { &["tag", "untagged"] } else { &[] };
    copy.attrs = without(&item.attrs, left_out);
    match &mut copy.data {
        Data::Enum(data) => {
            for variant in &mut data.variants {
                variant.discriminant = None;
                variant.attrs = kept(&variant.attrs);
                prepare(&mut variant.fields, plain, generic, options);
            }
        }
        Data::Struct(data) => {
            prepare(&mut data.fields, plain, generic, options);
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

/// Keeps serde's attributes on the fields of a copy. In a `plain` copy, flattened fields have a
/// special name, and an option is `None` if its value does not fit, as with serde alone.
fn prepare(fields: &mut Fields, plain: bool, generic: bool, options: &Options) {
    for (number, field) in fields.iter_mut().enumerate() {
        let is_flattened = is_flattened(&&*field);
        field.attrs = kept(&field.attrs);
        if plain && is_flattened {
            let name = format!("$capnweb::Flat{number}");
            field.attrs = without(&field.attrs, &["flatten", "rename"]);
            field.attrs.push(parse_quote!(#[serde(rename = #name)]));
            let inner = arguments_of(&field.ty, "Option");
            if let (Some([inner]), false) = (
                inner.as_deref(),
                says(&field.attrs, &["with", "deserialize_with"]),
            ) {
                let read = format!("{}::macro_support::flat_option", options.krate_text);
                if generic {
                    // serde does not derive this bound for a field with a custom function.
                    let serde = format!("{}::macro_support::serde", options.krate_text);
                    let bound = format!("{}: {serde}::Deserialize<'de>", inner.to_token_stream());
                    field
                        .attrs
                        .push(parse_quote!(#[serde(bound(deserialize = #bound))]));
                }
                field
                    .attrs
                    .push(parse_quote!(#[serde(deserialize_with = #read)]));
            }
        }
    }
}

/// Returns the attributes that a copy needs.
fn kept(attrs: &[Attribute]) -> Vec<Attribute> {
    let is_kept = |attr: &&Attribute| attr.path().is_ident("serde") || attr.path().is_ident("cfg");
    attrs.iter().filter(is_kept).cloned().collect()
}

/// Returns the match arms that turn a copy into the type.
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

/// Returns fields as both a pattern and an expression.
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
