//! Rules for all pages: links must not be broken, and hardly any line may be hidden.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Returns the pages to check, by their paths relative to the root.
fn pages() -> BTreeMap<PathBuf, String> {
    let mut pages = BTreeMap::new();
    for name in ["README.md", "ARCHITECTURE.md", "interop/README.md"] {
        let text = fs::read_to_string(root().join(name)).unwrap();
        pages.insert(PathBuf::from(name), text);
    }
    for entry in fs::read_dir(root().join("docs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "md") {
            let text = fs::read_to_string(&path).unwrap();
            pages.insert(Path::new("docs").join(path.file_name().unwrap()), text);
        }
    }
    pages
}

/// Returns the lines of a page that are not in a code block.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// Returns the anchor that code hosts generate for a heading.
fn anchor(heading: &str) -> String {
    let kept = heading
        .trim()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

/// Returns the targets of a page's links.
fn links(text: &str) -> Vec<String> {
    let prose: String = prose(text).flat_map(|line| [line, "\n"]).collect();
    let mut targets = Vec::new();
    for part in prose.split("](").skip(1) {
        if let Some((target, _)) = part.split_once(')') {
            targets.push(target.split_whitespace().collect());
        }
    }
    targets
}

#[test]
fn links_lead_to_files_and_headings() {
    let pages = pages();
    let anchors: BTreeMap<&PathBuf, BTreeSet<String>> = pages
        .iter()
        .map(|(path, text)| {
            let headings =
                prose(text).filter_map(|line| line.trim_start_matches('#').strip_prefix(' '));
            (path, headings.map(anchor).collect())
        })
        .collect();
    let mut broken = Vec::new();
    for (page, text) in &pages {
        for link in links(text) {
            if link.contains("://") {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((&link, ""));
            let mut target = page.clone();
            if !file.is_empty() {
                target.pop();
                for part in Path::new(file).components() {
                    match part {
                        std::path::Component::ParentDir => {
                            target.pop();
                        }
                        part => target.push(part),
                    }
                }
            }
            let exists = root().join(&target).exists();
            let has_heading = heading.is_empty()
                || anchors
                    .get(&target)
                    .is_some_and(|known| known.contains(heading));
            if !exists || !has_heading {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn anchors_are_those_of_code_hosts() {
    assert_eq!(anchor("What `npm` gets wrong"), "what-npm-gets-wrong");
    assert_eq!(anchor("1. Messages"), "1-messages");
}

/// Checks for hidden lines, which code hosts show. Use a scaffold instead.
#[test]
fn pages_hide_hardly_any_lines() {
    const MAX: usize = 81;
    let mut hidden = Vec::new();
    for (page, text) in pages() {
        let mut is_rust = false;
        for (number, line) in text.lines().enumerate() {
            if let Some(fence) = line.strip_prefix("```") {
                is_rust = !is_rust && fence.starts_with("rust");
            } else if is_rust && (line == "#" || line.trim_start().starts_with("# ")) {
                hidden.push(format!("{}:{}", page.display(), number + 1));
            }
        }
    }
    assert!(hidden.len() < MAX, "{}: {hidden:#?}", hidden.len());
}
