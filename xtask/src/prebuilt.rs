//! One build of everything that the steps of CI run, in place of one for each step.
//!
//! Cargo builds a dependency once for each set of features that is asked of it, and each step alone
//! would ask for another set.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::program::{Program, cargo};
use crate::tally::Tally;
use crate::{Result, no_arguments};

static IS_BUILT: AtomicBool = AtomicBool::new(false);

/// `cargo xtask build`: builds all programs, examples and tests of the workspace.
pub(crate) fn run(arguments: &[String]) -> Result<Tally> {
    no_arguments(arguments)?;
    cargo("build")
        .args([
            "--workspace",
            "--all-features",
            "--lib",
            "--bins",
            "--examples",
            "--tests",
        ])
        .run()?;
    IS_BUILT.store(true, Ordering::Relaxed);
    Ok(Tally::default())
}

/// Runs a build of a part, unless this process has built everything.
pub(crate) fn unless_built(build: Program) -> Result {
    if IS_BUILT.load(Ordering::Relaxed) {
        return Ok(());
    }
    build.run().map(|_| ())
}
