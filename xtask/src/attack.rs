//! `cargo xtask attack`: attacks a server as strangers might, and measures the effect on its other
//! clients.

use std::time::Duration;

use crate::program::{Program, cargo};
use crate::tally::Tally;
use crate::{Failure, Result, page, workspace};

/// The time limit. An attack takes a few seconds, and up to a minute if the server does not
/// recover.
const LIMIT: Duration = Duration::from_secs(1800);

/// The page that contains the table.
const PAGE: &str = "docs/limits.md";

pub(crate) fn run(arguments: &[String]) -> Result<Tally> {
    let has = |option: &str| arguments.iter().any(|argument| argument == option);
    let rest = arguments
        .iter()
        .filter(|argument| !["--debug", "--write"].contains(&argument.as_str()));
    let mut build = cargo("build").args(["--package", "capnweb-interop"]);
    let folder = if has("--debug") {
        "debug"
    } else {
        build = build.arg("--release");
        "release"
    };
    build.run()?;
    let target = workspace::target_dir()?;
    let program = target
        .join(folder)
        .join(format!("capnweb-interop{}", std::env::consts::EXE_SUFFIX));
    let table = target.join("attack.md");
    let attacked = Program::new(program)
        .args(["attack", "--table"])
        .arg(&table)
        .args(rest)
        .limit(LIMIT)
        .run();
    if has("--write") {
        let table = std::fs::read_to_string(&table)
            .map_err(|error| Failure::new(format!("there is no table: {error}")))?;
        page::put_on(PAGE, "attacks", &table)?;
    }
    attacked
}
