//! `cargo xtask layers`: checks the dependencies of each crate, and the uses of each of its
//! modules.
//!
//! Dependencies point in one direction: command line → facade → client → transports → net → core →
//! wire, and command line → inspect → wire. Each crate excludes the dependencies that it promises
//! to exclude. ARCHITECTURE.md states the same rules in words.

use std::collections::{BTreeMap, BTreeSet};

use crate::program::cargo;
use crate::tally::Tally;
use crate::{Failure, Result, modules, no_arguments};

/// A crate, and the dependencies that it must not have.
struct Rule {
    package: &'static str,
    forbidden: &'static [&'static str],
    because: &'static str,
}

const RULES: &[Rule] = &[
    Rule {
        package: "capnweb-wire",
        forbidden: &[
            "tokio",
            "futures-core",
            "futures-util",
            "bytes",
            "mio",
            "tracing",
            "capnweb-core",
        ],
        because: "the wire format does no I/O and needs no async runtime",
    },
    Rule {
        package: "capnweb-core",
        forbidden: &[
            "mio",
            "socket2",
            "hyper",
            "axum",
            "reqwest",
            "rustls",
            "tungstenite",
            "wtransport",
            "capnweb-client",
            "capnweb-transport-http",
            "capnweb-transport-webtransport",
            "capnweb-transport-ws",
        ],
        because: "the core uses no sockets",
    },
    Rule {
        package: "capnweb-inspect",
        forbidden: &[
            "tokio",
            "futures-core",
            "futures-util",
            "mio",
            "tracing",
            "capnweb-core",
        ],
        because: "it follows messages alone, so that any proxy or test can use it",
    },
    Rule {
        package: "capnweb-macros",
        forbidden: &["capnweb-core", "capnweb-wire", "darling", "serde", "tokio"],
        because: "the macros are built before everything else, and only need syn, quote and proc-macro2",
    },
    Rule {
        package: "capnweb-net",
        forbidden: &[
            "axum",
            "capnweb",
            "capnweb-client",
            "capnweb-transport-http",
            "capnweb-transport-webtransport",
            "capnweb-transport-ws",
            "reqwest",
            "rustls",
            "tungstenite",
            "wtransport",
        ],
        because: "the transports share it, so it must not depend on any of them",
    },
    Rule {
        package: "capnweb-cli",
        forbidden: &["axum", "openssl", "regex", "tracing-subscriber"],
        because: "the command line is a client, and stays small",
    },
    Rule {
        package: "capnweb",
        forbidden: &[
            "capnweb-cli",
            "capnweb-inspect",
            "clap",
            "rustyline",
            "indicatif",
        ],
        because: "the command line stands on the facade",
    },
    Rule {
        package: "capnweb-transport-web",
        forbidden: &["capnweb", "capnweb-client", "capnweb-net", "worker"],
        because: "a transport depends only on the core and on the host's bindings",
    },
    Rule {
        package: "capnweb-worker",
        forbidden: &["capnweb", "capnweb-client", "capnweb-net"],
        because: "the server in a Worker depends only on the host's transport",
    },
    Rule {
        package: "capnweb-client",
        forbidden: &["axum", "capnweb", "capnweb-macros"],
        because: "a client stands on the transports, of which it uses the clients",
    },
    Rule {
        package: "capnweb-cluster",
        forbidden: &[
            "axum",
            "capnweb",
            "capnweb-client",
            "capnweb-macros",
            "capnweb-net",
            "hyper",
        ],
        because: "a cluster needs sessions over any bus, and no transport",
    },
    Rule {
        package: "capnweb-transport-ws",
        forbidden: &[
            "capnweb",
            "capnweb-client",
            "capnweb-transport-http",
            "capnweb-transport-webtransport",
            "reqwest",
            "wtransport",
        ],
        because: "a transport depends only on the core and on the crate that transports share",
    },
    Rule {
        package: "capnweb-transport-http",
        forbidden: &[
            "capnweb",
            "capnweb-client",
            "capnweb-transport-webtransport",
            "capnweb-transport-ws",
            "tungstenite",
            "wtransport",
        ],
        because: "a transport depends only on the core and on the crate that transports share",
    },
    Rule {
        package: "capnweb-transport-webtransport",
        forbidden: &[
            "capnweb",
            "capnweb-client",
            "capnweb-transport-http",
            "capnweb-transport-ws",
            "hyper",
            "reqwest",
            "tungstenite",
        ],
        because: "a transport depends only on the core and on the crate that transports share",
    },
];

/// Dependencies that no crate may have. There is one cryptography provider (ring), and no OpenSSL.
const BANNED: &[&str] = &[
    "aws-lc-rs",
    "aws-lc-sys",
    "native-tls",
    "openssl",
    "openssl-sys",
    "tokio-native-tls",
    "tokio-openssl",
];

