//! `cargo xtask wasm`: builds for JavaScript hosts, and runs the interop checks in Node, in
//! Chromium and in Cloudflare's runtime for Workers.

mod by_crate;
mod size;

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::program::{Program, cargo, run_queues, run_together};
use crate::tally::Tally;
use crate::{Failure, Result, build, interop, setup, workspace};

const TARGET: &str = "wasm32-unknown-unknown";

/// The package of the example Worker.
const COUNTER: &str = "worker-counter";

/// The package of the page of the example `drawing`.
const PAGE: &str = "drawing-web";

/// The time limit of the checks.
const LIMIT: Duration = Duration::from_secs(600);

pub(crate) fn run(arguments: &[String]) -> Result<Tally> {
    match arguments.split_first() {
        Some((first, [])) if first == "--drawing" => drawing(),
        Some((first, [])) if first == "--counter" => counter_worker(),
        Some((first, [])) if first == "--size" => size::run(&Tools::set_up()?),
        _ => checks(arguments),
    }
}

/// Runs the checks of `interop/`, of the examples and of the module size.
fn checks(arguments: &[String]) -> Result<Tally> {
    let tools = Tools::set_up()?;
    // In one command, both share their dependencies.
    let compilation = tools.compilation(&["capnweb-interop-web", COUNTER], Profile::Dev)?;
    thread::scope(|scope| {
        let installed = scope.spawn(install);
        let compiled = compilation.run();
        let lost = |_| Err(Failure::new("the thread that installs packages panicked"));
        installed.join().unwrap_or_else(lost)?;
        compiled
    })?;
    let module = tools.module("capnweb-interop-web", Profile::Dev)?;
    let folder = workspace::target_dir()?.join("wasm-interop");
    let bindings = ["web", "bundler"].map(|kind| tools.bindings(kind, &module, &folder.join(kind)));
    run_together(bindings.into())?;
    // With this file, Node loads the scripts as JavaScript modules.
    let note = folder.join("web/package.json");
    std::fs::write(&note, r#"{ "type": "module" }"#)
        .map_err(|error| Failure::new(format!("cannot write {}: {error}", note.display())))?;
    build::interop()?;
    let against_npm = interop::against_server(Program::new("node").arg("interop/node/run.mjs"))?
        .arg("--web")
        .arg(&folder)
        // Each value is a separate call, in every setting.
        .args(["--values", "2000"])
        .args(arguments)
        .limit(LIMIT);
    if !arguments.is_empty() {
        return against_npm.run();
    }
    let program = |name: &str| {
        Program::new("node")
            .arg(format!("interop/web/{name}.mjs"))
            .arg("--module")
            .arg(&folder)
            .limit(LIMIT)
    };
    // Those that end programs mostly wait.
    let ends = vec![
        program("ends"),
        interop::against_server(program("requests"))?,
        interop::against_server(program("outlive"))?,
    ];
    let mut tally = run_queues(vec![vec![against_npm], ends])?;
    tally += counter(&tools)?;
    tally += size::run(&tools)?;
    tally += drawn(&tools)?;
    Ok(tally)
}

/// Installs what the checks need.
fn install() -> Result {
    interop::install_packages()?;
    interop::npm_packages("interop/web")?;
    interop::npm_packages("interop/browser")?;
    setup::browser()
}

/// Tests the example Worker, with the command line among its clients.
fn counter(tools: &Tools) -> Result<Tally> {
    let command_line = build::command_line()?;
    Program::new("node")
        .args(["interop/web/counter.mjs", "--module"])
        .arg(bind_counter(tools)?)
        .arg("--bin")
        .arg(command_line)
        .limit(LIMIT)
        .run()
}

/// Builds the example Worker, and serves it.
fn counter_worker() -> Result<Tally> {
    let tools = Tools::set_up()?;
    interop::npm_packages("interop/web")?;
    tools.compilation(&[COUNTER], Profile::Dev)?.run()?;
    Program::new("node")
        .args(["interop/web/counter-worker.mjs", "--module"])
        .arg(bind_counter(&tools)?)
        .run()
}

/// Generates the bindings of the example Worker, and returns their folder.
fn bind_counter(tools: &Tools) -> Result<PathBuf> {
    let module = tools.module(COUNTER, Profile::Dev)?;
    let folder = workspace::target_dir()?.join("wasm-counter");
    tools.bindings("bundler", &module, &folder).run()?;
    Ok(folder)
}

/// Opens the Rust page of the example `drawing` in Chromium.
fn drawn(tools: &Tools) -> Result<Tally> {
    drawing_page(tools)?;
    Program::new("node")
        .args(["interop/web/drawing.mjs", "--bin"])
        .arg(build::example("drawing")?)
        .limit(LIMIT)
        .run()
}

/// Builds the Rust page of the example `drawing`.
fn drawing_page(tools: &Tools) -> Result {
    let module = tools.build(PAGE, Profile::Small)?;
    // The server expects the page in this folder, whatever cargo's target directory is.
    let folder = workspace::root().join("target/wasm-drawing");
    tools.bindings("web", &module, &folder).run().map(drop)
}

/// Builds the Rust page of the example `drawing`, and serves it.
fn drawing() -> Result<Tally> {
    let tools = Tools::set_up()?;
    interop::npm_packages("interop/browser")?;
    drawing_page(&tools)?;
    cargo("run")
        .args(["--package", "capnweb", "--example", "drawing"])
        .args(["--features", "webtransport"])
        .run()
}

/// Returns true if the tools are installed, so that nothing has to be downloaded.
pub(crate) fn is_set_up() -> bool {
    Tools::find().is_ok_and(|tools| tools.are_there())
}

/// A compiler for the target, and wasm-bindgen.
struct Tools {
    folder: PathBuf,
    bindgen_version: String,
    /// True if the toolchain has the target. Otherwise the target is in `folder`.
    has_target: bool,
}

impl Tools {
    fn find() -> Result<Self> {
        let folder = match std::env::var_os("CAPNWEB_WASM_TOOLS") {
            Some(folder) => PathBuf::from(folder),
            None => workspace::target_dir()?.join("wasm-tools"),
        };
        Ok(Self {
            folder,
            bindgen_version: locked_version("wasm-bindgen")?,
            has_target: has_target(),
        })
    }

    /// Finds the tools, and installs them if they are missing.
    fn set_up() -> Result<Self> {
        let tools = Self::find()?;
        if !tools.are_there() {
            let mut script = Program::new(workspace::root().join("xtask/wasm/setup.sh"))
                .arg(&tools.folder)
                .arg(&tools.bindgen_version);
            if !tools.has_target {
                script = script.arg("--rust");
            }
            script.run()?;
        }
        Ok(tools)
    }

    fn are_there(&self) -> bool {
        self.bindgen().is_file() && (self.has_target || self.folder.join("env.sh").is_file())
    }

    fn bindgen(&self) -> PathBuf {
        self.folder
            .join(format!("bindgen-{}", self.bindgen_version))
    }

    /// Returns a `cargo` command for the target. It has a separate output folder, since the
    /// compiler may differ.
    fn cargo(&self, subcommand: &str) -> Result<Program> {
        let cargo = if self.has_target {
            cargo(subcommand)
        } else {
            let script = format!(
                r#". "{}/env.sh" && exec "$CARGO" "$@""#,
                self.folder.display()
            );
            Program::new("bash")
                .args(["-c", &script, "cargo"])
                .arg(subcommand)
        };
        Ok(cargo
            .env("CARGO_TARGET_DIR", target_folder()?)
            .args(["--target", TARGET]))
    }

    /// Builds a package and returns the path of its module.
    fn build(&self, package: &str, profile: Profile) -> Result<PathBuf> {
        self.compilation(&[package], profile)?.run()?;
        self.module(package, profile)
    }

    /// Returns the command that builds some packages.
    fn compilation(&self, packages: &[&str], profile: Profile) -> Result<Program> {
        let options = packages.iter().flat_map(|package| ["--package", package]);
        let build = self.cargo("build")?.args(options);
        Ok(match profile {
            Profile::Dev => quick(build),
            Profile::Small => small(build),
        })
    }

    /// Returns the path of a package's module.
    fn module(&self, package: &str, profile: Profile) -> Result<PathBuf> {
        let folder = match profile {
            Profile::Dev => "debug",
            Profile::Small => "release",
        };
        let name = package.replace('-', "_");
        Ok(target_folder()?.join(format!("{TARGET}/{folder}/{name}.wasm")))
    }

    /// Returns the command that generates the JavaScript bindings of a module.
    fn bindings(&self, kind: &str, module: &Path, into: &Path) -> Program {
        Program::new(self.bindgen()).arg(kind).arg(module).arg(into)
    }
}

/// The compilation profile of a module.
#[derive(Clone, Copy)]
enum Profile {
    Dev,
    /// As small as the compiler can make it.
    Small,
}

/// Configures the development profile of a build for a short compilation.
fn quick(build: Program) -> Program {
    build
        .args(["--config", "profile.dev.package.capnweb-core.opt-level=0"])
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
}

/// Configures the release profile of a build for small modules.
///
/// Not with `strip = true`: the linker would also remove the section that tells wasm-opt which
/// features are in use.
fn small(build: Program) -> Program {
    build
        .arg("--release")
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "z")
        .env("CARGO_PROFILE_RELEASE_PANIC", "abort")
        .env("CARGO_PROFILE_RELEASE_STRIP", "debuginfo")
}

