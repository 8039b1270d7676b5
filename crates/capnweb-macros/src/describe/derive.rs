//! `#[derive(Describe)]`: the description of a type that derives serde's traits itself.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, Data, DeriveInput};

use super::value;
use crate::{
    errors::Errors,
    options::{Options, described_as, unknown},
    value::serde_attributes::ContainerAttributes,
};

/// Expands `#[derive(Describe)] item`.
pub(crate) fn expand(item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let mut options = Options::default();
    let Some(item) = errors.take(syn::parse2::<DeriveInput>(item)) else {
        return errors.into_tokens();
    };
    read(
        &item.attrs,
        "a struct or enum",
        Some(&mut options),
        &mut errors,
    );
    let fields = match &item.data {
        Data::Struct(data) => data.fields.iter().collect(),
        Data::Enum(data) => {
            let variants = data.variants.iter();
            variants.flat_map(|variant| &variant.fields).collect()
        }
        Data::Union(data) => {
            errors.at(
                data.union_token,
                "a union cannot cross: nothing says which of its fields is there",
            );
            Vec::new()
        }
    };
    for field in fields {
        read(&field.attrs, "a field", None, &mut errors);
    }
    if let Some(lifetime) = item.generics.lifetimes().next() {
        errors.at(
            lifetime,
            "what crosses is owned: describe a type without lifetime parameters",
        );
    }
    if !errors.is_empty() {
        return errors.into_tokens();
    }
    let container = ContainerAttributes::read(&item.attrs).without_camel_case();
    let description = value(&item, container, &options.krate);
    quote!(#description)
}

/// Reads `#[rpc(…)]`: the location of the library on a type, and `as` everywhere.
fn read(attrs: &[Attribute], place: &str, mut options: Option<&mut Options>, errors: &mut Errors) {
    for attr in attrs.iter().filter(|attr| attr.path().is_ident("rpc")) {
        let read = attr.parse_nested_meta(|meta| {
            if meta.path.is_ident("as") {
                described_as(&meta)?;
                return Ok(());
            }
            match &mut options {
                Some(options) if meta.path.is_ident("crate") => options.set_crate(&meta),
                Some(_) => Err(unknown(&meta, place, "use `as = Type` or `crate = \"…\"`")),
                None => Err(unknown(&meta, place, "use `as = Type`")),
            }
        });
        errors.take(read);
    }
}
