//! `cargo xtask interop`: runs the tests against npm `capnweb` in Node, in both directions. It can
//! also run tests in browsers (`--browser`) and Deno (`--deno`), against a WebTransport peer in
//! Python (`--python`), of the declarations of Rust traits with the TypeScript compiler
//! (`--typescript`), of the command line against a server in Node (`--cli`), and of recordings of
//! all sessions that pass through the inspector (`--inspect`).

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::program::{Program, run_queues};
use crate::tally::Tally;
use crate::{Failure, Result, build, setup, workspace};

/// The time limit of a harness that hangs. Usually, harnesses limit each of their parts themselves.
const LIMIT: Duration = Duration::from_secs(900);

pub(crate) fn run(arguments: &[String]) -> Result<Tally> {
    match arguments.split_first() {
        Some((first, rest)) if first == "--browser" => browser(rest),
        Some((first, rest)) if first == "--deno" => deno(rest),
        Some((first, rest)) if first == "--python" => python(rest),
        Some((first, rest)) if first == "--typescript" => typescript(rest),
        Some((first, rest)) if first == "--cli" => command_line(rest),
        Some((first, rest)) if first == "--inspect" => inspected(rest),
        _ => node(arguments),
    }
}

fn node(arguments: &[String]) -> Result<Tally> {
    install_packages()?;
    harness(Program::new("node").arg("interop/node/run.mjs"), arguments)
}

fn browser(arguments: &[String]) -> Result<Tally> {
    npm_packages("interop/browser")?;
    // Check the types of the module that pages copy.
    Program::new("npm")
        .args(["run", "--silent", "types"])
        .folder(workspace::root().join("interop/browser"))
        .quiet_but_announced()?;
    let run = || Program::new("node").arg("interop/browser/run.mjs");
    if !arguments.is_empty() {
        setup::browser()?;
        return harness(run(), arguments);
    }
    let mut tally = page_module()?;
    setup::browser()?;
    let mut engines = vec!["chromium"];
    match setup::firefox()? {
        None => engines.push("firefox"),
        Some(reason) => println!("skipped: Firefox: {reason}"),
    }
    build::interop()?;
    let mut runs = engines
        .into_iter()
        .map(|engine| Ok(vec![against_server(run().args(["--engine", engine]))?]))
        .collect::<Result<Vec<_>>>()?;
    // The former wait half a minute for a lost connection. The last one loads the machine.
    runs.extend([vec![drawing()?], vec![react_page(true)?]]);
    runs.push(vec![inspector()?, rooms()?]);
    tally += run_queues(runs)?;
    Ok(tally)
}

/// Tests the module that pages copy, over connections that the checks simulate.
fn page_module() -> Result<Tally> {
    Program::new("node")
        .arg("interop/browser/module/run.mjs")
        .limit(LIMIT)
        .run()
}

/// Deno from npm, for the one platform whose package the checks install.
const DENO: &str = "interop/deno/node_modules/@deno/linux-x64-glibc/deno";

fn deno(arguments: &[String]) -> Result<Tally> {
    if !cfg!(all(
        target_os = "linux",
        target_arch = "x86_64",
        target_env = "gnu"
    )) {
        println!("skipped: Deno: its package is for Linux on x86-64 with glibc");
        return Ok(Tally::default());
    }
    npm_packages("interop/deno")?;
    let deno = Program::new(workspace::root().join(DENO))
        .args(["run", "--config", "interop/deno/deno.json", "--no-remote"])
        .args(["--allow-all", "--unstable-net", "interop/deno/run.mjs"]);
    harness(deno, arguments)
}

/// Returns the test of the example that is a web page.
fn drawing() -> Result<Program> {
    Ok(Program::new("node")
        .args(["interop/browser/drawing.mjs", "--bin"])
        .arg(build::example("drawing")?)
        .limit(LIMIT))
}

/// Returns the test of the example that is a cluster of nodes.
fn rooms() -> Result<Program> {
    install_packages()?;
    setup::servers();
    Ok(Program::new("node")
        .args(["interop/node/rooms.mjs", "--bin"])
        .arg(build::program("rooms", "rooms")?)
        .arg("--interop")
        .arg(build::interop()?)
        .limit(LIMIT))
}

/// Returns the test of the page of `capnweb inspect`.
fn inspector() -> Result<Program> {
    let run = Program::new("node")
        .args(["interop/browser/inspector.mjs", "--capnweb"])
        .arg(build::command_line()?);
    against_server(run)
}

/// Returns the test of the page that the book shows, with React and Vite, and if `is_loaded` also
/// in Chromium.
fn react_page(is_loaded: bool) -> Result<Program> {
    npm_packages("interop/page")?;
    let mut run = Program::new("node")
        .arg("interop/page/run.mjs")
        .limit(LIMIT);
    if is_loaded {
        run = against_server(run)?;
    }
    Ok(run)
}

fn python(arguments: &[String]) -> Result<Tally> {
    let python = python_environment("interop/python", "interop-python")?;
    let mut tally = harness(
        Program::new(&python).args(["-B", "interop/python/run.py"]),
        arguments,
    )?;
    tally += metrics(&python)?;
    Ok(tally)
}

