//! `cargo xtask test`: runs unit and integration tests, then the code blocks of the documentation.

use crate::Result;
use crate::program::{cargo, run_all};
use crate::tally::Tally;

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
    run_all([runner, cargo("test").arg("--doc")].map(|program| {
        program
            .args(["--all-features", "--no-fail-fast"])
            .args(selection)
    }))
}
