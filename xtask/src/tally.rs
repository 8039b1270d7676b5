//! Test results, parsed from the output of any test runner.

use std::fmt;
use std::ops::AddAssign;

/// The numbers of tests that passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Tally {
    pub(crate) fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// Adds the numbers of `line`, if it is the summary of a test runner: of `cargo test`, of
    /// nextest, or a plain `3 passed, 1 failed` as our own harnesses print it.
    pub(crate) fn read(&mut self, line: &str) {
        let line = without_colours(line);
        let line = line.trim_end();
        if is_closing_line(line) {
            self.passed += count(line, &["passed"]);
            self.failed += count(line, &["failed", "timed out", "exec failed"]);
        }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

fn is_closing_line(line: &str) -> bool {
    // Nextest indents its own summary. Other indented lines are its quotes of failed tests.
    line.starts_with("test result:") || line.trim_start().starts_with("Summary [") || is_plain(line)
}

/// Returns whether the line is `3 passed, 1 failed`, optionally followed by `, 2 skipped`.
fn is_plain(line: &str) -> bool {
    let mut parts = line.split(", ");
    let mut next_is = |word: &str| {
        parts
            .next()
            .and_then(|part| part.split_once(' '))
            .is_some_and(|(number, found)| number.parse::<u64>().is_ok() && found == word)
    };
    next_is("passed") && next_is("failed")
}

/// Returns the sum of the numbers before any of `words`.
fn count(line: &str, words: &[&str]) -> u64 {
    line.split([',', ';', ':', '.', '('])
        .filter_map(|part| part.trim().split_once(' '))
        .filter(|(_, word)| words.contains(&word.trim_end_matches(')')))
        .filter_map(|(number, _)| number.parse::<u64>().ok())
        .sum()
}

/// Returns `line` without the color sequences of a terminal.
fn without_colours(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(start) = rest.find('\u{1b}') {
        plain.push_str(&rest[..start]);
        rest = match rest[start..].find('m') {
            Some(end) => &rest[start + end + 1..],
            None => "",
        };
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::Tally;

    fn read(line: &str) -> (u64, u64) {
        let mut tally = Tally::default();
        tally.read(line);
        (tally.passed, tally.failed)
    }

    #[test]
    fn reads_cargo_test() {
        let line = "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s";
        assert_eq!(read(line), (12, 0));
        assert_eq!(
            read("test result: FAILED. 3 passed; 2 failed; 0 ignored"),
            (3, 2)
        );
    }

    #[test]
    fn reads_nextest() {
        assert_eq!(
            read("     Summary [   0.020s] 3 tests run: 2 passed (1 slow), 1 failed, 0 skipped"),
            (2, 1)
        );
        assert_eq!(
            read(
                "\u{1b}[31;1m     Summary\u{1b}[0m [   1.2s] \u{1b}[1m4\u{1b}[0m tests run: \u{1b}[1m1\u{1b}[0m \u{1b}[32;1mpassed\u{1b}[0m, \u{1b}[1m1\u{1b}[0m \u{1b}[31;1mfailed\u{1b}[0m, \u{1b}[1m2\u{1b}[0m \u{1b}[31;1mtimed out\u{1b}[0m, 5 skipped"
            ),
            (1, 3)
        );
    }

    #[test]
    fn what_a_runner_quotes_is_not_counted_twice() {
        assert_eq!(
            read("    test result: FAILED. 0 passed; 1 failed; 0 ignored"),
            (0, 0)
        );
        assert_eq!(read("    7 passed, 1 failed"), (0, 0));
    }

    #[test]
    fn reads_a_plain_line_only_when_it_stands_alone() {
        assert_eq!(read("7 passed, 1 failed"), (7, 1));
        assert_eq!(read("7 passed, 0 failed, 2 skipped"), (7, 0));
        assert_eq!(read("in all 7 passed, 1 failed"), (0, 0));
        assert_eq!(read("assertion: 7 passed, 1 failed"), (0, 0));
    }
}
