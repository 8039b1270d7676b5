//! `cargo xtask lint`: checks the style of comments and that the book's diagrams are current, then
//! runs clippy on every target, then rustdoc. Warnings are errors.

use crate::program::{cargo, run_all};
use crate::prose;
use crate::tally::Tally;
use crate::{Result, diagrams, no_arguments};

pub(crate) fn run(arguments: &[String]) -> Result<Tally> {
    no_arguments(arguments)?;
    prose::check()?;
    diagrams::check()?;
    run_all([
        cargo("clippy")
            .args(["--workspace", "--all-targets", "--all-features"])
            .args(["--keep-going", "--", "-D", "warnings"]),
        cargo("doc")
            .args(["--workspace", "--all-features", "--no-deps"])
            .env("RUSTDOCFLAGS", "-D warnings"),
    ])
}
