//! The supertraits of an interface, some of which are interfaces too.

use quote::format_ident;
use syn::{Path, Token, TypeParamBound, punctuated::Punctuated};

/// Traits of the standard library, which have no methods for peers, and their modules.
const ORDINARY: &[(&str, &str)] = &[
    ("marker", "Send"),
    ("marker", "Sync"),
    ("marker", "Sized"),
    ("marker", "Unpin"),
    ("fmt", "Debug"),
    ("fmt", "Display"),
    ("any", "Any"),
    ("panic", "UnwindSafe"),
    ("panic", "RefUnwindSafe"),
];

/// The supertraits, divided into interfaces and others.
pub(crate) struct Supertraits {
    /// The stubs of the interfaces: `path::FooStub` for `path::Foo`.
    pub(crate) stubs: Vec<Path>,
    /// The others, except `Send`, `Sync` and `Sized`.
    pub(crate) ordinary: Vec<TypeParamBound>,
}

impl Supertraits {
    pub(crate) fn read(bounds: &Punctuated<TypeParamBound, Token![+]>) -> Self {
        let mut supertraits = Self {
            stubs: Vec::new(),
            ordinary: Vec::new(),
        };
        for bound in bounds {
            let TypeParamBound::Trait(of_trait) = bound else {
                continue;
            };
            if is_any_ordinary(bound) {
                if !["Send", "Sync", "Sized"]
                    .iter()
                    .any(|name| is_ordinary(bound, name))
                {
                    supertraits.ordinary.push(bound.clone());
                }
                continue;
            }
            let mut path = of_trait.path.clone();
            if let Some(last) = path.segments.last_mut() {
                last.ident = format_ident!("{}Stub", last.ident);
            }
            supertraits.stubs.push(path);
        }
        supertraits
    }
}

/// Returns true if the bound is the standard trait of this name: `Debug`, `fmt::Debug` or
/// `std::fmt::Debug`. In any other module a trait of that name is the user's.
pub(crate) fn is_ordinary(bound: &TypeParamBound, name: &str) -> bool {
    let TypeParamBound::Trait(bound) = bound else {
        return false;
    };
    let mut path: Vec<_> = bound.path.segments.iter().map(|it| &it.ident).collect();
    if path.len() > 1 && ["std", "core", "alloc"].iter().any(|root| path[0] == root) {
        path.remove(0);
    }
    let mut ordinary = ORDINARY.iter().filter(|(_, it)| *it == name);
    ordinary.any(|(module, name)| match &path[..] {
        [last] => *last == name,
        [of, last] => *of == module && *last == name,
        _ => false,
    })
}

fn is_any_ordinary(bound: &TypeParamBound) -> bool {
    ORDINARY.iter().any(|(_, name)| is_ordinary(bound, name))
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    #[test]
    fn a_path_tells_the_standard_traits_from_interfaces_of_their_names() {
        for bound in [
            parse_quote!(Debug),
            parse_quote!(fmt::Debug),
            parse_quote!(std::fmt::Debug),
            parse_quote!(::core::marker::Send),
            parse_quote!(std::any::Any),
        ] {
            assert!(is_any_ordinary(&bound));
        }
        for bound in [
            parse_quote!(crate::Debug),
            parse_quote!(api::Any),
            parse_quote!(api::fmt::Display),
            parse_quote!(fmt::Any),
            parse_quote!(Named),
        ] {
            assert!(!is_any_ordinary(&bound));
        }
    }
}
