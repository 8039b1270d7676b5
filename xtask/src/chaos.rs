//! `cargo xtask chaos`: makes calls through clients that connect again, over connections that are
//! cut after any byte, and compares what they report with what servers counted.

use std::time::Duration;

use crate::program::{Program, cargo};
use crate::tally::Tally;
use crate::{Failure, Result, interop, workspace};

/// The time limit beyond the minutes that were asked for. Each run has its own.
const LIMIT: Duration = Duration::from_secs(900);

/// The transports of CI.
const USUAL: &str = "ws,tcp";

/// The transports of a longer run: all that the client has.
const ALL: &str = if cfg!(unix) {
    "ws,tcp,unix,webtransport"
} else {
    "ws,tcp,webtransport"
};

pub(crate) fn run(arguments: &[String]) -> Result<Tally> {
    let minutes = minutes(arguments)?;
    let has_over = arguments.iter().any(|argument| argument == "--over");
    interop::install_packages()?;
    cargo("build")
        .args(["--package", "capnweb-interop", "--bin", "capnweb-interop"])
        .run()?;
    let mut program = Program::new(workspace::built("capnweb-interop")?)
        .args(["storm", "--node", "interop/node/server.mjs"])
        .args(arguments)
        .limit(LIMIT + Duration::from_secs(60 * minutes));
    if !has_over {
        let over = if minutes == 0 { USUAL } else { ALL };
        program = program.args(["--over", over]);
    }
    program.run()
}

/// Returns the number of minutes that were asked for; without any, each combination runs once.
fn minutes(arguments: &[String]) -> Result<u64> {
    let Some(at) = arguments
        .iter()
        .position(|argument| argument == "--minutes")
    else {
        return Ok(0);
    };
    let minutes = arguments.get(at + 1).and_then(|value| value.parse().ok());
    minutes.ok_or_else(|| Failure::new("--minutes takes a number"))
}
