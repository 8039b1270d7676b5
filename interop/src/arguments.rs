//! The command line.

use std::{collections::HashMap, str::FromStr};

/// Flags with their values.
#[derive(Debug)]
pub(crate) struct Arguments(HashMap<String, String>);

impl Arguments {
    /// Reads `--flag value` pairs of the flags that are known.
    pub(crate) fn parse(
        mut words: impl Iterator<Item = String>,
        known: &[&str],
    ) -> Result<Self, String> {
        let mut flags = HashMap::new();
        while let Some(word) = words.next() {
            let flag = word
                .strip_prefix("--")
                .filter(|flag| known.contains(flag))
                .ok_or_else(|| format!("unknown argument {word}\n{}", crate::USAGE))?;
            let value = words
                .next()
                .ok_or_else(|| format!("--{flag} needs a value"))?;
            flags.insert(flag.to_owned(), value);
        }
        Ok(Self(flags))
    }

    /// The value of a flag, if it was given.
    pub(crate) fn take(&mut self, flag: &str) -> Option<String> {
        self.0.remove(flag)
    }

    /// The number that a flag says, if it was given.
    pub(crate) fn take_number<N: FromStr>(&mut self, flag: &str) -> Result<Option<N>, String> {
        let Some(text) = self.take(flag) else {
            return Ok(None);
        };
        let number = text.parse();
        number
            .map(Some)
            .map_err(|_| format!("--{flag} takes a number, not {text}"))
    }

    /// Where to listen: a free port of the loopback interface unless told otherwise.
    pub(crate) fn listen(&mut self) -> String {
        self.take("listen")
            .unwrap_or_else(|| "127.0.0.1:0".to_owned())
    }
}