fn target_folder() -> Result<PathBuf> {
    Ok(workspace::target_dir()?.join("wasm"))
}

/// Returns whether the toolchain has the target's standard library.
fn has_target() -> bool {
    let libraries = Program::new("rustc")
        .args(["--print", "target-libdir", "--target", TARGET])
        .quiet();
    libraries.is_ok_and(|folder| {
        std::fs::read_dir(folder.trim()).is_ok_and(|files| {
            files
                .flatten()
                .any(|file| file.file_name().to_string_lossy().starts_with("libstd-"))
        })
    })
}

/// Returns the version of a package in Cargo.lock.
fn locked_version(package: &str) -> Result<String> {
    let lock = workspace::read("Cargo.lock")?;
    version_in(&lock, package)
        .map(str::to_owned)
        .ok_or_else(|| Failure::new(format!("Cargo.lock has no {package}")))
}

fn version_in<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines().skip_while(|line| *line != name);
    lines.next()?;
    lines
        .next()?
        .strip_prefix("version = \"")?
        .strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::version_in;

    #[test]
    fn versions_are_those_of_the_lock_file() {
        let lock = "[[package]]\nname = \"web\"\nversion = \"1.2.3\"\n\n[[package]]\nname = \"web-sys\"\nversion = \"0.3.1\"\n";
        assert_eq!(version_in(lock, "web"), Some("1.2.3"));
        assert_eq!(version_in(lock, "web-sys"), Some("0.3.1"));
        assert_eq!(version_in(lock, "web-s"), None);
    }
}
