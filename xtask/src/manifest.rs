//! The relevant parts of the crates' manifests.

use crate::{Failure, Result, workspace};

/// A crate under `crates/`.
pub(crate) struct Crate {
    pub(crate) name: String,
    /// The names of the `[features]` table.
    pub(crate) features: Vec<String>,
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
        let features = features(&manifest);
        crates.push(Crate { name, features });
    }
    crates.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(crates)
}

/// Returns the keys of the `[features]` table. It only parses what our own manifests contain: keys
/// at the beginning of a line, and lists that continue on indented lines.
fn features(manifest: &str) -> Vec<String> {
    manifest
        .lines()
        .skip_while(|line| line.trim() != "[features]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter(|line| line.starts_with(|c: char| c.is_ascii_alphanumeric()))
        .filter_map(|line| Some(line.split_once('=')?.0.trim().to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::features;

    #[test]
    fn features_are_the_keys_of_their_table() {
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
"#;
        assert_eq!(features(manifest), ["default", "a", "b-c"]);
        assert!(features("[dependencies]\ny = \"1\"").is_empty());
    }
}
