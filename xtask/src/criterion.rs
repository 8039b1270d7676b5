//! `cargo xtask criterion`: runs the micro-benchmarks.

use crate::Result;
use crate::program::cargo;
use crate::tally::Tally;

pub(crate) fn run(arguments: &[String]) -> Result<Tally> {
    cargo("bench")
        .args(["--package", "capnweb-benches", "--"])
        .args(arguments)
        .run()
}
