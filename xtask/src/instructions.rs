//! `cargo xtask instructions`: measures the cost of a call in instructions and allocations, which
//! do not depend on the load of the machine.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::program::{Program, cargo};
use crate::tally::Tally;
use crate::{Failure, Result, page, setup, workspace};

/// The number of calls that are counted. The program makes the same number to warm up first.
const CALLS: u64 = 8192;

/// The parts that `in_process` of the benchmarks can measure, with their descriptions.
const PARTS: &[(&str, &str)] = &[
    ("server-only", "the server's side: push, pull, release"),
    ("client-only", "the client's side, 64 at a time"),
    (
        "lasting",
        "the client's side through a lasting stub, 64 at a time",
    ),
    (
        "session-grouped",
        "both and their drivers, 64 at a time, no socket",
    ),
    (
        "session",
        "both and their drivers, one at a time, no socket",
    ),
    ("local", "an object of this process, no session"),
    (
        "map",
        "an element that the server maps, with a call of its own object",
    ),
];

/// The option to update the page.
const WRITE: &str = "--write";

/// The cost of one call.
struct Cost {
    part: &'static str,
    about: &'static str,
    instructions: f64,
    allocations: f64,
    allocated_bytes: f64,
}

/// Prints the costs of the given parts, by default all. The option [`WRITE`] also writes them into
/// the page.
pub(crate) fn run(arguments: &[String]) -> Result<Tally> {
    let (options, arguments): (Vec<_>, Vec<_>) =
        arguments.iter().partition(|argument| *argument == WRITE);
    if let Some(unknown) = arguments
        .iter()
        .find(|argument| PARTS.iter().all(|(part, _)| part != *argument))
    {
        let parts: Vec<_> = PARTS.iter().map(|(part, _)| *part).collect();
        return Err(Failure::new(format!(
            "there is no part `{unknown}`; there are {}",
            parts.join(", ")
        )));
    }
    setup::valgrind()?;
    cargo("build")
        .args(["--release", "--package", "capnweb-benches"])
        .args(["--bin", "in_process"])
        .run()?;
    println!(
        "{:>16} {:>12} {:>11} {:>9}   per call",
        "", "instructions", "allocations", "bytes"
    );
    let mut table = String::from(
        "| | instructions a call | allocations | bytes allocated |\n| --- | ---: | ---: | ---: |\n",
    );
    for &(part, about) in PARTS {
        if arguments.is_empty() || arguments.iter().any(|argument| *argument == part) {
            let cost = count(part, about)?;
            println!(
                "{:>16} {:>12.0} {:>11.2} {:>9.0}   {}",
                cost.part, cost.instructions, cost.allocations, cost.allocated_bytes, cost.about
            );
            table += &cost.row();
        }
    }
    println!(
        "profiles for callgrind_annotate: {}",
        profile("PART")?.display()
    );
    if !options.is_empty() {
        page::put("instructions", &table)?;
    }
    Ok(Tally::default())
}

impl Cost {
    /// Returns the row for the page's table.
    fn row(&self) -> String {
        format!(
            "| {} | {:.0} | {:.2} | {:.0} |\n",
            self.about, self.instructions, self.allocations, self.allocated_bytes
        )
    }
}

fn count(part: &'static str, about: &'static str) -> Result<Cost> {
    let program = workspace::target_dir()?
        .join("release")
        .join(format!("in_process{}", std::env::consts::EXE_SUFFIX));
    let instructions = instructions(&program, part)?;
    // All other allocations of the program are the same in both runs.
    let (few, many) = (
        allocations(&program, part, CALLS)?,
        allocations(&program, part, 2 * CALLS)?,
    );
    Ok(Cost {
        part,
        about,
        instructions,
        allocations: a_call(many.0.saturating_sub(few.0)),
        allocated_bytes: a_call(many.1.saturating_sub(few.1)),
    })
}

fn instructions(program: &Path, part: &str) -> Result<f64> {
    let out = option("--callgrind-out-file", &profile(part)?);
    let counting = [
        out.as_os_str(),
        "--collect-atstart=no".as_ref(),
        // This function makes the calls once everything is ready.
        "--toggle-collect=*parts::measured*".as_ref(),
    ];
    let report = valgrind("callgrind", &counting, program, part, CALLS)?;
    let collected = number_after(&report, "Collected :")
        .filter(|count| *count > 0)
        .ok_or_else(|| Failure::new("callgrind has reported no count"))?;
    Ok(a_call(collected))
}

/// Returns the number of allocations and of allocated bytes.
fn allocations(program: &Path, part: &str, calls: u64) -> Result<(u64, u64)> {
    let counting = ["--undef-value-errors=no", "--leak-check=no"].map(OsStr::new);
    let report = valgrind("memcheck", &counting, program, part, calls)?;
    number_after(&report, "total heap usage:")
        .zip(number_after(&report, "frees,"))
        .ok_or_else(|| Failure::new("memcheck has reported no count"))
}

/// Returns the report of a valgrind tool about this number of calls.
fn valgrind(
    tool: &str,
    options: &[&OsStr],
    program: &Path,
    part: &str,
    calls: u64,
) -> Result<String> {
    let log = workspace::bench_folder()?.join(format!("{tool}.{part}.txt"));
    Program::new("valgrind")
        .arg(format!("--tool={tool}"))
        .arg(option("--log-file", &log))
        .args(options)
        .arg(program)
        .args([part, &calls.to_string()])
        .quiet()?;
    std::fs::read_to_string(&log)
        .map_err(|error| Failure::new(format!("cannot read {}: {error}", log.display())))
}

fn option(name: &str, path: &Path) -> OsString {
    let mut option = OsString::from(name);
    option.push("=");
    option.push(path);
    option
}

/// Returns the path of callgrind's results.
fn profile(part: &str) -> Result<PathBuf> {
    Ok(workspace::bench_folder()?.join(format!("callgrind.{part}.out")))
}

/// Returns the number that follows `words` in a report. It may contain commas.
fn number_after(report: &str, words: &str) -> Option<u64> {
    let (_, rest) = report.split_once(words)?;
    let number = rest.split_whitespace().next()?;
    number.replace(',', "").parse().ok()
}

#[expect(clippy::cast_precision_loss, reason = "a mean, for people to read")]
fn a_call(count: u64) -> f64 {
    count as f64 / CALLS as f64
}

#[cfg(test)]
mod tests {
    use super::number_after;

    #[test]
    fn reads_what_valgrind_reports() {
        let report = "==1== Collected : 50845201\n\
                      ==1==   total heap usage: 65,579 allocs, 65,576 frees, 3,827,535 bytes allocated\n";
        assert_eq!(number_after(report, "Collected :"), Some(50_845_201));
        assert_eq!(number_after(report, "total heap usage:"), Some(65_579));
        assert_eq!(number_after(report, "frees,"), Some(3_827_535));
        assert_eq!(number_after(report, "frobnications"), None);
    }
}
