//! Compiles and runs the code of `README.md` and of every page in `docs/`.
//!
//! The build script turns each Rust block into a test named after its page and line. A block that
//! has no `main` becomes the body of an async function that can use `?`, so a page shows what a
//! reader writes and no frame around it. The word after the comma of a block's fence changes that:
//!
//! | fence | meaning |
//! |---|---|
//! | `rust` | compiled and run |
//! | `rust,no_run` | compiled |
//! | `rust,ignore` | neither |
//! | `rust,continued` | continues the previous Rust block of the page |
//! | `rust,with=NAME` | begins with `scaffold/NAME.rs`, which the page does not show |
//!
//! Words combine, as in `rust,with=NAME,no_run`. Lines that begin with `# ` are hidden lines, as in
//! rustdoc. Unlike rustdoc, code hosts show them, so pages use a scaffold instead.

#[cfg(test)]
include!(concat!(env!("OUT_DIR"), "/pages.rs"));
#[cfg(test)]
mod claims;
#[cfg(test)]
mod pages;
