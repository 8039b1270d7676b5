//! `cargo xtask format`: the formatting of all Rust code, the fuzz targets included.

use crate::fuzz;
use crate::program::cargo;
use crate::tally::Tally;
use crate::{Result, no_arguments};

pub(crate) fn run(arguments: &[String]) -> Result<Tally> {
    no_arguments(arguments)?;
    cargo("fmt").args(["--all", "--check"]).run()?;
    cargo("fmt")
        .arg("--manifest-path")
        .arg(fuzz::manifest())
        .arg("--check")
        .run()
}
