//! `cargo xtask api`: compares the public items of every crate with the committed listing.
//!
//! Any change to the public API is thus visible in review, as a change of
//! `crates/*/public-api.txt`.

use std::path::PathBuf;

use public_api::{Builder, PublicApi};

use crate::manifest::{self, Crate};
use crate::program::cargo;
use crate::tally::Tally;
use crate::{Failure, Result, workspace};

/// The version of rustdoc's JSON format that the listings are made from.
const JSON_FORMAT: u64 = 57;

pub(crate) fn run(arguments: &[String]) -> Result<Tally> {
    let is_written = match arguments {
        [] => false,
        [argument] if argument == "--write" => true,
        _ => return Err(Failure::new("usage: cargo xtask api [--write]")),
    };
    let json = document()?;
    let mut tally = Tally::default();
    let mut differing = Vec::new();
    for found in manifest::crates()? {
        let path = json.join(format!("{}.json", found.name.replace('-', "_")));
        if let Some(format) = unknown_format(&path)? {
            println!(
                "left out: this rustdoc writes format {format} of its JSON, the listings are made from {JSON_FORMAT}"
            );
            return Ok(tally);
        }
        let listing = list(&path)?;
        let kept = kept_path(&found);
        if is_written {
            std::fs::write(workspace::root().join(&kept), &listing)
                .map_err(|error| Failure::new(format!("cannot write {kept}: {error}")))?;
            println!("{kept}: {} items", listing.lines().count());
            continue;
        }
        let before = workspace::read(&kept).unwrap_or_default();
        if before == listing {
            tally.passed += 1;
        } else {
            tally.failed += 1;
            print_difference(&kept, &before, &listing);
            differing.push(found.name);
        }
    }
    if differing.is_empty() {
        return Ok(tally);
    }
    Err(Failure {
        reason: format!(
            "the public API of {} differs from its listing; if that is intended: cargo xtask api --write",
            differing.join(", ")
        ),
        tally,
    })
}

/// Returns the path of a crate's listing, relative to the root.
fn kept_path(found: &Crate) -> String {
    format!("crates/{}/public-api.txt", found.name)
}

/// Runs rustdoc over the workspace. Returns the folder of its JSON files.
fn document() -> Result<PathBuf> {
    // The packages and features are those of `cargo xtask lint`, to reuse its build results.
    cargo("doc")
        .args([
            "--quiet",
            "--workspace",
            "--lib",
            "--all-features",
            "--no-deps",
        ])
        .env("RUSTDOC", workspace::root().join("xtask/rustdoc-json"))
        .env(
            "RUSTDOCFLAGS",
            "-Z unstable-options --output-format json --cap-lints allow",
        )
        .run()?;
    Ok(workspace::target_dir()?.join("doc"))
}

/// Returns the format version of a JSON file, if it differs from ours.
fn unknown_format(path: &std::path::Path) -> Result<Option<u64>> {
    let cannot_read = |why: String| Failure::new(format!("cannot read {}: {why}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| cannot_read(error.to_string()))?;
    let json: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| cannot_read(error.to_string()))?;
    match json
        .get("format_version")
        .and_then(serde_json::Value::as_u64)
    {
        Some(JSON_FORMAT) => Ok(None),
        Some(other) => Ok(Some(other)),
        None => Err(cannot_read("it has no `format_version`".to_owned())),
    }
}

/// Returns the public items of one crate, one per line.
fn list(path: &std::path::Path) -> Result<String> {
    let api: PublicApi = Builder::from_rustdoc_json(path)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(false)
        .sorted(true)
        .build()
        .map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display())))?;
    let mut listing = String::new();
    for item in api.items() {
        listing.push_str(&item.to_string());
        listing.push('\n');
    }
    Ok(listing)
}

fn print_difference(kept: &str, before: &str, now: &str) {
    println!("{kept}:");
    let before: Vec<&str> = before.lines().collect();
    let now: Vec<&str> = now.lines().collect();
    for line in before.iter().filter(|line| !now.contains(line)) {
        println!("  - {line}");
    }
    for line in now.iter().filter(|line| !before.contains(line)) {
        println!("  + {line}");
    }
}
