//! `cargo xtask ci`: runs all checks one after another, and reports the results.

use std::thread;
use std::time::{Duration, Instant};

use crate::tally::Tally;
use crate::{COMMANDS, Failure, Result, deny, no_arguments, wasm};

/// The commands of CI, quick ones first. `lint`, `api` and `features` share build results, and
/// so do `build` and all that follow it.
///
/// The commands of a group run at the same time. `features` checks one crate after another and
/// `fuzz` runs one program after another, so each of them alone leaves a processor idle. They use
/// different folders.
const STEPS: &[&[&str]] = &[
    &["format"],
    &["layers"],
    &["lint"],
    &["api"],
    &["package"],
    &["features", "fuzz"],
    &["build"],
    &["test"],
    &["examples"],
    &["interop"],
    &["chaos"],
    &["interop --browser"],
    &["interop --deno"],
    &["interop --python"],
    &["interop --typescript"],
    &["interop --cli"],
    &["interop --inspect"],
    &["deploy"],
    &["wasm"],
    &["deny"],
];

pub(crate) fn run(arguments: &[String]) -> Result<Tally> {
    no_arguments(arguments)?;
    let mut report = Report::default();
    if !report.step(&["setup"]) {
        return report.finish();
    }
    for step in STEPS {
        if *step == ["deny"] && !deny::is_installed() {
            println!("\n── deny: skipped, cargo-deny is not installed ──");
            continue;
        }
        if *step == ["wasm"] && !wasm::is_set_up() {
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
    /// Runs commands at the same time, and returns whether they succeeded.
    fn step(&mut self, names: &[&'static str]) -> bool {
        println!("\n── {} ──", names.join(", "));
        let outcomes: Vec<_> = thread::scope(|scope| {
            let running: Vec<_> = names
                .iter()
                .map(|name| scope.spawn(|| timed(name)))
                .collect();
            let lost = |_| (Duration::ZERO, Err(Failure::new("the command panicked")));
            running
                .into_iter()
                .map(|running| running.join().unwrap_or_else(lost))
                .collect()
        });
        let mut has_succeeded = true;
        for (name, (time, outcome)) in names.iter().zip(outcomes) {
            self.times.push((name, time));
            has_succeeded &= self.count(name, outcome);
        }
        has_succeeded
    }

    /// Counts the outcome of a command, and returns whether it succeeded.
    fn count(&mut self, name: &'static str, outcome: Result<Tally>) -> bool {
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

/// Runs one command, and returns the time that it took.
fn timed(name: &str) -> (Duration, Result<Tally>) {
    let began = Instant::now();
    let mut words = name.split(' ').map(str::to_owned);
    let command = words.next().unwrap_or_default();
    let arguments: Vec<String> = words.collect();
    let outcome = match COMMANDS.iter().find(|known| known.name == command) {
        Some(command) => (command.run)(&arguments),
        None => Err(Failure::new("CI names a command that does not exist")),
    };
    (began.elapsed(), outcome)
}
