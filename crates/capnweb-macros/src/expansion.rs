//! The expansions of one interface and one value, for review.
//!
//! `tests/expansion/*.rs` contain the user's code, and `*.expanded.rs` next to them the expansion.
//! To accept a change: `UPDATE_EXPANSIONS=1 cargo test -p capnweb-macros expansion`.

use std::path::Path;

use proc_macro2::TokenStream;

/// Expands the item of a file, whose attribute is the macro, and compares the result.
fn compare(name: &str, expand: impl Fn(TokenStream, TokenStream) -> TokenStream) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/expansion");
    let written = std::fs::read_to_string(folder.join(format!("{name}.rs"))).unwrap();
    // Comments at the top are about the file. The attribute is applied manually.
    let (_, item) = written.split_once("]\n").unwrap();
    let expanded = expand(TokenStream::new(), item.parse().unwrap());
    let formatted = prettyplease::unparse(&syn::parse2(expanded).unwrap());
    let expected = folder.join(format!("{name}.expanded.rs"));
    if std::env::var_os("UPDATE_EXPANSIONS").is_some() {
        std::fs::write(&expected, &formatted).unwrap();
    }
    let expected = std::fs::read_to_string(&expected).unwrap_or_default();
    assert!(
        formatted == expected,
        "the expansion of {name} has changed; see it with \
         `UPDATE_EXPANSIONS=1 cargo test -p capnweb-macros expansion && git diff`"
    );
}

#[test]
fn an_interface() {
    compare("interface", crate::interface::expand);
}

#[test]
fn a_value() {
    compare("value", crate::value::expand);
}
