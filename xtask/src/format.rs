//! `cargo xtask format`: checks the formatting of all Rust code, including the workspaces outside
//! the main one.

use crate::fuzz;
use crate::program::{cargo, run_all};
use crate::tally::Tally;
use crate::{Result, no_arguments, workspace};

pub(crate) fn run(arguments: &[String]) -> Result<Tally> {
    no_arguments(arguments)?;
    let peers = workspace::root().join("benches/peers/Cargo.toml");
    run_all([
        cargo("fmt").args(["--all", "--check"]),
        cargo("fmt")
            .arg("--manifest-path")
            .arg(fuzz::manifest())
            .arg("--check"),
        cargo("fmt")
            .arg("--manifest-path")
            .arg(peers)
            .arg("--check"),
    ])
}
