//! The command line.

use std::{collections::HashMap, str::FromStr, time::Duration};

use capnweb::{KeepAlive, PeerVersion, SessionOptions};

/// Flags with their values. A switch has none.
#[derive(Debug)]
pub(crate) struct Arguments(HashMap<String, String>);

impl Arguments {
    /// Parses `--flag value` pairs of known flags.
    pub(crate) fn parse(
        words: impl Iterator<Item = String>,
        known: &[&str],
    ) -> Result<Self, String> {
        Self::parse_with_switches(words, known, &[])
    }

    /// Parses `--flag value` pairs and switches, which have no value.
    pub(crate) fn parse_with_switches(
        mut words: impl Iterator<Item = String>,
        known: &[&str],
        switches: &[&str],
    ) -> Result<Self, String> {
        let mut flags = HashMap::new();
        while let Some(word) = words.next() {
            if let Some(switch) = word.strip_prefix("--")
                && switches.contains(&switch)
            {
                flags.insert(switch.to_owned(), String::new());
                continue;
            }
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

    /// Returns the value of a flag, if it is present.
    pub(crate) fn take(&mut self, flag: &str) -> Option<String> {
        self.0.remove(flag)
    }

    /// Returns whether a switch is present.
    pub(crate) fn has(&mut self, switch: &str) -> bool {
        self.take(switch).is_some()
    }

    /// Returns the duration of a flag in milliseconds, if it is present.
    fn milliseconds(&mut self, flag: &str) -> Result<Option<Duration>, String> {
        let number: Option<u64> = self.take_number(flag)?;
        Ok(number.map(Duration::from_millis))
    }

    /// Returns the version of the reference that the peers use: `--peer-version`.
    pub(crate) fn peer_version(&mut self) -> Result<PeerVersion, String> {
        Ok(match self.take("peer-version").as_deref() {
            None => PeerVersion::default(),
            Some("0.5") => PeerVersion::V0_5,
            Some("0.6") => PeerVersion::V0_6,
            Some("0.7") => PeerVersion::V0_7,
            Some("0.8") => PeerVersion::V0_8,
            Some("0.10") => PeerVersion::V0_10,
            Some("0.11") => PeerVersion::V0_11,
            Some("0.12") => PeerVersion::V0_12,
            Some(other) => return Err(format!("--peer-version: there is no {other}")),
        })
    }

    /// Returns the options of sessions, with the times of `--ping-interval` and `--ping-timeout`.
    pub(crate) fn session_options(&mut self) -> Result<SessionOptions, String> {
        let mut keep_alive = KeepAlive::new();
        if let Some(interval) = self.milliseconds("ping-interval")? {
            keep_alive = keep_alive.with_interval(interval);
        }
        if let Some(timeout) = self.milliseconds("ping-timeout")? {
            keep_alive = keep_alive.with_timeout(timeout);
        }
        Ok(SessionOptions::new().with_keep_alive(keep_alive))
    }

    /// Returns the number of a flag, if it is present.
    pub(crate) fn take_number<N: FromStr>(&mut self, flag: &str) -> Result<Option<N>, String> {
        let Some(text) = self.take(flag) else {
            return Ok(None);
        };
        let number = text.parse();
        number
            .map(Some)
            .map_err(|_| format!("--{flag} takes a number, not {text}"))
    }

    /// Returns the address to listen on. The default is a free port on the loopback interface.
    pub(crate) fn listen(&mut self) -> String {
        self.take("listen")
            .unwrap_or_else(|| "127.0.0.1:0".to_owned())
    }
}
