//! `cargo xtask fuzz`: builds and runs the fuzz targets.
//!
//! The targets are libFuzzer programs. Without a sanitizer, `cargo fuzz` would only add a set of
//! compiler flags that the stable toolchain accepts too. So neither it nor a nightly toolchain is
//! needed. (None of our code is unsafe, so a sanitizer would find little.)

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::program::{Program, cargo};
use crate::tally::Tally;
use crate::{Failure, Result, workspace};

/// Flags for the coverage that guides libFuzzer, and for the checks of a debug build.
const FLAGS: &str = "--cfg fuzzing \
    -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares \
    -Ccodegen-units=1 -Cdebug-assertions=on -Coverflow-checks=on";

/// The number of inputs of a short run, in addition to the seeds. It is chosen to take about ten
/// seconds.
const RUNS: &[(&str, u32)] = &[
    ("attached", 15_000),
    ("scan", 400_000),
    ("session", 18_000),
    ("websocket", 65_000),
];

/// The number of inputs of a short run for targets that `RUNS` does not list.
const OTHER_RUNS: u32 = 10_000;

/// The time limit of a short run, for machines that are much slower or busier.
const SHORT_LIMIT: Duration = Duration::from_secs(600);

/// The time that a target has for reading its corpus, in addition to its running time.
const MARGIN: Duration = Duration::from_secs(120);

struct Options {
    target: Option<String>,
    mode: Mode,
}

#[derive(Debug, PartialEq, Eq)]
enum Mode {
    /// A fixed number of inputs that are derived from the committed seeds only, so every run uses
    /// the same inputs.
    Short,
    /// As many inputs as possible within this time, starting from everything found earlier.
    Long(Duration),
    /// This file, once.
    Replay(PathBuf),
}

pub(crate) fn run(arguments: &[String]) -> Result<Tally> {
    let options = Options::parse(arguments)?;
    let mut targets = workspace::stems(&folder().join("fuzz_targets"), "rs")?;
    if let Some(wanted) = &options.target {
        let all = targets.join(", ");
        targets.retain(|target| target == wanted);
        if targets.is_empty() {
            return Err(Failure::new(format!(
                "there is no fuzz target `{wanted}`; there are: {all}"
            )));
        }
    }
    if targets.is_empty() {
        return Err(Failure::new(
            "there are no fuzz targets in fuzz/fuzz_targets",
        ));
    }
    let programs = build()?;
    for target in &targets {
        let program = Program::new(programs.join(target));
        match &options.mode {
            Mode::Short => run_short(&programs, target)?,
            Mode::Long(time) => run_long(program, target, *time)?,
            Mode::Replay(file) => program.arg(file).run()?,
        };
    }
    Ok(Tally::default())
}

pub(crate) fn manifest() -> PathBuf {
    folder().join("Cargo.toml")
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Self> {
        let mut options = Self {
            target: None,
            mode: Mode::Short,
        };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value = || {
                arguments
                    .next()
                    .ok_or_else(|| Failure::new(format!("`{argument}` needs a value")))
            };
            match argument.as_str() {
                "--seconds" => options.mode = Mode::Long(duration(argument, value()?, 1)?),
                "--minutes" => options.mode = Mode::Long(duration(argument, value()?, 60)?),
                "--replay" => options.mode = Mode::Replay(PathBuf::from(value()?)),
                name if !name.starts_with('-') && options.target.is_none() => {
                    options.target = Some(name.to_owned());
                }
                other => return Err(Failure::new(format!("unexpected argument `{other}`"))),
            }
        }
        if matches!(options.mode, Mode::Replay(_)) && options.target.is_none() {
            return Err(Failure::new(
                "`--replay` needs the name of a target before it",
            ));
        }
        Ok(options)
    }
}

fn duration(option: &str, value: &str, unit: u64) -> Result<Duration> {
    value
        .parse::<u32>()
        .map(|count| Duration::from_secs(u64::from(count) * unit))
        .map_err(|_| Failure::new(format!("`{option}` needs a whole number")))
}

fn folder() -> PathBuf {
    workspace::root().join("fuzz")
}

/// Builds all targets, and returns the folder that contains them.
fn build() -> Result<PathBuf> {
    // With an explicit target platform, the flags do not apply to build scripts and macros.
    let version = Program::new("rustc").arg("-vV").quiet()?;
    let platform = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .ok_or_else(|| Failure::new("`rustc -vV` does not print its platform"))?;
    let output = workspace::target_dir()?.join("fuzz");
    cargo("build")
        .arg("--release")
        .arg("--manifest-path")
        .arg(manifest())
        .arg("--target-dir")
        .arg(&output)
        .args(["--target", platform])
        .env("RUSTFLAGS", FLAGS)
        .run()?;
    Ok(output.join(platform).join("release"))
}

