//! `cargo xtask transports`: compares WebTransport with WebSocket over TLS.

use crate::program::{Program, cargo};
use crate::tally::Tally;
use crate::{Failure, Result, workspace};

/// Runs the comparison. Some cases simulate packet loss, which requires root.
pub(crate) fn run(arguments: &[String]) -> Result<Tally> {
    let (what, options) = arguments
        .split_first()
        .ok_or_else(|| Failure::new("missing argument: `calls` or `beside`"))?;
    cargo("build")
        .args(["--release", "--package", "capnweb-benches"])
        .args(["--bin", "transports"])
        .run()?;
    let program = workspace::target_dir()?
        .join("release")
        .join(format!("transports{}", std::env::consts::EXE_SUFFIX));
    if what != "beside" {
        return Program::new(program).arg(what).args(options).run();
    }
    Program::new("python3")
        .args(["benches/lossy.py", "--"])
        .arg(program)
        .arg(what)
        .args(["--address", "10.99.0.2"])
        .args(["--server-namespace", "capnweb-far"])
        .args(options)
        .run()
}
