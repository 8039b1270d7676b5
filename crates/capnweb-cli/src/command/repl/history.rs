//! The history file.

use std::{
    env,
    fs::{self, OpenOptions},
    io::Write,
    path::PathBuf,
};

/// The number of inputs to keep.
const KEPT: usize = 1000;

/// The history. Only the user can read the file, since expressions can contain secrets.
#[derive(Debug)]
pub(crate) struct History {
    path: Option<PathBuf>,
}

impl History {
    pub(crate) fn none() -> Self {
        Self { path: None }
    }

    /// Opens the history file, by default in the user's state folder.
    pub(crate) fn open(path: Option<PathBuf>) -> Self {
        Self {
            path: path.or_else(default_path),
        }
    }

    /// Reads the saved inputs, oldest first.
    pub(crate) fn read(&self) -> Vec<String> {
        let Some(path) = &self.path else {
            return Vec::new();
        };
        let text = fs::read_to_string(path).unwrap_or_default();
        let lines: Vec<String> = text.lines().map(unescape).collect();
        let skipped = lines.len().saturating_sub(KEPT);
        let kept: Vec<String> = lines.into_iter().skip(skipped).collect();
        if skipped > KEPT {
            // If the file cannot be rewritten, it stays as it is.
            let text: String = kept.iter().map(|line| escape(line) + "\n").collect();
            let _ = fs::write(path, text);
        }
        kept
    }

    /// Adds an input. If the file cannot be written, the input is lost when the program ends.
    pub(crate) fn add(&self, input: &str) {
        let Some(path) = &self.path else { return };
        if let Some(folder) = path.parent() {
            let _ = fs::create_dir_all(folder);
        }
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            options.mode(0o600);
        }
        if let Ok(mut file) = options.open(path) {
            let _ = writeln!(file, "{}", escape(input));
        }
    }
}

fn default_path() -> Option<PathBuf> {
    let folder = |name: &str| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let state = folder("XDG_STATE_HOME")
        .or_else(|| folder("LOCALAPPDATA"))
        .or_else(|| Some(folder("HOME")?.join(".local/state")))?;
    Some(state.join("capnweb").join("history"))
}

fn escape(input: &str) -> String {
    input.replace('\\', "\\\\").replace('\n', "\\n")
}

fn unescape(line: &str) -> String {
    let mut text = String::new();
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, true) => match chars.next() {
                Some('n') => text.push('\n'),
                Some(other) => text.push(other),
                None => text.push('\\'),
            },
            (c, false) => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_of_several_lines_are_one_entry() {
        for text in ["a", "a\nb", "a\\nb", "\\"] {
            let line = escape(text);
            assert!(!line.contains('\n'));
            assert_eq!(unescape(&line), text);
        }
    }
}
