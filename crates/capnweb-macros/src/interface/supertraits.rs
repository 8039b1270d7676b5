//! The supertraits of an interface: which of them are interfaces too.

use quote::format_ident;
use syn::{Path, Token, TypeParamBound, punctuated::Punctuated};

/// Traits that say something about the Rust type, and have no methods for peers.
const ORDINARY: &[&str] = &[
    "Send",
    "Sync",
    "Sized",
    "Unpin",
    "Debug",
    "Display",
    "Any",
    "UnwindSafe",
    "RefUnwindSafe",
];

/// The supertraits, sorted.
pub(crate) struct Supertraits {
    /// The stubs of those that are interfaces: `path::FooStub` for `path::Foo`.
    pub(crate) stubs: Vec<Path>,
    /// Those that are not, and are not on every interface anyway.
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
            if is_ordinary(bound) {
                if !["Send", "Sync", "Sized"].iter().any(|name| is(bound, name)) {
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

/// Whether the bound is a trait of this name.
pub(crate) fn is(bound: &TypeParamBound, name: &str) -> bool {
    let TypeParamBound::Trait(bound) = bound else {
        return false;
    };
    let last = bound.path.segments.last();
    last.is_some_and(|segment| segment.ident == name)
}

fn is_ordinary(bound: &TypeParamBound) -> bool {
    ORDINARY.iter().any(|name| is(bound, name))
}
