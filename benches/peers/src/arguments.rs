//! The command line of a program.

use std::{net::SocketAddr, str::FromStr, time::Duration};

use crate::{Failure, Result};

/// The task of the program.
#[derive(Debug, PartialEq)]
pub enum Command {
    /// Answers calls.
    Serve(Serve),
    /// Makes calls and counts them.
    Load(Load),
}

/// The settings of a server.
#[derive(Clone, Debug, PartialEq)]
pub struct Serve {
    /// The transport.
    pub over: String,
    /// The encoding, if there is a choice.
    pub encoding: Option<String>,
}

/// The settings of a load.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// The case: the operation that is repeated.
    pub case: String,
    /// The transport.
    pub over: String,
    /// The encoding, if there is a choice.
    pub encoding: Option<String>,
    /// The address of the server.
    pub at: SocketAddr,
    /// The duration of the measurement.
    pub time: Duration,
    /// The duration of the warm-up.
    pub warm_up: Duration,
    /// The number of concurrent tasks.
    pub in_flight: usize,
    /// The number of sessions that the case `idle` holds.
    pub sessions: usize,
}

impl Command {
    /// Parses the arguments of a measured program.
    ///
    /// # Errors
    ///
    /// Returns an error if the arguments are invalid.
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self> {
        let mut arguments = arguments.into_iter();
        let command = arguments.next().unwrap_or_default();
        match &*command {
            "serve" => {
                let options = Options::parse(arguments)?;
                Ok(Self::Serve(Serve {
                    over: options.required("over")?,
                    encoding: options.get("encoding"),
                }))
            }
            "load" => {
                let case = arguments
                    .next()
                    .ok_or_else(|| Failure::Usage("say which case".to_owned()))?;
                let options = Options::parse(arguments)?;
                Ok(Self::Load(Load {
                    case,
                    over: options.required("over")?,
                    encoding: options.get("encoding"),
                    at: options.required("at")?,
                    time: options.seconds("seconds", 2.0)?,
                    warm_up: options.seconds("warm-up", 0.3)?,
                    in_flight: options.parsed("in-flight")?.unwrap_or(1),
                    sessions: options.parsed("sessions")?.unwrap_or(10_000),
                }))
            }
            other => Err(Failure::Usage(format!(
                "either `serve` or `load`, not `{other}`"
            ))),
        }
    }
}

/// The options, each as `--name value`.
struct Options(Vec<(String, String)>);

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Vec::new();
        while let Some(argument) = arguments.next() {
            let name = argument.strip_prefix("--").map(str::to_owned);
            match (name, arguments.next()) {
                (Some(name), Some(value)) => options.push((name, value)),
                _ => return Err(Failure::Usage(format!("`{argument}` is no option"))),
            }
        }
        Ok(Self(options))
    }

    fn get(&self, name: &str) -> Option<String> {
        let found = self.0.iter().rfind(|(known, _)| known == name);
        found.map(|(_, value)| value.clone())
    }

    fn parsed<T: FromStr>(&self, name: &str) -> Result<Option<T>> {
        let parse = |value: String| {
            let wrong = || Failure::Usage(format!("--{name} cannot be `{value}`"));
            value.parse().map_err(|_| wrong())
        };
        self.get(name).map(parse).transpose()
    }

    fn required<T: FromStr>(&self, name: &str) -> Result<T> {
        self.parsed(name)?
            .ok_or_else(|| Failure::Usage(format!("say --{name}")))
    }

    fn seconds(&self, name: &str, otherwise: f64) -> Result<Duration> {
        let seconds = self.parsed(name)?.unwrap_or(otherwise);
        Duration::try_from_secs_f64(seconds)
            .map_err(|_| Failure::Usage(format!("--{name} cannot be `{seconds}`")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command> {
        Command::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn a_load_has_defaults() {
        let Ok(Command::Load(load)) =
            parse("load calls --over tcp --at 127.0.0.1:9 --seconds 0.5 --in-flight 64")
        else {
            panic!("it is a load");
        };
        assert_eq!(load.case, "calls");
        assert_eq!(load.at.port(), 9);
        assert_eq!(load.time, Duration::from_millis(500));
        assert_eq!(load.warm_up, Duration::from_millis(300));
        assert_eq!(load.in_flight, 64);
        assert_eq!(load.encoding, None);
    }

    #[test]
    fn a_server_is_told_its_transport() {
        let serve = Serve {
            over: "tcp".to_owned(),
            encoding: Some("json".to_owned()),
        };
        let parsed = parse("serve --over tcp --encoding json").ok();
        assert_eq!(parsed, Some(Command::Serve(serve)));
    }

    #[test]
    fn what_is_no_argument_is_refused() {
        for line in [
            "",
            "dance",
            "serve",
            "serve --over",
            "serve over tcp",
            "load",
            "load calls --over tcp",
            "load calls --over tcp --at nowhere",
            "load calls --over tcp --at 127.0.0.1:9 --seconds -1",
        ] {
            assert!(matches!(parse(line), Err(Failure::Usage(_))), "{line}");
        }
    }
}
