//! Generates `pages.rs`, which contains a test for each Rust block of the README and the book.

use std::error::Error;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// A Rust block of a page.
struct Block {
    /// The line of its fence, starting at 1.
    line: usize,
    /// The code of its test: the scaffold followed by its own lines.
    code: String,
    continued: bool,
    no_run: bool,
}

fn main() -> Result {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let root = here.join("../..");
    let scaffold = here.join("scaffold");
    let docs = root.join("docs");

    let mut pages = vec![root.join("README.md")];
    for entry in fs::read_dir(&docs)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path);
        }
    }
    pages.sort();

    let mut tests = String::new();
    for page in &pages {
        println!("cargo::rerun-if-changed={}", page.display());
        write_page(&mut tests, page, &docs, &scaffold)?;
    }
    println!("cargo::rerun-if-changed={}", docs.display());
    println!("cargo::rerun-if-changed={}", scaffold.display());
    println!("cargo::rerun-if-changed=build.rs");
    fs::write(Path::new(&env::var("OUT_DIR")?).join("pages.rs"), tests)?;
    Ok(())
}

/// Generates a module with the tests of one page.
fn write_page(tests: &mut String, page: &Path, docs: &Path, scaffold: &Path) -> Result {
    let mut name = page
        .file_stem()
        .ok_or("a page without a name")?
        .to_string_lossy()
        .to_lowercase()
        .replace('-', "_");
    if name == "readme" && page.parent() == Some(docs) {
        name = "book".to_owned();
    }
    let text = fs::read_to_string(page)?;
    let blocks = blocks(&text, scaffold).map_err(|error| format!("{}: {error}", page.display()))?;

    writeln!(tests, "#[allow(warnings, clippy::all)]\nmod {name} {{")?;
    let mut code = String::new();
    let mut no_run = false;
    for block in blocks {
        if !block.continued {
            code.clear();
            no_run = false;
        }
        code.push_str(&block.code);
        // A block that must not be run must not be run as a part of another block either.
        no_run |= block.no_run;
        writeln!(tests, "mod line_{} {{", block.line)?;
        write_test(tests, &code, no_run)?;
        writeln!(tests, "}}")?;
    }
    writeln!(tests, "}}")?;
    Ok(())
}

/// Generates a test, or a function if the block is not run.
fn write_test(tests: &mut String, code: &str, no_run: bool) -> Result {
    if code.contains("fn main(") {
        writeln!(tests, "{code}")?;
        if !no_run {
            writeln!(
                tests,
                "#[test]\nfn runs() -> impl std::process::Termination {{ main() }}"
            )?;
        }
        return Ok(());
    }
    let test = "#[tokio::test(flavor = \"multi_thread\", worker_threads = 1)]";
    let signature = "async fn runs() -> Result<(), Box<dyn std::error::Error>>";
    let attribute = if no_run { "" } else { test };
    writeln!(tests, "{attribute}\n{signature} {{\n{code}\nOk(())\n}}")?;
    Ok(())
}

/// Finds the Rust blocks of a page.
fn blocks(text: &str, scaffold: &Path) -> Result<Vec<Block>> {
    let mut blocks = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let Some(fence) = line.strip_prefix("```") else {
            continue;
        };
        let mut words = fence.split(',');
        let is_rust = words.next() == Some("rust") && !fence.ends_with(",ignore");
        let mut block = Block {
            line: number + 1,
            code: String::new(),
            continued: false,
            no_run: false,
        };
        if is_rust {
            for word in words {
                match word.split_once('=') {
                    None if word == "no_run" => block.no_run = true,
                    None if word == "continued" => block.continued = true,
                    Some(("with", name)) => {
                        let path = scaffold.join(name).with_extension("rs");
                        println!("cargo::rerun-if-changed={}", path.display());
                        block.code += &fs::read_to_string(path)
                            .map_err(|error| format!("scaffold `{name}`: {error}"))?;
                    }
                    _ => return Err(format!("line {}: unknown word `{word}`", number + 1).into()),
                }
            }
        }
        loop {
            let (_, line) = lines.next().ok_or("a block without an end")?;
            if line.starts_with("```") {
                break;
            }
            block.code += hidden_shown(line);
            block.code.push('\n');
        }
        if is_rust {
            blocks.push(block);
        }
    }
    Ok(blocks)
}

/// Returns the code of a line, which may be hidden as in rustdoc.
fn hidden_shown(line: &str) -> &str {
    match line.trim_start() {
        "#" => "",
        trimmed => trimmed.strip_prefix("# ").unwrap_or(line),
    }
}
