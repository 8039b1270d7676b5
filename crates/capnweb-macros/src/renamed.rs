//! The name of the user's dependency on the library.

use std::path::Path;

use syn::Ident;

/// Returns the name of the dependency on `capnweb` if the crate's `Cargo.toml` renames it: `rpc`
/// for `rpc = { package = "capnweb", … }`.
///
/// The manifest is read line by line. Layouts that this does not recognize need `crate = "…"`.
pub(crate) fn renamed_library() -> Option<String> {
    let folder = std::env::var_os("CARGO_MANIFEST_DIR")?;
    let folder = Path::new(&folder);
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).ok()?;
    if let Some(name) = renamed_in(&manifest).next() {
        return Some(name);
    }
    // `rpc.workspace = true` refers to the manifest of the workspace.
    let above = folder.ancestors().skip(1);
    above
        .filter_map(|folder| std::fs::read_to_string(folder.join("Cargo.toml")).ok())
        .find(|manifest| manifest.contains("[workspace"))
        .and_then(|workspace| renamed_in(&workspace).find(|name| depends_on(&manifest, name)))
}

/// Returns the names of renamed dependencies on the package `capnweb`.
fn renamed_in(manifest: &str) -> impl Iterator<Item = String> {
    let mut section = "";
    manifest.lines().filter_map(move |line| {
        let line = line.trim();
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']');
            return None;
        }
        let (key, value) = line.split_once('=')?;
        let key = match key.trim() {
            // This is in a section `[dependencies.rpc]`.
            "package" => section.rsplit_once("dependencies.")?.1,
            key if section.ends_with("dependencies") && value.contains("package") => key,
            _ => return None,
        };
        let package = value
            .rsplit_once("package")
            .map_or(value, |(_, package)| package);
        let package = package.trim_start_matches([' ', '=']);
        let is_library = package.starts_with("\"capnweb\"") || package.starts_with("'capnweb'");
        let name = key.trim_matches('"').replace('-', "_");
        (is_library && syn::parse_str::<Ident>(&name).is_ok()).then_some(name)
    })
}

/// Returns true if the manifest has a key of this name.
fn depends_on(manifest: &str, name: &str) -> bool {
    manifest.lines().any(|line| {
        let key = line.split(['=', '.']).next().unwrap_or_default();
        key.trim().trim_matches('"').replace('-', "_") == name
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_under_another_name_is_found() {
        for (manifest, name) in [
            ("[dependencies]\ncapnweb = \"1\"", None),
            (
                "[dependencies]\ncapnweb = { version = \"1\", features = [] }",
                None,
            ),
            (
                "[dependencies]\nother = { package = \"capnweb-core\" }\nrpc = { package = \"capnweb\", version = \"1\" }",
                Some("rpc"),
            ),
            (
                "[dev-dependencies]\nweb-rpc={package='capnweb'}",
                Some("web_rpc"),
            ),
            (
                "[dependencies.cap-rpc]\nversion = \"1\"\npackage = \"capnweb\"",
                Some("cap_rpc"),
            ),
            (
                "[target.'cfg(unix)'.dependencies]\nrpc = { package = \"capnweb\" }",
                Some("rpc"),
            ),
            (
                "[package]\nname = \"package-capnweb\"\npackage = \"capnweb\"",
                None,
            ),
            ("", None),
        ] {
            assert_eq!(renamed_in(manifest).next().as_deref(), name, "{manifest}");
        }
    }

    #[test]
    fn a_dependency_of_the_workspace_is_known_by_its_name() {
        let member = "[dependencies]\nrpc.workspace = true\nother = \"1\"";
        assert!(depends_on(member, "rpc") && depends_on(member, "other"));
        assert!(!depends_on(member, "workspace"));
    }
}
