//! `cargo xtask wasm --size`: the size of a page's module, with an upper limit.

use std::path::Path;

use super::{Profile, Tools, by_crate::code_by_crate};
use crate::program::Program;
use crate::tally::Tally;
use crate::{Failure, Result, interop, workspace};

/// The maximum size of the example page's module, compressed by gzip, in bytes. It is the size
/// measured on 2026-11-28, plus a few percent for other compilers.
const CEILING: u64 = 242_000;

/// The WebAssembly features that the compiler uses by default. Browsers may refuse modules that use
/// others.
const FEATURES: &[&str] = &[
    "bulk-memory",
    "bulk-memory-opt",
    "call-indirect-overlong",
    "multivalue",
    "mutable-globals",
    "nontrapping-float-to-int",
    "reference-types",
    "sign-ext",
];

/// Functions that are called once are not inlined: gzip makes less of one long function than of
/// several similar ones.
const INLINING: &[&str] = &[
    "--always-inline-max-function-size=1",
    "--flexible-inline-max-function-size=1",
    "--one-caller-inline-max-function-size=20",
];

/// Builds the page of the example `drawing` as small as possible, and prints its size.
pub(super) fn run(tools: &Tools) -> Result<Tally> {
    interop::npm_packages("interop/web")?;
    let module = tools.build("drawing-web", Profile::Small)?;
    let folder = workspace::target_dir()?.join("wasm-size");
    tools.bind("web", &module, &folder)?;
    let bound = folder.join("drawing_web_bg.wasm");
    let small = folder.join("small.wasm");
    Program::new("node")
        .arg("interop/web/node_modules/binaryen/bin/wasm-opt")
        .arg("-Oz")
        .args(INLINING)
        .args(FEATURES.iter().map(|feature| format!("--enable-{feature}")))
        .arg(&bound)
        .arg("-o")
        .arg(&small)
        .quiet_but_announced()?;
    print_by_crate(&bound)?;
    let compressed = compress(&small)?;
    println!(
        "the module of the page: {} bytes, {compressed} compressed by gzip; at most {CEILING}",
        len(&small)?
    );
    if compressed <= CEILING {
        return Ok(Tally {
            passed: 1,
            ..Tally::default()
        });
    }
    Err(Failure::new(format!(
        "the module of the page has {compressed} bytes compressed, over the ceiling of {CEILING} in xtask/src/wasm/size.rs"
    )))
}

/// The number of crates that are listed. The rest are summed up.
const NAMED: usize = 14;

/// Prints the code size of each crate before wasm-opt, which removes the names.
fn print_by_crate(module: &Path) -> Result {
    let bytes = std::fs::read(module)
        .map_err(|error| Failure::new(format!("cannot read {}: {error}", module.display())))?;
    let mut sizes: Vec<_> = code_by_crate(&bytes)
        .ok_or_else(|| Failure::new(format!("{} is no module", module.display())))?
        .into_iter()
        .collect();
    sizes.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
    let rest: usize = sizes.iter().skip(NAMED).map(|(_, size)| size).sum();
    for (name, size) in sizes.iter().take(NAMED) {
        println!("{size:>9}  {name}");
    }
    println!("{rest:>9}  {} others", sizes.len().saturating_sub(NAMED));
    Ok(())
}

fn len(file: &Path) -> Result<u64> {
    let metadata = std::fs::metadata(file)
        .map_err(|error| Failure::new(format!("cannot read {}: {error}", file.display())))?;
    Ok(metadata.len())
}

/// Compresses a file as a web server would, and returns the compressed size.
fn compress(file: &Path) -> Result<u64> {
    Program::new("gzip")
        .args(["--best", "--force", "--keep"])
        .arg(file)
        .quiet()?;
    len(&file.with_extension("wasm.gz"))
}
