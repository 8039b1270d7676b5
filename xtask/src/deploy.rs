//! `cargo xtask deploy`: tests the example `service` as it is shipped, and the files beside it.

use std::time::Duration;

use crate::program::{Program, cargo};
use crate::tally::Tally;
use crate::{Result, build, interop, setup, workspace};

/// The time limit. Each check has its own.
const LIMIT: Duration = Duration::from_secs(900);

pub(crate) fn run(arguments: &[String]) -> Result<Tally> {
    if !cfg!(target_os = "linux") {
        println!("skipped: the image and the unit are for Linux");
        return Ok(Tally::default());
    }
    setup::deploy()?;
    interop::install_packages()?;
    let python = interop::python_environment("interop/deploy", "interop-deploy")?;
    let clients = build::interop()?;
    // As in the Dockerfile, but without optimization.
    cargo("rustc")
        .args(["--package", "service", "--bin", "service"])
        .args(["--", "-C", "target-feature=+crt-static"])
        .run()?;
    Program::new(python)
        .args(["-B", "interop/deploy/run.py", "--service"])
        .arg(workspace::built("service")?)
        .arg("--interop")
        .arg(clients)
        .args(arguments)
        .limit(LIMIT)
        .run()
}
