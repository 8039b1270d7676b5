//! `cargo xtask ci`: runs all checks one after another, and reports the results.

use std::time::{Duration, Instant};

use crate::tally::Tally;
use crate::{COMMANDS, Failure, Result, deny, no_arguments, wasm};

/// The commands of CI, quick ones first. `lint`, `api` and `features` share build results, and
/// so do `build` and all that follow it.
const STEPS: &[&str] = &[
    "format",
    "layers",
    "lint",
    "api",
    "package",
    "features",
    "build",
    "test",
    "examples",
    "interop",
    "chaos",
    "interop --browser",
    "interop --deno",
    "interop --python",
    "interop --typescript",
    "interop --cli",
    "interop --inspect",
    "deploy",
    "wasm",
    "fuzz",
    "deny",
];

pub(crate) fn run(arguments: &[String]) -> Result<Tally> {
    no_arguments(arguments)?;
    let mut report = Report::default();
    if !report.step("setup") {
        return report.finish();
    }
    for step in STEPS {
        if *step == "deny" && !deny::is_installed() {
            println!("\n── deny: skipped, cargo-deny is not installed ──");
            continue;
        }
        if *step == "wasm" && !wasm::is_set_up() {
            println!(
                "\n── wasm: skipped, its tools are not there; `cargo xtask wasm` makes them, in four minutes ──"
            );
            continue;
        }
        // A failure does not skip the next step.
        report.step(step);
    }
    report.finish()
}

#[derive(Default)]
struct Report {
    tally: Tally,
    times: Vec<(&'static str, Duration)>,
    failed: Vec<(&'static str, String)>,
}

impl Report {
    /// Runs one command, and returns whether it succeeded.
    fn step(&mut self, name: &'static str) -> bool {
        println!("\n── {name} ──");
        let began = Instant::now();
        let mut words = name.split(' ').map(str::to_owned);
        let command = words.next().unwrap_or_default();
        let arguments: Vec<String> = words.collect();
        let outcome = match COMMANDS.iter().find(|known| known.name == command) {
            Some(command) => (command.run)(&arguments),
            None => Err(Failure::new("CI names a command that does not exist")),
        };
        self.times.push((name, began.elapsed()));
        match outcome {
            Ok(tally) => {
                self.tally += tally;
                true
            }
            Err(failure) => {
                eprintln!("error: {failure}");
                self.tally += failure.tally;
                // A step that failed before counting anything counts as one failure.
                if failure.tally.failed == 0 {
                    self.tally.failed += 1;
                }
                self.failed.push((name, failure.reason));
                false
            }
        }
    }

    fn finish(self) -> Result<Tally> {
        println!("\n── durations ──");
        for (name, time) in &self.times {
            println!("{name:>20} {:>6.1} s", time.as_secs_f64());
        }
        if self.failed.is_empty() {
            return Ok(self.tally);
        }
        println!("\n── failures ──");
        for (name, reason) in &self.failed {
            println!("{name}: {reason}\n    to repeat it: cargo xtask {name}");
        }
        Err(Failure {
            reason: format!("{} of {} steps failed", self.failed.len(), self.times.len()),
            tally: self.tally,
        })
    }
}
