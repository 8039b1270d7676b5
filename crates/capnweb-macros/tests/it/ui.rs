//! What users are told of their mistakes.
//!
//! `tests/ui/*.rs` are programs with mistakes, `*.stderr` beside them what the compiler says. To
//! accept a change: `TRYBUILD=overwrite cargo test -p capnweb-macros --test it ui`; then read it as
//! somebody would who has never seen the expansion.

#[test]
fn mistakes_are_explained() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/*.rs");
}
