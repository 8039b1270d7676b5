//! `cargo xtask lint`: runs clippy on every target, then rustdoc, and checks that the pictures of the
//! book are current. Warnings are errors.

use crate::program::{cargo, run_all};
use crate::tally::Tally;
use crate::{Result, diagrams, no_arguments};

pub(crate) fn run(arguments: &[String]) -> Result<Tally> {
    no_arguments(arguments)?;
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
