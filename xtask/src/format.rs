//! `cargo xtask format`: the formatting of all Rust code, the fuzz targets included.

use crate::fuzz;
use crate::program::{cargo, run_all};
use crate::tally::Tally;
use crate::{Result, no_arguments};

pub(crate) fn run(arguments: &[String]) -> Result<Tally> {
    no_arguments(arguments)?;
    run_all([
        cargo("fmt").args(["--all", "--check"]),
        cargo("fmt")
            .arg("--manifest-path")
            .arg(fuzz::manifest())
            .arg("--check"),
    ])
}