/// Runs a target on a fixed number of inputs. Two runs of the same commit use the same inputs.
///
/// Coverage determines which inputs are mutated further, so the target must behave the same every
/// time. This requires fixed hash keys (`fuzz/fixed_random.c`). Since some tables use addresses as
/// keys, it also requires fixed addresses: no address randomization, and arguments of the same
/// length in every checkout. Comparisons are not traced, since they include addresses.
fn run_short(programs: &Path, target: &str) -> Result<Tally> {
    let work = format!("artifacts/{target}");
    let folder = folder();
    let artifacts = create(folder.join(&work))?;
    let program = artifacts.join("program");
    std::fs::copy(programs.join(target), &program)
        .map_err(|error| Failure::new(format!("cannot create {}: {error}", program.display())))?;
    let list = artifacts.join("seeds");
    std::fs::write(&list, seeds(target)?.join(","))
        .map_err(|error| Failure::new(format!("cannot write {}: {error}", list.display())))?;
    let runs = RUNS
        .iter()
        .find(|(name, _)| *name == target)
        .map_or(OTHER_RUNS, |(_, runs)| *runs);
    let program = with_fixed_addresses(&format!("{work}/program"))
        .args(["-seed=1", "-use_cmp=0"])
        .arg(format!("-runs={runs}"))
        .arg(format!("-seed_inputs=@{work}/seeds"))
        .arg(format!("-artifact_prefix={work}/"))
        .folder(folder)
        .limit(SHORT_LIMIT);
    finish(program, target)
}

fn with_fixed_addresses(program: &str) -> Program {
    let setarch = || Program::new("setarch").arg("--addr-no-randomize");
    if setarch().arg("true").works() {
        return setarch().arg(program);
    }
    println!("`setarch` does not work here, so another run may use slightly different inputs");
    Program::new(program)
}

/// Returns the paths of the target's seeds, relative to the folder of the fuzz targets. They are
/// sorted, since the order within a folder differs between file systems.
fn seeds(target: &str) -> Result<Vec<String>> {
    let names = workspace::names(&folder().join("seeds").join(target))?;
    Ok(names
        .iter()
        .map(|name| format!("seeds/{target}/{name}"))
        .collect())
}

fn run_long(program: Program, target: &str, time: Duration) -> Result<Tally> {
    let corpus = create(folder().join("corpus").join(target))?;
    let artifacts = create(folder().join("artifacts").join(target))?;
    // These inputs are kept in the repository. Others that the fuzzer finds go to the corpus.
    let seeds = folder().join("seeds").join(target);
    let program = program
        .arg(format!("-max_total_time={}", time.as_secs()))
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .arg(corpus)
        .limit(time + MARGIN);
    let program = if seeds.is_dir() {
        program.arg(seeds)
    } else {
        program
    };
    finish(program, target)
}

fn finish(program: Program, target: &str) -> Result<Tally> {
    let program = program.args([
        "-timeout=10",
        "-rss_limit_mb=4096",
        "-verbosity=0",
        "-print_final_stats=1",
    ]);
    program.run().map_err(|failure| {
        Failure::new(format!(
            "{failure}; the input is in fuzz/artifacts/{target}: repeat it with `cargo xtask fuzz {target} --replay FILE`"
        ))
    })
}

fn create(folder: PathBuf) -> Result<PathBuf> {
    std::fs::create_dir_all(&folder)
        .map_err(|error| Failure::new(format!("cannot create {}: {error}", folder.display())))?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use super::{Mode, OTHER_RUNS, Options, RUNS, folder, seeds};
    use crate::workspace;

    fn mode(arguments: &[&str]) -> Option<Mode> {
        let arguments: Vec<_> = arguments.iter().map(ToString::to_string).collect();
        Options::parse(&arguments).ok().map(|options| options.mode)
    }

    #[test]
    fn runs_are_short_unless_a_time_is_given() {
        assert_eq!(mode(&["scan"]), Some(Mode::Short));
        let ninety_seconds = Some(Mode::Long(Duration::from_secs(90)));
        assert_eq!(mode(&["--seconds", "90"]), ninety_seconds);
        let two_minutes = Some(Mode::Long(Duration::from_secs(120)));
        assert_eq!(mode(&["scan", "--minutes", "2"]), two_minutes);
        assert_eq!(mode(&["--minutes", "-2"]), None);
        assert_eq!(mode(&["--minutes"]), None);
    }

    #[test]
    fn a_replay_names_its_target() {
        let replay = Some(Mode::Replay(PathBuf::from("x")));
        assert_eq!(mode(&["scan", "--replay", "x"]), replay);
        assert_eq!(mode(&["--replay", "x"]), None);
    }

    #[test]
    fn every_target_has_seeds_and_a_number_of_runs() {
        let targets = workspace::stems(&folder().join("fuzz_targets"), "rs").unwrap();
        let named: Vec<_> = RUNS.iter().map(|(name, _)| *name).collect();
        assert_eq!(targets, named);
        for (target, runs) in RUNS {
            assert!(*runs >= OTHER_RUNS);
            assert!(!seeds(target).unwrap().is_empty(), "{target}");
        }
    }
}
