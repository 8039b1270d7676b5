//! `cargo xtask features`: each crate on its own, with no feature and with each feature alone.
//!
//! In a build of the whole workspace the crates lend one another the features of what they depend
//! on in common; a crate that forgot to ask for one shows only when it is built alone.

use crate::manifest::{self, Crate};
use crate::program::{Program, cargo, run_all};
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
    run_all(crates.iter().flat_map(builds))
}

/// Every way in which a crate is checked.
fn builds(checked: &Crate) -> Vec<Program> {
    let build = || cargo("clippy").args(["--quiet", "--package", &checked.name, "--lib"]);
    let mut builds = vec![build()];
    if checked.features.iter().any(|feature| feature == "default") {
        builds.push(build().arg("--no-default-features"));
    }
    for feature in checked.features.iter().filter(|name| *name != "default") {
        builds.push(build().args(["--no-default-features", "--features", feature]));
    }
    builds
        .into_iter()
        .map(|build| build.args(["--", "-D", "warnings"]))
        .collect()
}
