//! `cargo xtask wasm --size`: the size of a page's module, with an upper limit.

use std::collections::BTreeMap;
use std::path::Path;

use super::{PAGE, Profile, Tools, by_crate::code_by_crate};
use crate::program::Program;
use crate::tally::Tally;
use crate::{Failure, Result, interop, workspace};

/// The maximum size of the example page's module, compressed by gzip, in bytes. It is the size
/// measured on 2026-11-29, plus a few percent for other compilers.
const CEILING: u64 = 206_000;

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

/// Optimizes a module.
fn wasm_opt(from: &Path, to: &Path, arguments: &[&str]) -> Result {
    Program::new("node")
        .arg("interop/web/node_modules/binaryen/bin/wasm-opt")
        .args(arguments)
        .args(FEATURES.iter().map(|feature| format!("--enable-{feature}")))
        .arg(from)
        .arg("-o")
        .arg(to)
        .quiet_but_announced()
        .map(drop)
}

/// Builds the page of the example `drawing` as small as possible, and prints its size.
pub(super) fn run(tools: &Tools) -> Result<Tally> {
    interop::npm_packages("interop/web")?;
    let module = tools.build(PAGE, Profile::Small)?;
    let folder = workspace::target_dir()?.join("wasm-size");
    tools.bindings("web", &module, &folder).run()?;
    let bound = folder.join("drawing_web_bg.wasm");
    let named = folder.join("named.wasm");
    let small = folder.join("small.wasm");
    wasm_opt(
        &bound,
        &named,
        &[&["-Oz", "--debuginfo"], INLINING].concat(),
    )?;
    wasm_opt(&named, &small, &["--strip-debug", "--strip-producers"])?;
    print_by_crate(&bound, &named)?;
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

/// Prints the code size of each crate before and after wasm-opt.
fn print_by_crate(before: &Path, after: &Path) -> Result {
    let (before, after) = (by_crate(before)?, by_crate(after)?);
    let mut sizes: Vec<_> = before
        .iter()
        .map(|(name, size)| (name, *size, after.get(name).copied().unwrap_or_default()))
        .collect();
    sizes.sort_by_key(|(_, size, _)| std::cmp::Reverse(*size));
    let rest = sizes
        .iter()
        .skip(NAMED)
        .fold((0, 0), |sum, size| (sum.0 + size.1, sum.1 + size.2));
    println!("   before      after wasm-opt");
    for (name, before, after) in sizes.iter().take(NAMED) {
        println!("{before:>9}  {after:>9}  {name}");
    }
    let others = sizes.len().saturating_sub(NAMED);
    println!("{:>9}  {:>9}  {others} others", rest.0, rest.1);
    Ok(())
}

/// Returns the code size of each crate.
fn by_crate(module: &Path) -> Result<BTreeMap<String, usize>> {
    let bytes = std::fs::read(module)
        .map_err(|error| Failure::new(format!("cannot read {}: {error}", module.display())))?;
    code_by_crate(&bytes).ok_or_else(|| Failure::new(format!("{} is no module", module.display())))
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
