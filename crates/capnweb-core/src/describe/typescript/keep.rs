//! Files that tests keep up to date.

use std::{
    ffi::OsStr,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

use super::Declarations;

/// The variable that decides what happens to outdated files: `check` or `write`.
const VARIABLE: &str = "CAPNWEB_KEEP";

/// The maximum number of lines of a difference to show.
const MOST_LINES: usize = 60;

impl Declarations {
    /// Keeps the file at `path` up to date with the declarations, for a test. The path is relative
    /// to the package's folder.
    ///
    /// The file is written if it is out of date, so running the tests updates it. In CI, where the
    /// variable `CI` is set, the test fails instead. To choose explicitly, set `CAPNWEB_KEEP=check`
    /// or `CAPNWEB_KEEP=write`.
    ///
    /// # Panics
    ///
    /// Panics in CI if the file is missing or out of date, and shows the difference. Panics
    /// anywhere if the file cannot be read or written.
    #[track_caller]
    pub fn keep(&self, path: impl AsRef<Path>) {
        self.keep_in(path.as_ref(), Mode::of_environment());
    }

    /// Keeps one file per Rust [module](Self::modules) in `folder` up to date.
    ///
    /// The declarations of modules that no longer exist are removed.
    ///
    /// # Panics
    ///
    /// Panics like [`keep`](Self::keep), and in CI also if there are files of modules that no
    /// longer exist.
    #[track_caller]
    pub fn keep_modules(&self, folder: impl AsRef<Path>) {
        self.keep_modules_in(folder.as_ref(), Mode::of_environment());
    }

    #[track_caller]
    fn keep_in(&self, path: &Path, mode: Mode) {
        if let Err(message) = keep(&located(path), &self.to_string(), mode) {
            panic!("{message}");
        }
    }

    #[track_caller]
    fn keep_modules_in(&self, folder: &Path, mode: Mode) {
        let folder = located(folder);
        let modules = self.modules();
        let mut failures = Vec::new();
        for (name, text) in &modules {
            failures.extend(keep(&folder.join(name), text, mode).err());
        }
        for file in made_files(&folder) {
            let name = file.file_name().and_then(OsStr::to_str).unwrap_or_default();
            if !modules.contains_key(name) {
                failures.extend(remove(&file, mode).err());
            }
        }
        assert!(failures.is_empty(), "{}", failures.join("\n"));
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Write,
    Check,
}

impl Mode {
    fn of_environment() -> Self {
        let variable = |name| std::env::var(name).ok();
        Self::of(variable(VARIABLE).as_deref(), variable("CI").as_deref())
    }

    fn of(own: Option<&str>, ci: Option<&str>) -> Self {
        match own {
            None | Some("") => {}
            Some("check") => return Self::Check,
            Some("write") => return Self::Write,
            Some(other) => panic!("{VARIABLE} is `{other}`, and can be `check` or `write`"),
        }
        match ci {
            None | Some("" | "0" | "false") => Self::Write,
            Some(_) => Self::Check,
        }
    }
}

/// Resolves a path relative to the folder of the package whose tests are running.
pub(super) fn located(path: &Path) -> PathBuf {
    match std::env::var_os("CARGO_MANIFEST_DIR") {
        Some(package) => Path::new(&package).join(path),
        None => path.to_owned(),
    }
}

fn keep(path: &Path, text: &str, mode: Mode) -> Result<(), String> {
    let shown = path.display();
    let found = match fs::read_to_string(path) {
        // A checkout on Windows may contain these line ends.
        Ok(found) => Some(found.replace("\r\n", "\n")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(format!("cannot read {shown}: {error}")),
    };
    if found.as_deref() == Some(text) {
        return Ok(());
    }
    match mode {
        Mode::Write => {
            let folder = path.parent().map_or(Ok(()), fs::create_dir_all);
            folder
                .and_then(|()| fs::write(path, text))
                .map_err(|error| format!("cannot write {shown}: {error}"))?;
            eprintln!("wrote {shown}");
            Ok(())
        }
        Mode::Check => Err(match found {
            None => format!("{shown} is missing; {ADVICE}"),
            Some(found) => format!("{shown} is stale; {ADVICE}\n{}", difference(&found, text)),
        }),
    }
}

const ADVICE: &str = "run this test outside of CI, or with CAPNWEB_KEEP=write, and commit the file";

fn remove(path: &Path, mode: Mode) -> Result<(), String> {
    let shown = path.display();
    match mode {
        Mode::Write => {
            fs::remove_file(path).map_err(|error| format!("cannot remove {shown}: {error}"))
        }
        Mode::Check => Err(format!("{shown} is of a module that is gone; {ADVICE}")),
    }
}

/// Returns the declarations in a folder that this library has generated.
fn made_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(|path| path.to_string_lossy().ends_with(".d.ts"))
        .filter(|path| {
            let text = fs::read_to_string(path).unwrap_or_default();
            text.starts_with("// Made from Rust traits by capnweb.")
        })
        .collect();
    files.sort();
    files
}

/// Returns the lines that differ, without equal lines at the beginning and end.
fn difference(old: &str, new: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
    let before = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[before..], &new[before..]);
    let after = old.iter().rev().zip(new.iter().rev());
    let after = after.take_while(|(a, b)| a == b).count();
    let mut text = format!("from line {}:\n", before + 1);
    for (sign, lines) in [('-', old), ('+', new)] {
        let lines = &lines[..lines.len() - after];
        for line in lines.iter().take(MOST_LINES) {
            let _ = writeln!(text, "{sign} {line}");
        }
        if lines.len() > MOST_LINES {
            let _ = writeln!(text, "{sign} … and {} more lines", lines.len() - MOST_LINES);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::describe::{Description, Type, VERSION};

    fn folder(name: &str) -> PathBuf {
        let folder =
            std::env::temp_dir().join(format!("capnweb-keep-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        folder
    }

    #[test]
    fn a_stale_file_is_written_here_and_fails_in_ci() {
        let folder = folder("file");
        let path = folder.join("web/api.d.ts");
        let missing = keep(&path, "a\n", Mode::Check).unwrap_err();
        assert!(missing.contains("is missing"), "{missing}");
        keep(&path, "a\nb\nc\n", Mode::Write).unwrap();
        keep(&path, "a\nb\nc\n", Mode::Check).unwrap();
        let stale = keep(&path, "a\nx\nc\n", Mode::Check).unwrap_err();
        assert!(stale.contains("from line 2:\n- b\n+ x\n"), "{stale}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "a\nb\nc\n");
        fs::write(&path, "a\r\nb\r\nc\r\n").unwrap();
        keep(&path, "a\nb\nc\n", Mode::Check).unwrap();
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn files_of_modules_that_are_gone_are_removed_and_others_stay() {
        let folder = folder("modules");
        fs::create_dir_all(&folder).unwrap();
        fs::write(
            folder.join("gone.d.ts"),
            "// Made from Rust traits by capnweb. …",
        )
        .unwrap();
        fs::write(folder.join("mine.d.ts"), "export {};").unwrap();
        let description = Description {
            version: VERSION,
            main: Type::String,
            interfaces: Vec::new(),
            values: Vec::new(),
            errors: Vec::new(),
        };
        let declarations = Declarations::new(description);
        let checked = std::panic::catch_unwind(|| {
            declarations.keep_modules_in(&folder, Mode::Check);
        });
        assert!(checked.is_err());
        declarations.keep_modules_in(&folder, Mode::Write);
        assert!(!folder.join("gone.d.ts").exists());
        assert!(folder.join("mine.d.ts").exists());
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn the_own_variable_goes_before_that_of_ci() {
        assert_eq!(Mode::of(None, None), Mode::Write);
        assert_eq!(Mode::of(None, Some("true")), Mode::Check);
        assert_eq!(Mode::of(None, Some("1")), Mode::Check);
        assert_eq!(Mode::of(None, Some("false")), Mode::Write);
        assert_eq!(Mode::of(Some("write"), Some("true")), Mode::Write);
        assert_eq!(Mode::of(Some("check"), None), Mode::Check);
        assert_eq!(Mode::of(Some(""), Some("")), Mode::Write);
    }
}
