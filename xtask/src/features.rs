//! `cargo xtask features`: checks each crate by itself, without features and with each single
//! feature.
//!
//! In a build of the whole workspace, crates share the features of their common dependencies. A
//! missing feature only shows when the crate is built by itself.
//!
//! Only the crate itself is linted, not the crates below it, which takes half of the time. A crate
//! that Cargo has checked as a dependency is not linted later, so each follows its dependencies.

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
    run_all(manifest::dependencies_first(crates).iter().flat_map(builds))
}

/// Returns all builds of a crate to check.
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
        .map(|build| build.args(["--no-deps", "--", "-D", "warnings"]))
        .collect()
}
