//! Descriptions: the code generated for the library's feature `describe`.
//!
//! The code is wrapped in `macro_support::describe!`, which drops it if the feature is off. The
//! names that it uses are those of the library's module `describe`.

mod derive;
mod scope;
mod value;

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::{
    Attribute, Expr, ExprLit, Lit, Meta, Path, Token, ext::IdentExt, punctuated::Punctuated,
};

pub(crate) use self::{derive::expand, scope::Scope, value::value};
use crate::attributes::Carried;

/// Returns the path of the library's module for descriptions.
///
/// The module is in a layer above `macro_support`, which therefore cannot re-export it.
pub(crate) fn module(krate: &Path) -> TokenStream {
    quote!(#krate::describe)
}

/// Returns `items`, made conditional on the feature. They keep the `cfg`s of the user's item.
pub(crate) fn featured(krate: &Path, items: TokenStream) -> TokenStream {
    quote!(#krate::macro_support::describe! { #items })
}

/// Returns the attributes that silence lints in descriptions.
pub(crate) fn quiet() -> TokenStream {
    quote!(#[allow(deprecated, unused_mut, unused_variables, unused_imports, clippy::all, clippy::pedantic)])
}

/// Returns the lines of documentation as a slice.
pub(crate) fn docs(attrs: &[Attribute]) -> TokenStream {
    let lines = attrs.iter().filter(|attr| attr.path().is_ident("doc"));
    let lines = lines.filter_map(|attr| match &attr.meta {
        Meta::NameValue(pair) => Some(pair.value.to_token_stream()),
        // `#[doc(hidden)]` and the like matter to Rust alone.
        _ => None,
    });
    quote!(&[#(#lines),*])
}

/// Returns the note of a deprecation as an `Option`.
pub(crate) fn deprecation(attrs: &[Attribute]) -> TokenStream {
    let Some(attr) = attrs.iter().find(|it| it.path().is_ident("deprecated")) else {
        return quote!(::core::option::Option::None);
    };
    let text = |expr: &Expr| match expr {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) => Some(text.value()),
        _ => None,
    };
    let note = match &attr.meta {
        Meta::NameValue(pair) => text(&pair.value),
        Meta::List(list) => list
            .parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)
            .unwrap_or_default()
            .iter()
            .find_map(|meta| match meta {
                Meta::NameValue(pair) if pair.path.is_ident("note") => text(&pair.value),
                _ => None,
            }),
        Meta::Path(_) => None,
    };
    let note = note.unwrap_or_default();
    quote!(::core::option::Option::Some(#note))
}

/// Returns the `Source` of an item.
pub(crate) fn source(
    krate: &Path,
    ident: &Ident,
    carried: &Carried,
    parameters: &[Ident],
) -> TokenStream {
    let module = module(krate);
    let name = ident.unraw().to_string();
    let docs = docs(&carried.docs);
    let deprecated = deprecation(&carried.deprecated);
    let parameters = parameters.iter().map(|it| it.unraw().to_string());
    quote! {
        #module::Source {
            name: #name,
            module: ::core::module_path!(),
            line: ::core::line!(),
            docs: #docs,
            deprecated: #deprecated,
            parameters: &[#(#parameters),*],
        }
    }
}
