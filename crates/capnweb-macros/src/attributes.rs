//! Attributes of the user's items, and those that the expansion repeats.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, Meta, Token, punctuated::Punctuated};

use crate::errors::Errors;

/// Removes the `#[rpc(…)]` attributes, which the compiler does not know, and returns them.
pub(crate) fn take_rpc(attrs: &mut Vec<Attribute>) -> Vec<Attribute> {
    attrs
        .extract_if(.., |attr| attr.path().is_ident("rpc"))
        .collect()
}

/// Rejects and removes `rpc` and `serde` attributes inside a `cfg_attr`, since a macro cannot
/// evaluate its condition.
pub(crate) fn refuse_conditional(attrs: &mut Vec<Attribute>, errors: &mut Errors) {
    let conditional = attrs.extract_if(.., |attr| holds_what_is_read(&attr.meta));
    for attr in conditional {
        errors.at(
            attr,
            "`serde` and `rpc` attributes inside a `cfg_attr` are invisible to this macro, so \
             client and server would use different names; write the attribute without the \
             condition, or the item twice, each under a `#[cfg(…)]`",
        );
    }
}

fn holds_what_is_read(meta: &Meta) -> bool {
    let Meta::List(list) = meta else { return false };
    if !list.path.is_ident("cfg_attr") {
        return false;
    }
    let inner = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
    // The first is the condition.
    inner.unwrap_or_default().iter().skip(1).any(|meta| {
        let path = meta.path();
        path.is_ident("serde") || path.is_ident("rpc") || holds_what_is_read(meta)
    })
}

/// Attributes of an item that the expansion repeats: its docs, `cfg`s and deprecation.
#[derive(Clone, Default)]
pub(crate) struct Carried {
    pub(crate) docs: Vec<Attribute>,
    pub(crate) cfgs: Vec<Attribute>,
    pub(crate) deprecated: Vec<Attribute>,
}

impl Carried {
    pub(crate) fn of(attrs: &[Attribute]) -> Self {
        let called = |name: &str| {
            let found = attrs.iter().filter(|attr| attr.path().is_ident(name));
            found.cloned().collect()
        };
        Self {
            docs: called("doc"),
            cfgs: called("cfg"),
            deprecated: called("deprecated"),
        }
    }

    /// Returns the attributes other than docs.
    pub(crate) fn conditions(&self) -> impl Iterator<Item = &Attribute> {
        self.cfgs.iter().chain(&self.deprecated)
    }
}

/// Returns doc attributes with `text`.
pub(crate) fn docs(text: &str) -> TokenStream {
    let lines = text.lines().map(|line| match line {
        "" => String::new(),
        line => format!(" {line}"),
    });
    quote!(#(#[doc = #lines])*)
}
