//! The options of the program.

use std::{fmt, net::SocketAddr, str::FromStr, time::Duration};

use crate::framing::Framing;

/// The maximum number of calls in flight. More could fill the buffers of both directions, and then
/// both sides would wait for each other.
const MOST_IN_FLIGHT: usize = 4096;

/// The task to perform.
#[derive(Debug, PartialEq)]
pub(crate) enum Command {
    Calls(Options),
    Echo(Options),
    SelfTest(Options),
}

/// The settings of the task.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Options {
    pub(crate) over: Framing,
    pub(crate) at: SocketAddr,
    pub(crate) time: Duration,
    pub(crate) warm_up: Duration,
    /// The number of calls in flight.
    pub(crate) in_flight: usize,
    /// The number of results that are kept on the server first.
    pub(crate) exports: u64,
    /// True to wait without sleeping.
    pub(crate) spin: bool,
}

/// The reason why the arguments are rejected.
#[derive(Debug, PartialEq)]
pub(crate) enum Refusal {
    /// The arguments are invalid.
    Usage(String),
    /// The arguments are valid for another program.
    Unsupported(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(why) => f.write_str(why),
            Self::Unsupported(why) => write!(f, "unsupported: {why}"),
        }
    }
}

impl Refusal {
    /// Returns the exit code of the process.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Unsupported(_) => 3,
        }
    }
}

type Result<T> = std::result::Result<T, Refusal>;

fn usage<T>(why: impl Into<String>) -> Result<T> {
    Err(Refusal::Usage(why.into()))
}

impl Command {
    pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self> {
        let mut arguments = arguments.into_iter();
        match arguments.next().as_deref() {
            Some("self-test") => Ok(Self::SelfTest(Options::parse(arguments)?)),
            Some("load") => {
                let case = arguments.next().unwrap_or_default();
                let options = Options::parse(arguments)?;
                if options.at.port() == 0 {
                    return usage("say where the server is, by --at");
                }
                match &*case {
                    "calls" => Ok(Self::Calls(options)),
                    "echo" => Ok(Self::Echo(options)),
                    _ => Err(Refusal::Unsupported(format!("no raw load {case}"))),
                }
            }
            Some("serve") => Err(Refusal::Unsupported("the raw load is no server".to_owned())),
            _ => usage("either `load` or `self-test`"),
        }
    }
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            over: Framing::WebSocket,
            at: SocketAddr::from(([127, 0, 0, 1], 0)),
            time: Duration::from_secs(2),
            warm_up: Duration::from_millis(300),
            in_flight: 1,
            exports: 0,
            spin: false,
        };
        while let Some(name) = arguments.next() {
            if name == "--spin" {
                options.spin = true;
                continue;
            }
            let value = arguments.next().unwrap_or_default();
            match &*name {
                "--over" => options.over = parse_over(&value)?,
                "--at" => options.at = parse(&name, &value)?,
                "--seconds" => options.time = parse_seconds(&name, &value)?,
                "--warm-up" => options.warm_up = parse_seconds(&name, &value)?,
                "--in-flight" => options.in_flight = parse(&name, &value)?,
                "--exports" => options.exports = parse(&name, &value)?,
                _ => return usage(format!("there is no option {name}")),
            }
        }
        if !(1..=MOST_IN_FLIGHT).contains(&options.in_flight) {
            return usage(format!("--in-flight is between 1 and {MOST_IN_FLIGHT}"));
        }
        Ok(options)
    }
}

fn parse_over(value: &str) -> Result<Framing> {
    match value {
        "websocket" => Ok(Framing::WebSocket),
        "lines" => Ok(Framing::Lines),
        _ => Err(Refusal::Unsupported(format!("no raw load over {value}"))),
    }
}

fn parse<T: FromStr>(name: &str, value: &str) -> Result<T> {
    let wrong = || Refusal::Usage(format!("{name} cannot be `{value}`"));
    value.parse().map_err(|_| wrong())
}

fn parse_seconds(name: &str, value: &str) -> Result<Duration> {
    let wrong = || Refusal::Usage(format!("{name} cannot be `{value}`"));
    Duration::try_from_secs_f64(parse(name, value)?).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command> {
        Command::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn a_load_is_told_everything() {
        let line = "load calls --over lines --at 127.0.0.1:9 --seconds 0.5 --warm-up 0 --in-flight 64 --exports 7 --spin";
        let options = Options {
            over: Framing::Lines,
            at: SocketAddr::from(([127, 0, 0, 1], 9)),
            time: Duration::from_millis(500),
            warm_up: Duration::ZERO,
            in_flight: 64,
            exports: 7,
            spin: true,
        };
        assert_eq!(parse(line), Ok(Command::Calls(options)));
    }

    #[test]
    fn what_is_no_argument_is_refused() {
        for line in [
            "",
            "dance",
            "load calls",
            "load calls --at",
            "load calls --at nowhere",
            "load calls --at 127.0.0.1:9 --seconds -1",
            "load calls --at 127.0.0.1:9 --in-flight 0",
            "load calls --at 127.0.0.1:9 --in-flight 5000",
            "load calls --at 127.0.0.1:9 --dance",
        ] {
            assert!(matches!(parse(line), Err(Refusal::Usage(_))), "{line}");
        }
    }

    #[test]
    fn what_others_measure_is_unsupported() {
        for line in [
            "load chains --at 127.0.0.1:9",
            "load calls --over batch --at 127.0.0.1:9",
            "serve --over websocket",
        ] {
            assert!(
                matches!(parse(line), Err(Refusal::Unsupported(_))),
                "{line}"
            );
        }
    }
}
