//! Paths of the workspace.

use std::path::{Path, PathBuf};

use crate::{Failure, Result};

/// Returns the root of the checkout.
pub(crate) fn root() -> PathBuf {
    // Cargo sets the variable for `cargo run`. The path at build time is for a program that is
    // started directly.
    let package = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    package.parent().map_or(package.clone(), Path::to_path_buf)
}

/// Returns cargo's target directory, whether it is set by configuration or by the environment.
pub(crate) fn target_dir() -> Result<PathBuf> {
    // The path of this program is `<target>/<profile>/xtask`.
    let unknown = || Failure::new("cannot find cargo's target directory");
    let program = std::env::current_exe().map_err(|_| unknown())?;
    program
        .ancestors()
        .nth(2)
        .map(Path::to_path_buf)
        .ok_or_else(unknown)
}

/// Returns the path of a program that `cargo build` has placed in the dev profile's folder, or a
/// folder within it.
pub(crate) fn built(name: &str) -> Result<PathBuf> {
    Ok(target_dir()?
        .join("debug")
        .join(format!("{name}{}", std::env::consts::EXE_SUFFIX)))
}

/// Returns the folder for results of benchmarks, and creates it if necessary.
pub(crate) fn bench_folder() -> Result<PathBuf> {
    let folder = target_dir()?.join("bench");
    std::fs::create_dir_all(&folder)
        .map_err(|error| Failure::new(format!("cannot create {}: {error}", folder.display())))?;
    Ok(folder)
}

/// Reads a file, given its path from the root.
pub(crate) fn read(path: &str) -> Result<String> {
    std::fs::read_to_string(root().join(path))
        .map_err(|error| Failure::new(format!("cannot read {path}: {error}")))
}

/// Returns the sorted names of the files in `folder`.
pub(crate) fn names(folder: &Path) -> Result<Vec<String>> {
    let entries = std::fs::read_dir(folder)
        .map_err(|error| Failure::new(format!("cannot read {}: {error}", folder.display())))?;
    let mut names: Vec<String> = entries
        .flatten()
        .filter(|entry| entry.path().is_file())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    Ok(names)
}

/// Returns the sorted names of the files in `folder` that end in `.{extension}`, without the
/// extension.
pub(crate) fn stems(folder: &Path, extension: &str) -> Result<Vec<String>> {
    let entries = std::fs::read_dir(folder)
        .map_err(|error| Failure::new(format!("cannot read {}: {error}", folder.display())))?;
    let mut stems: Vec<String> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    stems.sort();
    Ok(stems)
}
