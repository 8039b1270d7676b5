//! `cargo xtask …`: everything that CI does, to run manually.
//!
//! Each task is one word. A command prints the programs that it runs, and explains how to repeat
//! those that failed.

mod api;
mod attack;
mod bench;
mod build;
mod chaos;
mod ci;
mod criterion;
mod deny;
mod deploy;
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
mod package;
mod page;
mod program;
mod prose;
mod setup;
mod tally;
mod test;
mod transports;
mod wasm;
mod workspace;

use std::fmt;
use std::process::ExitCode;

use tally::Tally;

/// A command of `cargo xtask`.
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
        about: "install everything that the tests need, then run all checks and tests",
        run: ci::run,
    },
    Command {
        name: "setup",
        arguments: "",
        about: "install everything that the tests need (Debian, as root; other systems: list missing programs)",
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
        about: "run clippy and rustdoc on the whole workspace; warnings are errors",
        run: lint::run,
    },
    Command {
        name: "diagrams",
        arguments: "[--check | --terminal]",
        about: "draw the pictures of docs/images",
        run: diagrams::run,
    },
    Command {
        name: "build",
        arguments: "",
        about: "build everything that the tests run, with all features",
        run: build::run,
    },
    Command {
        name: "test",
        arguments: "[--package NAME]…",
        about: "run unit tests, integration tests and every code block of the documentation",
        run: test::run,
    },
    Command {
        name: "examples",
        arguments: "",
        about: "run the examples of the README",
        run: examples::run,
    },
    Command {
        name: "features",
        arguments: "[crate]",
        about: "check every crate by itself, without features and with each single feature",
        run: features::run,
    },
    Command {
        name: "layers",
        arguments: "",
        about: "check the dependencies of each crate, and the uses between its modules",
        run: layers::run,
    },
    Command {
        name: "api",
        arguments: "[--write]",
        about: "compare the public items of every crate with crates/*/public-api.txt",
        run: api::run,
    },
    Command {
        name: "package",
        arguments: "[--dry-run]",
        about: "check what each crate would be published with; or pack and build each as a registry would get it",
        run: package::run,
    },
    Command {
        name: "fuzz",
        arguments: "[target] [--seconds N | --minutes N | --replay FILE]",
        about: "build and run the fuzz targets, on a fixed set of inputs or on new ones for some time",
        run: fuzz::run,
    },
    Command {
        name: "wasm",
        arguments: "[--counter | --drawing | --size | arguments of the harness]",
        about: "build for JavaScript hosts, and run the interop checks in Node, Chromium and a Worker; or serve the example Worker, or the page in Rust of the example `drawing`; or measure the size of that page",
        run: wasm::run,
    },
    Command {
        name: "interop",
        arguments: "[--browser | --deno | --python | --typescript | --cli | --inspect] [arguments of the harness]",
        about: "test against npm capnweb in Node, in both directions, or in browsers, in Deno, or against a peer in Python",
        run: interop::run,
    },
    Command {
        name: "chaos",
        arguments: "[--minutes M] [--seed S] [--calls N] [--over ws,tcp,unix,webtransport]",
        about: "cut the connections of clients that connect again, and compare their reports with servers' counts",
        run: chaos::run,
    },
    Command {
        name: "deploy",
        arguments: "[--only TEXT] [--restarts N]",
        about: "test the example `service` as it is shipped: its image, manifests, unit, proxies and dashboard, and rolling restarts",
        run: deploy::run,
    },
    Command {
        name: "attack",
        arguments: "[--debug] [--write] [--only TEXT]",
        about: "attack servers as strangers might, and write the table of docs/limits.md",
        run: attack::run,
    },
    Command {
        name: "deny",
        arguments: "",
        about: "check the licenses, bans and sources of all dependencies (needs cargo-deny)",
        run: deny::run,
    },
    Command {
        name: "bench",
        arguments: "[--quick] [--only CASE,…] [--programs NAME,…] [--rounds N] [--seconds S] [--render | --check]",
        about: "compare this library with others, and write the tables of docs/performance.md",
        run: bench::run,
    },
    Command {
        name: "growth",
        arguments: "[exports | memory | payload | fairness] [--quick]",
        about: "measure how the cost of a call grows with live objects, calls made, size and sessions",
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
        about: "count instructions and allocations per call with valgrind: of either side, of both, of a local call",
        run: instructions::run,
    },
    Command {
        name: "transports",
        arguments: "calls | beside [--seconds N]",
        about: "compare WebTransport with WebSocket over TLS: only calls, or calls alongside a stream with packet loss",
        run: transports::run,
    },
];

/// The reason why a command failed, for the person who ran it.
#[derive(Debug)]
struct Failure {
    reason: String,
    /// The tests that were counted before the failure.
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
        eprintln!("error: `{name}` is not an xtask command\n");
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
            // CI prints the commands to repeat itself, one for each of its steps.
            if name != "ci" {
                eprintln!("to repeat it: cargo xtask {}", arguments.join(" "));
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

/// Fails if arguments were passed to a command that takes none.
fn no_arguments(arguments: &[String]) -> Result {
    match arguments.first() {
        None => Ok(()),
        Some(argument) => Err(Failure::new(format!(
            "unexpected argument `{argument}`; `cargo xtask help` lists the arguments of each command"
        ))),
    }
}
