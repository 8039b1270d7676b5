//! `cargo xtask fuzz`: builds the fuzz targets and lets each run for a while.
//!
//! The targets are libFuzzer programs. All that `cargo fuzz` would add to build them without a
//! sanitizer is a set of compiler flags that the stable toolchain takes too, so neither it nor a
//! nightly toolchain is needed here. (No code of ours is unsafe; there is little for a sanitizer to
//! find.)

use std::path::PathBuf;
use std::time::Duration;

use crate::program::{Program, cargo};
use crate::tally::Tally;
use crate::{Failure, Result, workspace};

/// Coverage for libFuzzer to steer by, and the checks of a debug build.
const FLAGS: &str = "--cfg fuzzing \
    -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares \
    -Ccodegen-units=1 -Cdebug-assertions=on -Coverflow-checks=on";

/// How long a target runs when nobody says otherwise.
const SECONDS: u64 = 10;

/// Time for a target to read its corpus, beyond the time it was given to run.
const MARGIN: Duration = Duration::from_secs(120);

struct Options {
    target: Option<String>,
    seconds: u64,
    /// A file to run once instead of fuzzing.
    replay: Option<PathBuf>,
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
        match &options.replay {
            Some(file) => program.arg(file).run()?,
            None => fuzz(program, target, options.seconds)?,
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
            seconds: SECONDS,
            replay: None,
        };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value = || {
                arguments
                    .next()
                    .ok_or_else(|| Failure::new(format!("`{argument}` needs a value")))
            };
            match argument.as_str() {
                "--seconds" => {
                    options.seconds = value()?
                        .parse()
                        .map_err(|_| Failure::new("`--seconds` needs a whole number"))?;
                }
                "--replay" => options.replay = Some(PathBuf::from(value()?)),
                name if !name.starts_with('-') && options.target.is_none() => {
                    options.target = Some(name.to_owned());
                }
                other => return Err(Failure::new(format!("unexpected argument `{other}`"))),
            }
        }
        if options.replay.is_some() && options.target.is_none() {
            return Err(Failure::new(
                "`--replay` needs the name of a target before it",
            ));
        }
        Ok(options)
    }
}

fn folder() -> PathBuf {
    workspace::root().join("fuzz")
}

/// Builds all targets; gives the folder they are in.
fn build() -> Result<PathBuf> {
    // Naming the platform keeps the flags away from build scripts and macros.
    let version = Program::new("rustc").arg("-vV").quiet()?;
    let platform = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .ok_or_else(|| Failure::new("`rustc -vV` does not name its platform"))?;
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

fn fuzz(program: Program, target: &str, seconds: u64) -> Result<Tally> {
    let corpus = create(folder().join("corpus").join(target))?;
    let artifacts = create(folder().join("artifacts").join(target))?;
    // Inputs worth keeping in the repository; what the fuzzer finds besides goes to the corpus.
    let seeds = folder().join("seeds").join(target);
    let program = program
        .arg(format!("-max_total_time={seconds}"))
        .args([
            "-timeout=10",
            "-rss_limit_mb=4096",
            "-verbosity=0",
            "-print_final_stats=1",
        ])
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .arg(corpus)
        .limit(Duration::from_secs(seconds) + MARGIN);
    let program = if seeds.is_dir() {
        program.arg(seeds)
    } else {
        program
    };
    program.run().map_err(|failure| {
        Failure::new(format!(
            "{failure}; the input is in {}: `cargo xtask fuzz {target} --replay FILE` runs it again",
            artifacts.display()
        ))
    })
}

fn create(folder: PathBuf) -> Result<PathBuf> {
    std::fs::create_dir_all(&folder)
        .map_err(|error| Failure::new(format!("cannot make {}: {error}", folder.display())))?;
    Ok(folder)
}
