//! `cargo xtask …`: everything CI does, runnable by hand.
//!
//! One word per habit. Each command prints what it runs, and says how to run again what failed.

mod attack;
mod bench;
mod ci;
mod criterion;
mod deny;
mod diagrams;
mod examples;
mod features;
mod format;
mod fuzz;
mod instructions;
mod interop;
mod layers;
mod lint;
mod manifest;
mod modules;
mod page;
mod program;
mod setup;
mod tally;
mod test;
mod transports;
mod workspace;

use std::fmt;
use std::process::ExitCode;

use tally::Tally;

/// A word that `cargo xtask` understands.
struct Command {
    name: &'static str,
    arguments: &'static str,
    about: &'static str,
    run: fn(&[String]) -> Result<Tally>,
}

const COMMANDS: &[Command] = &[
    Command {
        name: "ci",
        arguments: "",
        about: "install what the tests need, then check and test everything",
        run: ci::run,
    },
    Command {
        name: "setup",
        arguments: "",
        about: "install what the tests need (Debian, as root; elsewhere it says what is missing)",
        run: setup::run,
    },
    Command {
        name: "format",
        arguments: "",
        about: "check the formatting",
        run: format::run,
    },
    Command {
        name: "lint",
        arguments: "",
        about: "clippy and rustdoc over the whole workspace, warnings are errors",
        run: lint::run,
    },
    Command {
        name: "diagrams",
        arguments: "[--check]",
        about: "draw the pictures of docs/images",
        run: diagrams::run,
    },
    Command {
        name: "test",
        arguments: "[--package NAME]…",
        about: "unit tests, integration tests and every code block of the documentation",
        run: test::run,
    },
    Command {
        name: "examples",
        arguments: "",
        about: "run the examples that the README shows",
        run: examples::run,
    },
    Command {
        name: "features",
        arguments: "[crate]",
        about: "check every crate alone, with no feature and with each feature alone",
        run: features::run,
    },
    Command {
        name: "layers",
        arguments: "",
        about: "check what each crate may depend on, and what each of its modules may use",
        run: layers::run,
    },
    Command {
        name: "fuzz",
        arguments: "[target] [--seconds N | --minutes N | --replay FILE]",
        about: "build the fuzz targets and run each: on the same inputs every time, or for a while on new ones",
        run: fuzz::run,
    },
    Command {
        name: "interop",
        arguments: "[--browser | --deno | --python | --typescript] [arguments of the harness]",
        about: "test against npm capnweb in Node, in both directions; or in browsers; or in Deno; or with a peer in Python",
        run: interop::run,
    },
    Command {
        name: "attack",
        arguments: "[--debug] [--write] [--only TEXT]",
        about: "do to servers what strangers may try, and write the table of docs/limits.md",
        run: attack::run,
    },
    Command {
        name: "deny",
        arguments: "",
        about: "licences, bans and sources of all dependencies (needs cargo-deny)",
        run: deny::run,
    },
    Command {
        name: "bench",
        arguments: "[--quick] [--only CASE,…] [--programs NAME,…] [--rounds N] [--seconds S] [--render | --check]",
        about: "measure this library beside others, and write the tables of docs/performance.md",
        run: bench::run,
    },
    Command {
        name: "growth",
        arguments: "[exports | memory | payload | fairness] [--quick]",
        about: "how the cost of a call grows: with live objects, calls made, size, sessions",
        run: bench::growth::run,
    },
    Command {
        name: "criterion",
        arguments: "[arguments of criterion]",
        about: "run the micro-benchmarks",
        run: criterion::run,
    },
    Command {
        name: "instructions",
        arguments: "[PART…] [--write]",
        about: "instructions and allocations a call, counted by valgrind: of either side alone, of both, of a local call",
        run: instructions::run,
    },
    Command {
        name: "transports",
        arguments: "calls | beside [--seconds N]",
        about: "WebTransport beside WebSocket over TLS: calls alone; calls beside a stream on a line that loses packets",
        run: transports::run,
    },
];

/// Why a command failed, in words for the person who ran it.
#[derive(Debug)]
struct Failure {
    reason: String,
    /// What was counted before it failed.
    tally: Tally,
}

type Result<T = ()> = std::result::Result<T, Failure>;

impl Failure {
    fn new(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            tally: Tally::default(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, rest)) = arguments.split_first() else {
        help();
        return ExitCode::FAILURE;
    };
    if matches!(name.as_str(), "help" | "--help" | "-h") {
        help();
        return ExitCode::SUCCESS;
    }
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        eprintln!("error: `{name}` is no command of xtask\n");
        help();
        return ExitCode::FAILURE;
    };
    match (command.run)(rest) {
        Ok(tally) => {
            if !tally.is_empty() {
                println!("{tally}");
            }
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("error: {failure}");
            // CI names the commands to run again itself, one for each of its steps.
            if name != "ci" {
                eprintln!("to run it again: cargo xtask {}", arguments.join(" "));
            }
            if !failure.tally.is_empty() {
                println!("{}", failure.tally);
            }
            ExitCode::FAILURE
        }
    }
}

fn help() {
    println!("usage: cargo xtask <command>\n");
    for command in COMMANDS {
        let usage = format!("{} {}", command.name, command.arguments);
        println!("  {}\n      {}", usage.trim_end(), command.about);
    }
}

/// Fails when a command that takes no arguments was given some.
fn no_arguments(arguments: &[String]) -> Result {
    match arguments.first() {
        None => Ok(()),
        Some(argument) => Err(Failure::new(format!(
            "unexpected argument `{argument}`; `cargo xtask help` lists what each command takes"
        ))),
    }
}