/// Parses the metrics of an example with Prometheus's own parser.
fn metrics(python: &Path) -> Result<Tally> {
    Program::new(python)
        .args(["-B", "interop/python/metrics.py"])
        .arg(build::example("monitoring")?)
        .limit(LIMIT)
        .run()
}

fn typescript(arguments: &[String]) -> Result<Tally> {
    npm_packages("interop/typescript")?;
    let mut tally = harness(
        Program::new("node").arg("interop/typescript/run.mjs"),
        arguments,
    )?;
    tally += react_page(false)?.run()?;
    Ok(tally)
}

fn command_line(arguments: &[String]) -> Result<Tally> {
    install_packages()?;
    let program = build::command_line()?;
    let run = |server: &[&str]| {
        let run = Program::new("node")
            .args(["interop/node/cli.mjs", "--bin"])
            .arg(&program);
        run.args(server).args(arguments).limit(LIMIT)
    };
    let mut tally = run(&[]).run()?;
    if has_runtimes() {
        npm_packages("interop/runtimes")?;
        for (name, server) in RUNTIMES {
            tally += run(&["--name", name, "--server", server]).run()?;
        }
    }
    Ok(tally)
}

/// Other runtimes that serve what Node does, with their commands.
const RUNTIMES: &[(&str, &str)] = &[
    (
        "Bun",
        r#"["interop/runtimes/node_modules/@oven/bun-linux-x64/bin/bun","interop/node/server.mjs"]"#,
    ),
    (
        "Deno",
        r#"["interop/runtimes/node_modules/@deno/linux-x64-glibc/deno","run","--allow-all","--no-remote","interop/node/server.mjs"]"#,
    ),
    ("workerd", r#"["node","interop/runtimes/workerd.mjs"]"#),
];

/// Returns whether npm has the other runtimes for this platform.
fn has_runtimes() -> bool {
    let has = cfg!(all(
        target_os = "linux",
        target_arch = "x86_64",
        target_env = "gnu"
    ));
    if !has {
        println!(
            "skipped: Bun, Deno and workerd: their packages are for Linux on x86-64 with glibc"
        );
    }
    has
}

/// Runs the checks through `capnweb inspect`, with fewer random values: each passes one proxy more.
fn inspected(arguments: &[String]) -> Result<Tally> {
    install_packages()?;
    let through = Program::new("node")
        .args(["interop/node/run.mjs", "--values", "2000", "--inspect"])
        .arg(build::command_line()?);
    harness(through, arguments)
}

fn harness(program: Program, arguments: &[String]) -> Result<Tally> {
    build::interop()?;
    against_server(program)?.args(arguments).run()
}

/// Passes the path of our program to a harness, and limits its time.
pub(crate) fn against_server(program: Program) -> Result<Program> {
    let built = workspace::built("capnweb-interop")?;
    Ok(program.arg("--bin").arg(built).limit(LIMIT))
}

/// Installs the packages that the harness in Node needs.
pub(crate) fn install_packages() -> Result {
    npm_packages("interop/node")
}

/// Installs the npm packages of a folder, unless they match its lock file already.
pub(crate) fn npm_packages(folder: &str) -> Result {
    let lock = workspace::read(&format!("{folder}/package-lock.json"))?;
    let folder = workspace::root().join(folder);
    // Stored next to the packages, so that it is removed together with them.
    let modules = folder.join("node_modules");
    Installed::new(modules.join(".installed-lock.json"), lock).unless_there(|| {
        Program::new("npm")
            .args(["ci", "--no-audit", "--no-fund", "--loglevel=error"])
            .folder(&folder)
            .quiet_but_announced()
    })
}

/// Creates a virtual environment with the packages that `folder` needs, unless there is one.
/// Returns the path of its Python.
pub(crate) fn python_environment(folder: &str, name: &str) -> Result<PathBuf> {
    setup::python()?;
    let environment = workspace::target_dir()?.join(name);
    let python = environment.join("bin").join("python");
    let requirements = format!("{folder}/requirements.txt");
    let wanted = workspace::read(&requirements)?;
    Installed::new(environment.join("installed.txt"), wanted).unless_there(|| {
        Program::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&environment)
            .quiet_but_announced()?;
        Program::new(&python)
            .args(["-m", "pip", "install", "--quiet"])
            .args(["--disable-pip-version-check", "--only-binary=:all:"])
            .args(["--requirement", &requirements])
            .quiet_but_announced()
    })?;
    Ok(python)
}

/// A record of the installed packages, which avoids installing them again.
struct Installed {
    note: PathBuf,
    wanted: String,
}

impl Installed {
    fn new(note: PathBuf, wanted: String) -> Self {
        Self { note, wanted }
    }

    fn unless_there<T>(self, install: impl FnOnce() -> Result<T>) -> Result {
        if std::fs::read_to_string(&self.note).is_ok_and(|found| found == self.wanted) {
            return Ok(());
        }
        install()?;
        std::fs::write(&self.note, self.wanted)
            .map_err(|error| Failure::new(format!("cannot write {}: {error}", self.note.display())))
    }
}
