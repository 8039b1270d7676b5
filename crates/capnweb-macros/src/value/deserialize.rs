//! Reading enums for which serde needs a buffer, without one.
//!
//! serde reads an internally tagged or untagged enum into a buffer that knows plain data only, before
//! it knows the variant. So a variant's fields would read something else than a struct's. Two copies of
//! the enum are made, for `read_enum` of the wire crate: one in serde's default representation, for
//! messages, and one as it is, for other formats.

use std::collections::HashMap;

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::{Attribute, Data, DataEnum, DeriveInput, Fields, GenericParam, Visibility, parse_quote};

use super::serde_attributes::{ContainerAttributes, says, without};
use crate::{options::Options, parameters::substituted};

/// Whether a type is such an enum.
pub(super) fn is_wanted(item: &DeriveInput, container: &ContainerAttributes) -> bool {
    let Data::Enum(data) = &item.data else {
        return false;
    };
    // What only serde can do is left to it.
    let is_serdes = data.variants.iter().any(|variant| {
        let mut fields = variant.fields.iter();
        says(&variant.attrs, &["untagged", "other"])
            || fields.any(|field| says(&field.attrs, &["flatten"]))
    });
    (container.is_untagged || container.tag.is_some()) && !container.is_read_converted && !is_serdes
}

/// Implements `Deserialize`. `item` has its serde attributes.
pub(super) fn implementation(
    item: &DeriveInput,
    container: &ContainerAttributes,
    options: &Options,
) -> Option<TokenStream> {
    let Data::Enum(data) = &item.data else {
        return None;
    };
    let krate = &options.krate;
    let serde = quote!(#krate::macro_support::serde);
    let tagging = match &container.tag {
        Some(tag) => quote!(Internal(&[#tag])),
        None => quote!(None),
    };
    let (variants, buffered) = (format_ident!("__Variants"), format_ident!("__Buffered"));
    let copies = [
        copy(item, &variants, &["tag", "untagged"], options),
        copy(item, &buffered, &[], options),
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
    let from_variants = arms(data, &variants);
    let from_buffered = arms(data, &buffered);
    Some(quote! {
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
    })
}

fn is_type(param: &GenericParam) -> bool {
    matches!(param, GenericParam::Type(_))
}

/// A copy of the enum, without some of serde's attributes, that derives `Deserialize`.
fn copy(item: &DeriveInput, name: &Ident, left_out: &[&str], options: &Options) -> TokenStream {
    let krate = &options.krate;
    let mut copy = item.clone();
    copy.vis = Visibility::Inherited;
    copy.attrs = without(&item.attrs, left_out);
    if let Data::Enum(data) = &mut copy.data {
        for variant in &mut data.variants {
            variant.discriminant = None;
            variant.attrs = kept(&variant.attrs);
            for field in &mut variant.fields {
                field.attrs = kept(&field.attrs);
            }
        }
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

/// What a copy needs of the attributes.
fn kept(attrs: &[Attribute]) -> Vec<Attribute> {
    let is_kept = |attr: &&Attribute| attr.path().is_ident("serde") || attr.path().is_ident("cfg");
    attrs.iter().filter(is_kept).cloned().collect()
}

/// The arms that turn a copy into the enum.
fn arms(data: &DataEnum, copied: &Ident) -> TokenStream {
    let arms = data.variants.iter().map(|variant| {
        let (cfgs, name) = (cfgs(&variant.attrs), &variant.ident);
        let content = match &variant.fields {
            Fields::Named(fields) => {
                let fields = fields.named.iter().map(|field| {
                    let (cfgs, name) = (self::cfgs(&field.attrs), &field.ident);
                    quote!(#(#cfgs)* #name)
                });
                quote!({ #(#fields),* })
            }
            Fields::Unnamed(fields) => {
                let fields = (0..fields.unnamed.len()).map(|index| format_ident!("field{index}"));
                quote!((#(#fields),*))
            }
            Fields::Unit => TokenStream::new(),
        };
        quote!(#(#cfgs)* #copied::#name #content => Self::#name #content,)
    });
    arms.collect()
}

fn cfgs(attrs: &[Attribute]) -> Vec<&Attribute> {
    let cfgs = attrs.iter().filter(|attr| attr.path().is_ident("cfg"));
    cfgs.collect()
}
