//! `cargo xtask test`: unit and integration tests, then the documentation's code blocks.

use crate::program::cargo;
use crate::tally::Tally;
use crate::{Failure, Result};

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
    let programs = [runner, cargo("test").arg("--doc")];
    let mut tally = Tally::default();
    let mut failures = Vec::new();
    for program in programs {
        match program
            .args(["--all-features", "--no-fail-fast"])
            .args(selection)
            .run()
        {
            Ok(counted) => tally += counted,
            Err(failure) => {
                tally += failure.tally;
                failures.push(failure.reason);
            }
        }
    }
    if failures.is_empty() {
        Ok(tally)
    } else {
        Err(Failure {
            reason: failures.join("; "),
            tally,
        })
    }
}
