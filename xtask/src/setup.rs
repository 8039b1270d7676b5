//! `cargo xtask setup`: installs programs that the tests need and the machine lacks.

use std::path::Path;

use crate::interop;
use crate::program::{Program, cargo};
use crate::tally::Tally;
use crate::{Failure, Result, no_arguments};

/// The oldest version of Node that the interop harness supports.
const OLDEST_NODE: u32 = 20;

pub(crate) fn run(arguments: &[String]) -> Result<Tally> {
    no_arguments(arguments)?;
    rust_components()?;
    debian_packages(NEEDED)?;
    servers();
    postgresql();
    tmux()?;
    browser()?;
    firefox()?;
    python()?;
    check_node()?;
    interop::install_packages()?;
    Ok(Tally::default())
}

fn rust_components() -> Result {
    for (subcommand, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if !cargo(subcommand).arg("--version").works() {
            Program::new("rustup")
                .args(["component", "add", component])
                .quiet_but_announced()?;
        }
    }
    Ok(())
}

/// The programs that the tests call, each with the Debian packages that provide it.
const NEEDED: &[(&str, &[&str])] = &[
    // The fuzzer's runtime needs it. (There is a C compiler, since Rust links with it.)
    ("c++", &["g++"]),
    // The peer of the interop tests.
    ("node", &["nodejs"]),
    ("npm", &["npm"]),
];

/// Installs the servers for the tests of clients and clusters. The tests of a missing server are
/// skipped.
pub(crate) fn servers() {
    let servers = [
        ("nginx", "nginx-light"),
        ("haproxy", "haproxy"),
        ("nats-server", "nats-server"),
    ];
    for (program, package) in servers {
        if Program::new(program).arg("-v").works() {
            continue;
        }
        if !Program::new("apt-get").arg("--version").works() || install(&[package]).is_err() {
            println!("skipped: `{program}` is missing, and this system has no package `{package}`");
        }
    }
}

/// Installs PostgreSQL for the tests of clusters, which start servers of their own. The tests are
/// skipped if it is missing.
fn postgresql() {
    /// The folder in which Debian's package has the versions of the server.
    const VERSIONS: &str = "/usr/lib/postgresql";
    /// The settings for the database and service that the package would set up.
    const SETTINGS: &str = "/etc/postgresql-common/createcluster.conf";
    if Path::new(VERSIONS).exists() {
        return;
    }
    let installed = Program::new("apt-get").arg("--version").works()
        && install(&["postgresql-common"]).is_ok()
        && std::fs::read_to_string(SETTINGS)
            .and_then(|settings| {
                std::fs::write(SETTINGS, settings + "\ncreate_main_cluster = false\n")
            })
            .is_ok()
        && install(&["postgresql"]).is_ok();
    if !installed {
        println!("skipped: PostgreSQL is missing, and could not be installed");
    }
}

/// Installs the terminal in which the tests of the command line run.
fn tmux() -> Result {
    match Program::new("tmux").arg("-V").works() {
        true => Ok(()),
        false => install(&["tmux"]),
    }
}

/// Installs the browser of `cargo xtask interop --browser`.
pub(crate) fn browser() -> Result {
    debian_packages(&[("chromium", &["chromium"])])
}

/// Installs the second browser of `cargo xtask interop --browser`. Returns the reason if this
/// system does not provide it.
pub(crate) fn firefox() -> Result<Option<&'static str>> {
    if Program::new("firefox-esr").arg("--version").works() {
        return Ok(None);
    }
    if !Program::new("apt-get").arg("--version").works() {
        return Ok(Some("`firefox-esr` is missing, and this is no Debian"));
    }
    match install(&["firefox-esr"]) {
        Err(_)
            if !Program::new("apt-cache")
                .args(["show", "firefox-esr"])
                .works() =>
        {
            Ok(Some("this system has no package `firefox-esr`"))
        }
        installed => installed.map(|()| None),
    }
}

/// Installs a Python that can create virtual environments, for `cargo xtask interop --python`.
pub(crate) fn python() -> Result {
    debian_packages(&[("python3", &["python3"])])?;
    // Debian has this in a separate package.
    let works = |module| Program::new("python3").args(["-c", module]).works();
    if works("import ensurepip, venv") {
        return Ok(());
    }
    install(&["python3-venv"])
}

/// Installs the programs of `cargo xtask deploy`.
pub(crate) fn deploy() -> Result {
    debian_packages(&[("umoci", &["umoci"]), ("systemd-analyze", &["systemd"])])?;
    // These know no `--version`.
    for (program, argument, package) in [
        ("nginx", "-v", "nginx-light"),
        ("haproxy", "-v", "haproxy"),
        ("openssl", "version", "openssl"),
    ] {
        if !Program::new(program).arg(argument).works() {
            install(&[package])?;
        }
    }
    Ok(())
}

/// Installs the program that counts instructions, for `cargo xtask instructions`.
pub(crate) fn valgrind() -> Result {
    debian_packages(&[("valgrind", &["valgrind"])])
}

fn debian_packages(needed: &[(&str, &[&str])]) -> Result {
    let missing: Vec<_> = needed
        .iter()
        .filter(|(program, _)| !Program::new(program).arg("--version").works())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = missing.iter().map(|(program, _)| *program).collect();
    if !Program::new("apt-get").arg("--version").works() {
        return Err(Failure::new(format!(
            "missing: {}; install them and try again",
            names.join(", ")
        )));
    }
    let packages: Vec<_> = missing
        .iter()
        .flat_map(|(_, packages)| packages.iter().copied())
        .collect();
    install(&packages)
}

fn install(packages: &[&str]) -> Result {
    Program::new("apt-get")
        .args(["update", "-qq"])
        .quiet_but_announced()?;
    Program::new("apt-get")
        .args(["install", "-y", "-qq", "--no-install-recommends"])
        .args(packages)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .quiet_but_announced()?;
    Ok(())
}

fn check_node() -> Result {
    let version = Program::new("node").arg("--version").quiet()?;
    let major = version
        .trim()
        .trim_start_matches('v')
        .split('.')
        .next()
        .and_then(|major| major.parse::<u32>().ok());
    match major {
        Some(major) if major >= OLDEST_NODE => Ok(()),
        _ => Err(Failure::new(format!(
            "the interop tests need Node {OLDEST_NODE} or newer, and `node` here is {}",
            version.trim()
        ))),
    }
}
