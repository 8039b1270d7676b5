//! Checks the style of comments: the first word of a doc comment, words to avoid, and the width.

use std::path::{Path, PathBuf};

use crate::{Failure, Result, workspace};

/// The folders to check, relative to the root.
const FOLDERS: &[&str] = &["benches", "crates", "fuzz", "interop", "testing", "xtask"];

/// Names of folders to skip: their content is not part of the project.
const FOREIGN: &[&str] = &["node_modules", "target"];

/// Words that must not begin a doc comment, which starts with a verb or a noun.
const NOT_FIRST: &[&str] = &["What", "Whether", "Who", "Whom", "Whose", "Where", "How"];

/// A vague word, and the usual replacement.
const NOT_USED: (&str, &str) = ("gives", "returns");

/// The maximum width of a line with a comment, in columns.
const WIDTH: usize = 100;

/// Checks all Rust files and prints each violation.
///
/// # Errors
///
/// Returns an error if any comment violates a rule.
pub(crate) fn check() -> Result {
    let root = workspace::root();
    let mut files = Vec::new();
    for folder in FOLDERS {
        collect(&root.join(folder), &mut files)?;
    }
    files.sort();
    let mut count = 0_usize;
    for file in files {
        let shown = file.strip_prefix(&root).unwrap_or(&file);
        let text = std::fs::read_to_string(&file)
            .map_err(|error| Failure::new(format!("cannot read {}: {error}", shown.display())))?;
        for (line, fault) in faults(&text) {
            println!("{}:{line}: {fault}", shown.display());
            count += 1;
        }
    }
    if count > 0 {
        return Err(Failure::new(format!("{count} comments to rewrite")));
    }
    Ok(())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result {
    let entries = std::fs::read_dir(folder)
        .map_err(|error| Failure::new(format!("cannot read {}: {error}", folder.display())))?;
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() {
            if !FOREIGN.iter().any(|foreign| name == *foreign) {
                collect(&path, files)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

/// Returns the number of each line that violates a rule, with a description.
fn faults(text: &str) -> Vec<(usize, String)> {
    let mut faults = Vec::new();
    let mut is_inside = false;
    let mut is_code = false;
    for (index, line) in text.lines().enumerate() {
        let mut fault = |text: String| faults.push((index + 1, text));
        let trimmed = line.trim_start();
        if trimmed.starts_with("//") && line.chars().count() > WIDTH && !holds_long_word(trimmed) {
            fault(format!("wider than {WIDTH} columns"));
        }
        let Some(said) = doc(trimmed) else {
            is_inside = false;
            is_code = false;
            continue;
        };
        let said = said.trim();
        if said.starts_with("```") {
            is_code = !is_code;
        }
        let first = said.split(|c: char| !c.is_alphanumeric()).next();
        if !is_inside && let Some(word) = first.filter(|word| NOT_FIRST.contains(word)) {
            fault(format!(
                "begins with `{word}`; begin with a verb (`Returns …`) or a noun"
            ));
        }
        let (word, better) = NOT_USED;
        // `gives up` is fine.
        let is_used = said
            .replace("gives up", "")
            .split(|c: char| !c.is_alphanumeric())
            .any(|found| found == word);
        if !is_code && is_used {
            fault(format!("says `{word}`; say `{better}` or what is meant"));
        }
        is_inside = true;
    }
    faults
}

/// Returns the text of a line of a doc comment, or `None` for any other line.
fn doc(line: &str) -> Option<&str> {
    let text = line
        .strip_prefix("///")
        .or_else(|| line.strip_prefix("//!"))?;
    // `////` is a plain comment.
    (!text.starts_with('/')).then_some(text)
}

/// Returns whether a line cannot be wrapped: a row of a table, or a line with a long URL.
fn holds_long_word(line: &str) -> bool {
    let is_row = doc(line).is_some_and(|said| said.trim_start().starts_with('|'));
    is_row
        || line
            .split_whitespace()
            .any(|word| word.chars().count() > WIDTH / 2)
}

#[cfg(test)]
mod tests {
    use super::faults;

    fn lines(text: &str) -> Vec<usize> {
        faults(text).into_iter().map(|(line, _)| line).collect()
    }

    #[test]
    fn a_doc_comment_begins_with_a_verb_or_a_noun() {
        let text = "/// What it is.\nfn a() {}\n//! Whether so.\n\n/// Returns it.\n/// What follows is free.\n";
        assert_eq!(lines(text), [1, 3]);
        assert!(lines("// What a plain comment says is free.\n").is_empty());
        assert!(lines("/// Whatever begins with such letters.\n").is_empty());
    }

    #[test]
    fn a_word_is_found_in_prose_only() {
        assert_eq!(lines("/// It gives a value.\n"), [1]);
        assert!(lines("/// Returns whether it gives up.\n").is_empty());
        assert!(lines("/// Returns a value.\n/// ```\n/// gives();\n/// ```\n").is_empty());
        assert!(lines("let gives = 1; // it gives\n").is_empty());
    }

    #[test]
    fn a_comment_is_not_too_wide() {
        let wide = format!("// {}\n", "word ".repeat(25));
        assert_eq!(lines(&wide), [1]);
        let code = format!("let text = \"{}\";\n", "word ".repeat(25));
        assert!(lines(&code).is_empty());
        let address = format!("// {} {}\n", "word ".repeat(15), "x".repeat(60));
        assert!(lines(&address).is_empty());
    }
}
