//! `cargo xtask deny`: checks the licenses, bans and sources of all dependencies, as configured in
//! deny.toml.

use crate::program::cargo;
use crate::tally::Tally;
use crate::{Failure, Result, no_arguments};

pub(crate) fn run(arguments: &[String]) -> Result<Tally> {
    no_arguments(arguments)?;
    if !is_installed() {
        return Err(Failure::new(
            "cargo-deny is not installed; `cargo install --locked cargo-deny` installs it",
        ));
    }
    // Skip advisories: they need a database from the network, and change from day to day.
    cargo("deny")
        .args(["--workspace", "--all-features"])
        .args(["check", "bans", "licenses", "sources"])
        .run()
}

pub(crate) fn is_installed() -> bool {
    cargo("deny").arg("--version").works()
}
