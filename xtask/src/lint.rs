//! `cargo xtask lint`: clippy over every target, then rustdoc; warnings are errors.

use crate::program::cargo;
use crate::tally::Tally;
use crate::{Result, no_arguments};

pub(crate) fn run(arguments: &[String]) -> Result<Tally> {
    no_arguments(arguments)?;
    cargo("clippy")
        .args(["--workspace", "--all-targets", "--all-features"])
        .args(["--", "-D", "warnings"])
        .run()?;
    cargo("doc")
        .args(["--workspace", "--all-features", "--no-deps"])
        .env("RUSTDOCFLAGS", "-D warnings")
        .run()
}
