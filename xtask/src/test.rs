//! `cargo xtask test`: runs unit and integration tests, then the code blocks of the documentation.

use crate::Result;
use crate::program::{cargo, run_all};
use crate::tally::Tally;

/// The package whose examples are tests of `capnweb-book`. With `--doc`, Cargo runs them although
/// the manifest says not to.
const WITHOUT_DOCTESTS: &str = "capnweb-macros";

pub(crate) fn run(arguments: &[String]) -> Result<Tally> {
    let workspace = ["--workspace".to_owned()];
    let selection = if arguments.is_empty() {
        &workspace
    } else {
        arguments
    };
    let runner = if cargo("nextest").arg("--version").works() {
        cargo("nextest").args(["run", "--no-tests=pass"])
    } else {
        cargo("test").args(["--lib", "--bins", "--tests"])
    };
    let mut programs = vec![runner];
    if arguments.is_empty() {
        programs.push(cargo("test").args(["--doc", "--exclude", WITHOUT_DOCTESTS]));
    } else if !arguments.iter().any(|word| word == WITHOUT_DOCTESTS) {
        programs.push(cargo("test").arg("--doc"));
    }
    run_all(programs.into_iter().map(|program| {
        program
            .args(["--all-features", "--no-fail-fast"])
            .args(selection)
    }))
}
