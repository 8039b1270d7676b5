//! The programs that tests start. A command builds those that it needs; `cargo xtask ci` builds
//! all of them together, which shares their dependencies.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::program::cargo;
use crate::tally::Tally;
use crate::{Result, no_arguments, workspace};

/// True once `cargo xtask build` has succeeded in this process.
static ALL_ARE_BUILT: AtomicBool = AtomicBool::new(false);

/// `cargo xtask build`: builds all libraries, programs, tests and examples with all features.
pub(crate) fn run(arguments: &[String]) -> Result<Tally> {
    no_arguments(arguments)?;
    let tally = cargo("build")
        .args(["--workspace", "--all-features"])
        .args(["--lib", "--bins", "--tests", "--examples"])
        .run()?;
    ALL_ARE_BUILT.store(true, Ordering::Relaxed);
    Ok(tally)
}

/// Builds a program of a package, and returns its path.
pub(crate) fn program(package: &str, name: &str) -> Result<PathBuf> {
    if !ALL_ARE_BUILT.load(Ordering::Relaxed) {
        cargo("build")
            .args(["--package", package, "--bin", name])
            .run()?;
    }
    workspace::built(name)
}

/// Builds the command line `capnweb`, and returns its path.
pub(crate) fn command_line() -> Result<PathBuf> {
    program("capnweb-cli", "capnweb")
}

/// Builds the program of the interop tests, and returns its path.
pub(crate) fn interop() -> Result<PathBuf> {
    program("capnweb-interop", "capnweb-interop")
}

/// Builds an example of the facade, and returns its path.
pub(crate) fn example(name: &str) -> Result<PathBuf> {
    if !ALL_ARE_BUILT.load(Ordering::Relaxed) {
        cargo("build")
            .args(["--package", "capnweb", "--all-features", "--example", name])
            .run()?;
    }
    workspace::built(&format!("examples/{name}"))
}
