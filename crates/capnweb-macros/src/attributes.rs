//! Attributes of the user's items that what is made of them carries on.

use proc_macro2::TokenStream;
use quote::quote;
use syn::Attribute;

use crate::parameters::mentions;

/// Takes the `#[rpc(…)]` attributes out: they are ours, and the compiler does not know them.
pub(crate) fn take_rpc(attrs: &mut Vec<Attribute>) -> Vec<Attribute> {
    attrs
        .extract_if(.., |attr| attr.path().is_ident("rpc"))
        .collect()
}

/// What is said about an item, and when it exists.
#[derive(Clone, Default)]
pub(crate) struct Carried {
    pub(crate) docs: Vec<Attribute>,
    pub(crate) cfgs: Vec<Attribute>,
    deprecated: Vec<Attribute>,
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

    /// All but the docs.
    pub(crate) fn conditions(&self) -> impl Iterator<Item = &Attribute> {
        self.cfgs.iter().chain(&self.deprecated)
    }
}

/// What is made of a deprecated item, or one with deprecated parts, speaks of those parts, which is no
/// use of them.
pub(crate) fn tolerance(item: &TokenStream) -> Option<TokenStream> {
    mentions(item.clone(), "deprecated").then(|| quote!(#[allow(deprecated)]))
}

/// Docs of our own, written as a user would write them.
pub(crate) fn docs(text: &str) -> TokenStream {
    let lines = text.lines().map(|line| match line {
        "" => String::new(),
        line => format!(" {line}"),
    });
    quote!(#(#[doc = #lines])*)
}
