//! Where things are.

use std::path::{Path, PathBuf};

use crate::{Failure, Result};

/// The root of the checkout.
pub(crate) fn root() -> PathBuf {
    // Cargo sets the variable for `cargo run`; the path at build time serves a binary started by hand.
    let package = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    package.parent().map_or(package.clone(), Path::to_path_buf)
}

/// Where cargo puts what it builds, whatever configuration or environment decided that.
pub(crate) fn target_dir() -> Result<PathBuf> {
    // This program lies in `<target>/<profile>/xtask`.
    let unknown = || Failure::new("cannot tell where cargo's target directory is");
    let program = std::env::current_exe().map_err(|_| unknown())?;
    program
        .ancestors()
        .nth(2)
        .map(Path::to_path_buf)
        .ok_or_else(unknown)
}

/// A program that `cargo build` has put into the dev profile's folder, or in a folder there.
pub(crate) fn built(name: &str) -> Result<PathBuf> {
    Ok(target_dir()?
        .join("debug")
        .join(format!("{name}{}", std::env::consts::EXE_SUFFIX)))
}

/// Where benchmarks leave what they have seen. It is there.
pub(crate) fn bench_folder() -> Result<PathBuf> {
    let folder = target_dir()?.join("bench");
    std::fs::create_dir_all(&folder)
        .map_err(|error| Failure::new(format!("cannot make {}: {error}", folder.display())))?;
    Ok(folder)
}

/// The text of a file, by its path from the root.
pub(crate) fn read(path: &str) -> Result<String> {
    std::fs::read_to_string(root().join(path))
        .map_err(|error| Failure::new(format!("cannot read {path}: {error}")))
}

/// The names of the files in `folder`, in order.
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

/// The names of the files in `folder` that end in `.{extension}`, without it, in order.
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
