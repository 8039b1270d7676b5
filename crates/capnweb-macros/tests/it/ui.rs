//! Compiler errors for mistakes of users.
//!
//! `tests/ui/*.rs` are programs with mistakes, and `*.stderr` next to them contain the compiler's
//! output. To accept a change: `TRYBUILD=overwrite cargo test -p capnweb-macros --test it ui`. Then
//! read the output as a user would who has never seen the expansion.

#[test]
fn mistakes_are_explained() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/*.rs");
}

/// Compares the errors that the book's page on errors quotes with the compiler's output.
#[test]
fn the_book_quotes_the_compilers_errors() {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let said: String = std::fs::read_dir(here.join("tests/ui"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "stderr")
        })
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    let page = std::fs::read_to_string(here.join("../../docs/reading-errors.md")).unwrap();
    let quotes: Vec<_> = page
        .lines()
        .filter(|line| line.starts_with("error"))
        .collect();
    assert!(quotes.len() > 10, "{quotes:?}");
    for quote in quotes {
        // The page omits the paths of files.
        let mut parts = quote.split('…');
        let begins = parts.next().unwrap();
        let ends = parts.next().unwrap_or("");
        let is_it = |line: &str| line.starts_with(begins) && line.ends_with(ends);
        assert!(said.lines().any(is_it), "nobody says: {quote}");
    }
}
