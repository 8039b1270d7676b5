//! `cargo xtask features`: each crate on its own, with no feature and with each feature alone.
//!
//! In a build of the whole workspace the crates lend one another the features of what they depend
//! on in common; a crate that forgot to ask for one shows only when it is built alone.

use crate::manifest;
use crate::program::{Program, cargo};
use crate::tally::Tally;
use crate::{Failure, Result};

pub(crate) fn run(arguments: &[String]) -> Result<Tally> {
    let mut crates = manifest::crates()?;
    if let Some(wanted) = arguments.first() {
        crates.retain(|found| found.name == *wanted);
        if crates.is_empty() {
            return Err(Failure::new(format!(
                "there is no crate `{wanted}` in crates/"
            )));
        }
    }
    for checked in crates {
        check(&checked.name, |program| program)?;
        if checked.features.iter().any(|feature| feature == "default") {
            check(&checked.name, |program| {
                program.arg("--no-default-features")
            })?;
        }
        for feature in checked.features.iter().filter(|name| *name != "default") {
            check(&checked.name, |program| {
                program.args(["--no-default-features", "--features", feature])
            })?;
        }
    }
    Ok(Tally::default())
}

fn check(name: &str, with: impl FnOnce(Program) -> Program) -> Result {
    let program = cargo("clippy").args(["--quiet", "--package", name, "--lib"]);
    with(program).args(["--", "-D", "warnings"]).run()?;
    Ok(())
}