/// Dependencies with a single version. The types of two versions would be incompatible, or cost
/// users dearly.
const ONE_VERSION: &[&str] = &[
    "axum",
    "bytes",
    "http",
    "hyper",
    "quinn",
    "reqwest",
    "ring",
    "rustls",
    "serde",
    "tokio",
    "tokio-tungstenite",
    "tungstenite",
    "url",
    "wtransport",
];

/// The crates that also build for JavaScript hosts, and the features that they have there.
const WEB: &[(&str, &str)] = &[
    ("capnweb-wire", "chrono,jiff,message-pack,time"),
    (
        "capnweb-core",
        "chrono,describe,fetch,jiff,message-pack,serde_json,time,uuid",
    ),
    (
        "capnweb",
        "chrono,default,describe,fetch,jiff,message-pack,serde_json,time,uuid,web,worker",
    ),
    ("capnweb-transport-web", "message-pack"),
    ("capnweb-worker", ""),
];

/// Dependencies that do not work in JavaScript hosts, or do so only with flags of the compiler that
/// every user would have to set.
const NOT_ON_THE_WEB: &[&str] = &[
    "capnweb-net",
    "getrandom",
    "hyper",
    "mio",
    "ring",
    "rustls",
    "socket2",
];

/// The features of Tokio that need a runtime of its own.
const TOKIO_RUNTIME: &[&str] = &["fs", "net", "process", "rt", "signal", "time"];

pub(crate) fn run(arguments: &[String]) -> Result<Tally> {
    no_arguments(arguments)?;
    let mut broken = Vec::new();
    for (package, features) in WEB {
        broken.extend(unfit_for_the_web(package, features)?);
    }
    for rule in RULES {
        let below = dependencies(&["--package", rule.package])?;
        for name in rule
            .forbidden
            .iter()
            .filter(|name| below.contains_key(**name))
        {
            broken.push(format!(
                "{} depends on {name}, but {}; `cargo tree --package {} --all-features --edges normal --invert {name}` shows how",
                rule.package, rule.because, rule.package
            ));
        }
    }
    let all = dependencies(&["--workspace"])?;
    for name in BANNED.iter().filter(|name| all.contains_key(**name)) {
        broken.push(format!(
            "{name} is in the tree; `cargo tree --workspace --all-features --invert {name}` shows how"
        ));
    }
    for name in ONE_VERSION {
        if let Some(versions) = all.get(*name).filter(|versions| versions.len() > 1) {
            let versions: Vec<_> = versions.iter().map(String::as_str).collect();
            broken.push(format!(
                "{name} is in the tree more than once: {}; `cargo tree --workspace --all-features --duplicates` shows how",
                versions.join(", ")
            ));
        }
    }
    broken.extend(modules::broken_rules()?);
    if broken.is_empty() {
        Ok(Tally::default())
    } else {
        Err(Failure::new(broken.join("\nerror: ")))
    }
}

/// Returns the dependencies of a package that cannot be used in JavaScript hosts.
fn unfit_for_the_web(package: &str, features: &str) -> Result<Vec<String>> {
    const TARGET: &str = "wasm32-unknown-unknown";
    let tree = cargo("tree")
        .args(["--target", TARGET, "--package", package])
        .args(["--no-default-features", "--features", features])
        .args(["--edges", "normal", "--prefix", "none", "--no-dedupe"])
        .args(["--format", "{p}\t{f}"])
        .quiet_but_announced()?;
    let mut unfit = BTreeSet::new();
    for line in tree.lines() {
        let (dependency, enabled) = line.split_once('\t').unwrap_or((line, ""));
        let name = dependency.split_whitespace().next().unwrap_or_default();
        if NOT_ON_THE_WEB.contains(&name) {
            unfit.insert(name.to_owned());
        }
        if name == "tokio" {
            unfit.extend(
                enabled
                    .split(',')
                    .filter(|feature| TOKIO_RUNTIME.contains(feature))
                    .map(|feature| format!("tokio's feature `{feature}`")),
            );
        }
    }
    Ok(unfit
        .into_iter()
        .map(|what| {
            format!(
                "{package} depends on {what} on {TARGET}, where it does not work; `cargo tree --target {TARGET} --package {package} --no-default-features --features {features} --edges normal,features --invert NAME` shows how"
            )
        })
        .collect())
}

/// Returns all dependencies of the selected packages, with all features: versions by name.
fn dependencies(selection: &[&str]) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let tree = cargo("tree")
        .args(selection)
        .args(["--all-features", "--edges", "normal,build"])
        .args(["--prefix", "none", "--format", "{p}"])
        .quiet_but_announced()?;
    let mut found = BTreeMap::<String, BTreeSet<String>>::new();
    for line in tree.lines() {
        let mut words = line.split_whitespace();
        if let (Some(name), Some(version)) = (words.next(), words.next()) {
            found
                .entry(name.to_owned())
                .or_default()
                .insert(version.to_owned());
        }
    }
    Ok(found)
}
