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
    use super::{has_key, relative_links};

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
