//! The relevant parts of the crates' manifests.

use crate::{Failure, Result, workspace};

/// A crate under `crates/`.
pub(crate) struct Crate {
    pub(crate) name: String,
    /// The names of the `[features]` table.
    pub(crate) features: Vec<String>,
    /// The names of all packages that the crate may depend on, without those of its tests.
    pub(crate) dependencies: Vec<String>,
}

/// Returns all crates under `crates/`, sorted by name.
pub(crate) fn crates() -> Result<Vec<Crate>> {
    let folder = workspace::root().join("crates");
    let entries = std::fs::read_dir(&folder)
        .map_err(|error| Failure::new(format!("cannot read {}: {error}", folder.display())))?;
    let mut crates = Vec::new();
    for entry in entries.flatten() {
        // The folder is named like the crate.
        let name = entry.file_name().to_string_lossy().into_owned();
        let manifest = workspace::read(&format!("crates/{name}/Cargo.toml"))?;
        crates.push(Crate {
            name,
            features: keys(&manifest, |table| table == "[features]"),
            dependencies: keys(&manifest, |table| {
                table == "[dependencies]" || table.ends_with(".dependencies]")
            }),
        });
    }
    crates.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(crates)
}

/// Returns the crates in an order in which each one follows its dependencies.
pub(crate) fn dependencies_first(mut crates: Vec<Crate>) -> Vec<Crate> {
    let mut ordered = Vec::new();
    while !crates.is_empty() {
        let names: Vec<String> = crates.iter().map(|found| found.name.clone()).collect();
        let waits = |found: &Crate| found.dependencies.iter().any(|name| names.contains(name));
        let (waiting, ready): (Vec<_>, Vec<_>) = crates.into_iter().partition(waits);
        if ready.is_empty() {
            // A circle, which Cargo reports.
            ordered.extend(waiting);
            break;
        }
        ordered.extend(ready);
        crates = waiting;
    }
    ordered
}

/// Returns the keys of the tables whose headers are `wanted`. It only parses what our own manifests
/// contain: keys at the beginning of a line, and lists that continue on indented lines.
fn keys(manifest: &str, wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let mut keys = Vec::new();
    let mut is_wanted = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            is_wanted = wanted(line.trim());
        } else if is_wanted
            && line.starts_with(|c: char| c.is_ascii_alphanumeric())
            && let Some(key) = line.split(['=', '.', ' ']).next()
        {
            keys.push(key.to_owned());
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::{Crate, dependencies_first, keys};

    #[test]
    fn keys_are_those_of_their_table() {
        let manifest = r#"
[package]
name = "x"

[features]
default = ["a"]
# A comment = with an equals sign.
a = [
    "dep:y",
]
b-c = []

[dependencies]
y = { version = "1", optional = true }
z.workspace = true
"#;
        assert_eq!(
            keys(manifest, |table| table == "[features]"),
            ["default", "a", "b-c"]
        );
        assert_eq!(
            keys(manifest, |table| table == "[dependencies]"),
            ["y", "z"]
        );
        assert!(keys(manifest, |table| table == "[lints]").is_empty());
    }

    #[test]
    fn crates_follow_their_dependencies() {
        let with = |name: &str, dependencies: &[&str]| Crate {
            name: name.to_owned(),
            features: Vec::new(),
            dependencies: dependencies.iter().map(|&name| name.to_owned()).collect(),
        };
        let crates = vec![
            with("facade", &["core", "transport"]),
            with("core", &["wire", "serde"]),
            with("transport", &["core"]),
            with("wire", &["serde"]),
        ];
        let ordered: Vec<String> = (dependencies_first(crates).into_iter())
            .map(|found| found.name)
            .collect();
        assert_eq!(ordered, ["wire", "core", "transport", "facade"]);
    }
}
