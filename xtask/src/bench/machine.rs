//! The machine and the versions of a measurement.

use crate::Result;
use crate::program::Program;

use super::programs::Programs;

pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Returns the current date and time.
pub(super) fn now() -> Result<String> {
    let now = Program::new("date")
        .args(["-u", "+%Y-%m-%d %H:%M UTC"])
        .quiet()?;
    Ok(now.trim().to_owned())
}

/// Describes the machine, the versions of the measured programs, and the load of the machine.
pub(super) fn describe(programs: &Programs) -> Result<Vec<String>> {
    let rust = Program::new("rustc").arg("--version").quiet()?;
    // There is no commit outside a checkout.
    let commit = Program::new("git")
        .args(["describe", "--always", "--dirty"])
        .quiet()
        .unwrap_or_default();
    let mut versions = vec![rust.trim().to_owned()];
    versions.extend(programs.versions());
    Ok(vec![
        format!("{}, {} cores, Linux {}", processor(), cores(), kernel()),
        versions.join(", "),
        format!(
            "Cap'n Web for Rust at commit {}, {}; load average before: {}",
            commit.trim(),
            now()?,
            load()
        ),
    ])
}

fn processor() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let model = model.map(|rest| rest.trim_start_matches([' ', '\t', ':']));
    model.unwrap_or("an unknown processor").to_owned()
}

fn kernel() -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    release.trim().to_owned()
}

fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace().next().unwrap_or("?").to_owned()
}
