//! The measured programs: how to build and call them.

use std::path::PathBuf;

use crate::interop::npm_packages;
use crate::program::{Program, cargo};
use crate::{Failure, Result, workspace};

use super::options::Options;

/// A measured program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Ours,
    /// The raw load generator, which only has a client.
    Raw,
    Node,
    Bun,
    Jsonrpsee,
    Tarpc,
    Tonic,
    CapnpRpc,
    /// Echo servers and the like, without a framework.
    Floors,
}

const NAMES: &[(Name, &str)] = &[
    (Name::Ours, "ours"),
    (Name::Raw, "raw"),
    (Name::Node, "node"),
    (Name::Bun, "bun"),
    (Name::Jsonrpsee, "jsonrpsee"),
    (Name::Tarpc, "tarpc"),
    (Name::Tonic, "tonic"),
    (Name::CapnpRpc, "capnp"),
    (Name::Floors, "floors"),
];

impl Name {
    pub(super) fn parse(name: &str) -> Result<Self> {
        let known = NAMES.iter().find(|(_, known)| *known == name);
        known.map(|(found, _)| *found).ok_or_else(|| {
            let all: Vec<_> = NAMES.iter().map(|(_, name)| *name).collect();
            Failure::new(format!(
                "there is no program `{name}`; there are {}",
                all.join(", ")
            ))
        })
    }

    /// Returns the name of the program's binary, if it has one of its own.
    fn binary(self) -> &'static str {
        match self {
            Self::Ours => "peer",
            Self::Raw => "raw",
            Self::CapnpRpc => "capnp",
            name => NAMES
                .iter()
                .find(|(known, _)| *known == name)
                .map_or("", |(_, binary)| binary),
        }
    }
}

/// The commands of the programs that could be built, and the reasons for the others.
pub(super) struct Programs {
    ours: Built,
    peers: Built,
    node: Built,
}

/// The folder that contains the programs, or the reason why there is none.
type Built = std::result::Result<PathBuf, String>;

impl Programs {
    /// Builds the selected programs. A program that cannot be built does not prevent the others
    /// from being measured.
    pub(super) fn build(options: &Options) -> Result<Self> {
        let wants = |names: &[Name]| names.iter().any(|name| options.wants(*name));
        let unless_wanted = || Err("not asked for".to_owned());
        let peers = [
            Name::Jsonrpsee,
            Name::Tarpc,
            Name::Tonic,
            Name::CapnpRpc,
            Name::Floors,
        ];
        Ok(Self {
            ours: Ok(ours()?),
            peers: if wants(&peers) {
                said(build_peers())
            } else {
                unless_wanted()
            },
            node: if wants(&[Name::Node, Name::Bun]) {
                said(install_node())
            } else {
                unless_wanted()
            },
        })
    }

    /// Builds only our own programs.
    pub(super) fn build_ours() -> Result<Self> {
        let elsewhere = || Err("not asked for".to_owned());
        Ok(Self {
            ours: Ok(ours()?),
            peers: elsewhere(),
            node: elsewhere(),
        })
    }

    /// Returns the words that a call of the program starts with.
    pub(super) fn command(&self, name: Name) -> std::result::Result<Vec<PathBuf>, String> {
        let folder = match name {
            Name::Ours | Name::Raw => &self.ours,
            Name::Node | Name::Bun => &self.node,
            _ => &self.peers,
        };
        let folder = folder.as_ref().map_err(Clone::clone)?;
        let modules = folder.join("node_modules");
        let words = match name {
            Name::Node => vec![modules.join("node24/bin/node"), folder.join("peer.mjs")],
            Name::Bun => vec![
                modules.join("@oven/bun-linux-x64/bin/bun"),
                folder.join("peer.mjs"),
            ],
            name => {
                let binary = format!("{}{}", name.binary(), std::env::consts::EXE_SUFFIX);
                vec![folder.join(binary)]
            }
        };
        match words.first() {
            Some(program) if !program.exists() => Err("not built".to_owned()),
            _ => Ok(words),
        }
    }
}

fn said(built: Result<PathBuf>) -> Built {
    built.map_err(|failure| {
        eprintln!("error: {failure}");
        "it could not be built".to_owned()
    })
}

fn ours() -> Result<PathBuf> {
    cargo("build")
        .args(["--release", "--package", "capnweb-benches", "--bins"])
        .run()?;
    Ok(workspace::target_dir()?.join("release"))
}

fn build_peers() -> Result<PathBuf> {
    let target = workspace::target_dir()?.join("peers");
    cargo("build")
        .args(["--release", "--locked"])
        .args(["--manifest-path", "benches/peers/Cargo.toml"])
        .arg("--target-dir")
        .arg(&target)
        .run()?;
    Ok(target.join("release"))
}

fn install_node() -> Result<PathBuf> {
    npm_packages("benches/node")?;
    Ok(workspace::root().join("benches").join("node"))
}

/// The versions of all programs, for the page.
impl Programs {
    pub(super) fn versions(&self) -> Vec<String> {
        let mut versions = Vec::new();
        let mut version_of = |name, label: &str| {
            let words = self.command(name).ok();
            let runtime = words.and_then(|words| words.into_iter().next());
            let version =
                runtime.and_then(|runtime| Program::new(runtime).arg("--version").quiet().ok());
            if let Some(version) = version {
                versions.push(format!(
                    "{label} {}",
                    version.trim().trim_start_matches('v')
                ));
            }
        };
        version_of(Name::Node, "Node");
        version_of(Name::Bun, "Bun");
        if let Ok(lock) = workspace::read("benches/node/package-lock.json")
            && let Some(version) = npm_version(&lock, "capnweb")
        {
            versions.push(format!("npm capnweb {version}"));
        }
        if let Ok(lock) = workspace::read("benches/peers/Cargo.lock") {
            for name in [
                "jsonrpsee",
                "tarpc",
                "tonic",
                "capnp-rpc",
                "tokio-tungstenite",
            ] {
                if let Some(version) = crate_version(&lock, name) {
                    versions.push(format!("{name} {version}"));
                }
            }
        }
        versions
    }
}

/// Returns the version of a crate in a `Cargo.lock`.
fn crate_version<'a>(lock: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?;
    rest.split('"').next()
}

/// Returns the version of a package in a `package-lock.json`.
fn npm_version(lock: &str, name: &str) -> Option<String> {
    let lock: serde_json::Value = serde_json::from_str(lock).ok()?;
    let package = lock
        .get("packages")?
        .get(format!("node_modules/{name}"))?
        .get("version")?;
    package.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::{crate_version, npm_version};

    #[test]
    fn versions_come_from_lock_files() {
        let lock = "[[package]]\nname = \"tonic\"\nversion = \"0.14.2\"\n";
        assert_eq!(crate_version(lock, "tonic"), Some("0.14.2"));
        assert_eq!(crate_version(lock, "toni"), None);
        let lock = r#"{"packages":{"node_modules/capnweb":{"version":"0.12.0"}}}"#;
        assert_eq!(npm_version(lock, "capnweb").as_deref(), Some("0.12.0"));
        assert_eq!(npm_version(lock, "ws"), None);
    }
}
