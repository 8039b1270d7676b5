//! `cargo xtask package`: checks the packages that would be published.

use crate::manifest::{self, Crate};
use crate::program::cargo;
use crate::tally::Tally;
use crate::{Failure, Result, workspace};

/// The files that every package must contain.
const FILES: &[&str] = &[
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "src/lib.rs",
];

/// The keys that every manifest must contain.
const KEYS: &[&str] = &[
    "description",
    "documentation",
    "keywords",
    "license",
    "readme",
    "repository",
];

pub(crate) fn run(arguments: &[String]) -> Result<Tally> {
    match arguments {
        [] => check(),
        [argument] if argument == "--dry-run" => dry_run(),
        _ => Err(Failure::new("usage: cargo xtask package [--dry-run]")),
    }
}

fn check() -> Result<Tally> {
    let mut tally = Tally::default();
    for found in manifest::crates()? {
        let faults = faults(&found)?;
        for fault in &faults {
            println!("{}: {fault}", found.name);
        }
        match faults.is_empty() {
            true => tally.passed += 1,
            false => tally.failed += 1,
        }
    }
    match tally.failed {
        0 => Ok(tally),
        _ => Err(Failure {
            reason: "some packages are not complete".to_owned(),
            tally,
        }),
    }
}

/// Returns the missing parts of a crate's package.
fn faults(found: &Crate) -> Result<Vec<String>> {
    let listed = cargo("package")
        .args(["--list", "--allow-dirty", "--package", &found.name])
        .quiet_but_announced()?;
    let files: Vec<&str> = listed.lines().collect();
    let mut faults: Vec<String> = FILES
        .iter()
        .filter(|file| !files.contains(file))
        .map(|file| format!("the package has no {file}"))
        .collect();
    let manifest = workspace::read(&format!("crates/{}/Cargo.toml", found.name))?;
    let circular = circular_dependencies(&found.name, &manifest)?;
    faults.extend(circular.into_iter().map(|name| {
        format!(
            "{name} depends on this crate, so the dev-dependency on it cannot have a version: \
             write `{name} = {{ path = \"../{name}\" }}`"
        )
    }));
    faults.extend(
        KEYS.iter()
            .filter(|key| !has_key(&manifest, key))
            .map(|key| format!("Cargo.toml has no `{key}`")),
    );
    let readme = workspace::read(&format!("crates/{}/README.md", found.name))?;
    faults.extend(relative_links(&readme).map(|link| {
        format!(
            "README.md: the link `{link}` is relative, so it leads nowhere on the registry's page"
        )
    }));
    Ok(faults)
}

/// Returns the versioned dev-dependencies of a crate that depend on the crate themselves. Neither
/// could be published before the other.
fn circular_dependencies(name: &str, manifest: &str) -> Result<Vec<String>> {
    let mut circular = Vec::new();
    for dependency in dependencies(manifest, true) {
        let (mut reached, mut next) = (vec![dependency.to_owned()], 0);
        while let Some(other) = reached.get(next) {
            let manifest = workspace::read(&format!("crates/{other}/Cargo.toml"))?;
            // A versioned dev-dependency has to be published before, too.
            for other in dependencies(&manifest, false).chain(dependencies(&manifest, true)) {
                if !reached.iter().any(|known| known == other) {
                    reached.push(other.to_owned());
                }
            }
            next += 1;
        }
        if reached.iter().any(|other| other == name) {
            circular.push(dependency.to_owned());
        }
    }
    Ok(circular)
}

/// Returns the crates of this workspace that a manifest depends on with a version, in its
/// `[dev-dependencies]` or in all other tables of dependencies.
fn dependencies(manifest: &str, dev: bool) -> impl Iterator<Item = &str> {
    let mut is_in_table = false;
    manifest.lines().filter_map(move |line| {
        if line.starts_with('[') {
            let is_dev = line.ends_with("dev-dependencies]");
            is_in_table = line.ends_with("dependencies]") && is_dev == dev;
        }
        let name = line.split(['.', ' ', '=']).next()?;
        let is_ours = name == "capnweb" || name.starts_with("capnweb-");
        let is_published = name != "capnweb-test-support";
        (is_in_table && is_ours && is_published && line.contains("workspace")).then_some(name)
    })
}

fn has_key(manifest: &str, key: &str) -> bool {
    manifest.lines().any(|line| {
        line.strip_prefix(key)
            .is_some_and(|rest| rest.starts_with([' ', '.', '=']))
    })
}

/// Returns the relative links of a page, which would break outside of the repository.
fn relative_links(page: &str) -> impl Iterator<Item = &str> {
    page.split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target)
        .filter(|target| !target.starts_with("https://") && !target.starts_with('#'))
}

/// Packs and builds each crate as for a registry, in the order of their dependencies, without
/// publishing anything.
fn dry_run() -> Result<Tally> {
    let mut publish = cargo("publish").args(["--dry-run", "--allow-dirty"]);
    for found in manifest::crates()? {
        publish = publish.args(["--package", &found.name]);
    }
    publish.run()
}

#[cfg(test)]
mod tests {
    use super::{dependencies, has_key, relative_links};

    #[test]
    fn dependencies_with_a_version_are_those_of_the_workspace() {
        let manifest = r#"
[dependencies]
capnweb-core.workspace = true
capnweb-net = { workspace = true, optional = true }
serde.workspace = true

[target.'cfg(unix)'.dependencies]
capnweb-wire.workspace = true

[dev-dependencies]
capnweb = { path = "../capnweb" }
capnweb-macros.workspace = true
capnweb-test-support.workspace = true
"#;
        let normal = ["capnweb-core", "capnweb-net", "capnweb-wire"];
        assert_eq!(dependencies(manifest, false).collect::<Vec<_>>(), normal);
        let dev = dependencies(manifest, true).collect::<Vec<_>>();
        assert_eq!(dev, ["capnweb-macros"]);
    }

    #[test]
    fn a_key_stands_at_the_beginning_of_a_line() {
        assert!(has_key("readme = \"README.md\"\n", "readme"));
        assert!(has_key("license.workspace = true\n", "license"));
        assert!(!has_key("license-file = \"x\"\n# license = 1\n", "license"));
    }

    #[test]
    fn links_with_an_address_or_within_the_page_are_not_relative() {
        let page = "[a](https://a.example) [b](docs/b.md) [c](#c) [d](../LICENSE)";
        assert_eq!(
            relative_links(page).collect::<Vec<_>>(),
            ["docs/b.md", "../LICENSE"]
        );
    }
}
