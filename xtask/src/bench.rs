//! `cargo xtask bench` and `cargo xtask load`: what a call costs.

use crate::Result;
use crate::program::cargo;
use crate::tally::Tally;

/// The micro-benchmarks.
pub(crate) fn criterion(arguments: &[String]) -> Result<Tally> {
    cargo("bench")
        .args(["--package", "capnweb-benches", "--"])
        .args(arguments)
        .run()
}

/// Calls over WebSocket between two processes. The program starts its own second process.
pub(crate) fn load(arguments: &[String]) -> Result<Tally> {
    cargo("run")
        .args([
            "--release",
            "--package",
            "capnweb-benches",
            "--bin",
            "load",
            "--",
        ])
        .args(arguments)
        .run()
}
