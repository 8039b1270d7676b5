//! `cargo xtask interop`: the tests against npm `capnweb` in Node, in both directions.

use std::time::Duration;

use crate::program::{Program, cargo};
use crate::tally::Tally;
use crate::{Failure, Result, workspace};

/// The harness bounds each of its parts itself; this is for a harness that hangs.
const LIMIT: Duration = Duration::from_secs(900);

pub(crate) fn run(arguments: &[String]) -> Result<Tally> {
    install_packages()?;
    cargo("build")
        .args(["--package", "capnweb-interop", "--bin", "capnweb-interop"])
        .run()?;
    Program::new("node")
        .arg("interop/node/run.mjs")
        .arg("--bin")
        .arg(workspace::built("capnweb-interop")?)
        .args(arguments)
        .limit(LIMIT)
        .run()
}

/// Installs the harness's npm packages, unless they are there as the lock file wants them.
pub(crate) fn install_packages() -> Result {
    let folder = workspace::root().join("interop").join("node");
    let lock = workspace::read("interop/node/package-lock.json")?;
    // Kept beside the packages, so that it goes when they go.
    let installed = folder.join("node_modules").join(".installed-lock.json");
    if std::fs::read_to_string(&installed).is_ok_and(|found| found == lock) {
        return Ok(());
    }
    Program::new("npm")
        .args(["ci", "--no-audit", "--no-fund", "--loglevel=error"])
        .folder(&folder)
        .quiet_but_announced()?;
    std::fs::write(&installed, lock)
        .map_err(|error| Failure::new(format!("cannot write {}: {error}", installed.display())))
}
