//! The options of `cargo xtask bench`.

use std::time::Duration;

use crate::{Failure, Result};

use super::programs::Name;

#[derive(Debug)]
pub(super) struct Options {
    /// The names of the groups or measurements to run. Empty means all.
    pub(super) only: Vec<String>,
    /// The programs to measure. Empty means all.
    pub(super) programs: Vec<Name>,
    pub(super) rounds: usize,
    /// The time for which each program is measured per round.
    pub(super) time: Duration,
    pub(super) warm_up: Duration,
    /// The number of sessions that are held open, for cases that measure them.
    pub(super) sessions: usize,
    /// True to only build the programs.
    pub(super) check: bool,
    /// True to only update the page, from earlier results.
    pub(super) render: bool,
}

impl Options {
    pub(super) fn parse(arguments: &[String]) -> Result<Self> {
        let mut options = Self {
            only: Vec::new(),
            programs: Vec::new(),
            rounds: 5,
            time: Duration::from_secs(2),
            warm_up: Duration::from_millis(300),
            sessions: 10_000,
            check: false,
            render: false,
        };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let mut value = || {
                words
                    .next()
                    .ok_or_else(|| Failure::new(format!("`{word}` needs a value")))
            };
            match word.as_str() {
                "--quick" => {
                    options.rounds = 1;
                    options.time = Duration::from_secs(1);
                    options.sessions = 2_000;
                }
                "--check" => options.check = true,
                "--render" => options.render = true,
                "--only" => options.only = value()?.split(',').map(str::to_owned).collect(),
                "--programs" => {
                    let names = value()?.split(',').map(Name::parse);
                    options.programs = names.collect::<Result<_>>()?;
                }
                "--rounds" => options.rounds = number(value()?)?.max(1),
                "--sessions" => options.sessions = number(value()?)?,
                "--seconds" => options.time = seconds(value()?)?,
                "--warm-up" => options.warm_up = seconds(value()?)?,
                _ => return Err(Failure::new(format!("unexpected argument `{word}`"))),
            }
        }
        Ok(options)
    }

    /// Returns whether to update the page. A table with missing rows is only printed.
    pub(super) fn writes_page(&self) -> bool {
        self.render || self.programs.is_empty()
    }

    pub(super) fn wants(&self, name: Name) -> bool {
        self.programs.is_empty() || self.programs.contains(&name)
    }
}

fn number(word: &str) -> Result<usize> {
    word.parse()
        .map_err(|_| Failure::new(format!("`{word}` is no number")))
}

fn seconds(word: &str) -> Result<Duration> {
    word.parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| Failure::new(format!("`{word}` is no number of seconds")))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Name, Options};

    fn parse(line: &str) -> crate::Result<Options> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Options::parse(&words)
    }

    #[test]
    fn options_are_read_in_order() {
        let options = parse("--quick --rounds 3 --only calls,map --programs ours,node").unwrap();
        assert_eq!(options.rounds, 3);
        assert_eq!(options.time, Duration::from_secs(1));
        assert_eq!(options.only, ["calls", "map"]);
        assert!(options.wants(Name::Node) && !options.wants(Name::Bun));
        assert!(!options.writes_page());
    }

    #[test]
    fn what_is_no_option_is_refused() {
        for line in [
            "--fast",
            "--rounds",
            "--rounds x",
            "--seconds -1",
            "--programs cobol",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
