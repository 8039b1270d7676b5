//! A load of calls without a client library, to measure a server by itself.
//!
//! ```text
//! raw load calls --over websocket|lines --at ADDRESS [--seconds S] [--warm-up S] [--in-flight N]
//!     [--exports K] [--spin]
//! raw load echo  --over websocket|lines --at ADDRESS …
//! raw self-test  [--over websocket|lines] [--seconds S] [--in-flight N] [--spin]
//! ```
//!
//! `calls` keeps a number of calls of `add(2, 3)` in flight, each a `push`, a `pull` and a
//! `release`, and checks every answer. With `--exports`, it first makes a number of calls whose
//! results it never releases. `echo` does the same with messages of the size of a call, against a
//! server that echoes. Both print `start`, `stop` and a line of JSON. With `--spin`, the program
//! never sleeps while it waits.
//!
//! `self-test` runs `calls` against a thread that recognizes the frames by a few bytes. This is the
//! maximum rate of the generator, to compare with the rate of a server.

use std::{env, error::Error, process::ExitCode};

use options::Command;

mod calls;
mod clock;
mod echo;
mod framing;
mod handshake;
mod link;
mod options;
mod outstanding;
mod responder;
mod self_test;

type Result<T = ()> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> ExitCode {
    match Command::parse(env::args().skip(1)) {
        Ok(command) => match run(&command) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        },
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(command: &Command) -> Result {
    let report = match command {
        Command::Calls(options) => calls::load(options, &mut clock::print)?,
        Command::Echo(options) => echo::load(options, &mut clock::print)?,
        Command::SelfTest(options) => return self_test::run(options),
    };
    clock::print(&report.to_string());
    Ok(())
}

/// Returns the options for a load against a server in this process.
#[cfg(test)]
fn against(at: std::net::SocketAddr, over: framing::Framing) -> options::Options {
    options::Options {
        over,
        at,
        time: std::time::Duration::from_millis(20),
        warm_up: std::time::Duration::ZERO,
        in_flight: 10,
        exports: 0,
        spin: false,
    }
}
