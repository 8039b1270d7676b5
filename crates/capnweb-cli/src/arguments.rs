//! The command line.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use capnweb::{PeerVersion, webtransport::CertificateHash};
use clap::{Args, Parser, Subcommand, builder::styling::AnsiColor, builder::styling::Styles};
use clap_complete::Shell;

use crate::{
    connect::{Endpoint, Settings, Trust, parse_hash},
    failure::Failure,
    output::{Format, style::Choice},
};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const AFTER_HELP: &str = "\
Expressions are JavaScript: paths, calls, literals, template strings, arrays, objects, and arrow functions for `map` and callbacks.
Names are members of the server's main object; `$name` is a value of --arg. One expression is one round trip:

    capnweb call ws://127.0.0.1:8080/api 'authenticate(\"t\").getFriendIds().map(id => [id, getUserName(id)])'

Addresses: ws://… wss://… http://… and https://… (one batch) webtransport://… tcp://host:port unix:/path exec:./program

Exit codes: 0 success, 1 an error from the server, 2 a mistake in the expression or the command line, 3 no connection,
4 no answer in time, 5 the session ended early.";

/// Calls, watches and measures any Cap'n Web server.
#[derive(Debug, Parser)]
#[command(name = "capnweb", version, styles = STYLES, after_help = AFTER_HELP, max_term_width = 100)]
pub(crate) struct Arguments {
    /// When to color the output.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub(crate) color: Choice,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Evaluate an expression and print its result.
    Call(Call),
    /// Evaluate expressions as they are typed, in one session.
    Repl(Repl),
    /// Pass a callback as `$cb` and print each of its calls as a line of JSON.
    Listen(Listen),
    /// Evaluate an expression repeatedly and measure it.
    Bench(Bench),
    /// Print the interface of a server in readable form.
    Describe(Describe),
    /// Print the interface of a server as TypeScript declarations.
    Dts(Describe),
    /// Watch sessions through a proxy, or look at a recording of some.
    Inspect(Inspect),
    /// Send what the client of a recording sent, and compare the answers.
    Replay(Replay),
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Print the manual page, or write one page per command to a folder.
    Man {
        /// The folder to write the pages to.
        #[arg(long, value_name = "FOLDER")]
        out: Option<PathBuf>,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Call {
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// The expression, such as `add(1, 2)`. `-` reads it from standard input.
    #[arg(value_name = "EXPR", allow_hyphen_values = true)]
    pub(crate) expression: String,
    #[command(flatten)]
    pub(crate) form: Form,
    /// Write the result to a file. Bytes and streams of bytes are written unchanged.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) values: Values,
    /// Print the number of calls, round trips, messages and bytes to standard error.
    #[arg(long)]
    pub(crate) stats: bool,
}

/// The output format of results.
#[derive(Args, Debug)]
#[group(multiple = false)]
pub(crate) struct Form {
    /// Print JSON, with tags such as `{"$date":"…"}` for values that JSON lacks.
    #[arg(long)]
    pub(crate) json: bool,
    /// Print a table.
    #[arg(long)]
    pub(crate) table: bool,
    /// Print strings and bytes unchanged.
    #[arg(long)]
    pub(crate) raw: bool,
}

impl Form {
    pub(crate) fn format(&self) -> Format {
        match self {
            Self { json: true, .. } => Format::Json,
            Self { table: true, .. } => Format::Table,
            Self { raw: true, .. } => Format::Raw,
            _ => Format::Human,
        }
    }
}

/// The values of `$name` variables.
#[derive(Args, Debug)]
pub(crate) struct Values {
    /// Set `$name`: `name=text`, `name=@file` for bytes, `name:text=@file`, `name:json=VALUE`,
    /// `name:stream=@file`. The file `-` is standard input.
    #[arg(long = "arg", value_name = "NAME=VALUE")]
    pub(crate) arg: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Repl {
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) form: Form,
    #[command(flatten)]
    pub(crate) values: Values,
    /// The history file. Lines that begin with a space are not saved.
    #[arg(long, value_name = "FILE", conflicts_with = "no_history")]
    pub(crate) history: Option<PathBuf>,
    /// Save no history.
    #[arg(long)]
    pub(crate) no_history: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Listen {
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// The expression, such as `onEvent($cb)`, or one whose result is a stream.
    #[arg(value_name = "EXPR", allow_hyphen_values = true)]
    pub(crate) expression: String,
    /// Stop after this many calls.
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// Print strings unchanged instead of as JSON.
    #[arg(long)]
    pub(crate) raw: bool,
    #[command(flatten)]
    pub(crate) values: Values,
}

#[derive(Args, Debug)]
pub(crate) struct Bench {
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// The expression.
    #[arg(value_name = "EXPR", allow_hyphen_values = true)]
    pub(crate) expression: String,
    /// The number of evaluations at a time.
    #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) concurrency: u32,
    /// The duration of the measurement.
    #[arg(short, long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub(crate) duration: Duration,
    /// Stop earlier, after this many evaluations.
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// The number of sessions. A batch takes one request per evaluation instead.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) sessions: u32,
    /// Print the result as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) values: Values,
}

#[derive(Args, Debug)]
pub(crate) struct Describe {
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// The object to describe, such as `authenticate("t")`. The default is the main object.
    #[arg(value_name = "EXPR")]
    pub(crate) expression: Option<String>,
    /// Print the description as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Inspect {
    /// A recording to look at.
    #[arg(value_name = "FILE", conflicts_with_all = ["listen", "to", "record"])]
    pub(crate) recording: Option<PathBuf>,
    /// Let sessions pass through this address, such as `127.0.0.1:9000`.
    #[arg(long, value_name = "ADDRESS", help_heading = "Proxy")]
    pub(crate) listen: Option<SocketAddr>,
    /// Pass them on to this server: ws://… wss://… http://… https://…
    #[arg(long, value_name = "URL", help_heading = "Proxy")]
    pub(crate) to: Option<String>,
    /// Write a recording.
    #[arg(long, value_name = "FILE", help_heading = "Proxy")]
    pub(crate) record: Option<PathBuf>,
    /// Remove the values of this name too, such as `diagnosis`. Those of `password`, `token` and
    /// similar names are always removed.
    #[arg(long, value_name = "NAME", help_heading = "Proxy")]
    pub(crate) redact: Vec<String>,
    /// Show and record everything, passwords and tokens included.
    #[arg(long, help_heading = "Proxy", conflicts_with = "redact")]
    pub(crate) no_redact: bool,
    /// Send a header to the server, such as `Cookie: a=b`.
    #[arg(
        short = 'H',
        long = "header",
        value_name = "NAME: VALUE",
        help_heading = "Proxy"
    )]
    pub(crate) headers: Vec<String>,
    /// Trust only the authorities in this PEM file.
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Proxy",
        conflicts_with = "insecure"
    )]
    pub(crate) cacert: Option<PathBuf>,
    /// Accept any certificate of the server.
    #[arg(long, help_heading = "Proxy")]
    pub(crate) insecure: bool,
    /// Time limit for connections to the server, or `none`.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = timeout, help_heading = "Proxy")]
    pub(crate) timeout: Timeout,
    /// Keep this many calls of a session.
    #[arg(
        long,
        value_name = "CALLS",
        default_value_t = 10_000,
        help_heading = "Proxy"
    )]
    pub(crate) window: usize,
    /// Allow addresses that others can reach.
    #[arg(long, help_heading = "Proxy")]
    pub(crate) allow_remote: bool,
    /// Serve a page with the waterfall on this address, such as `127.0.0.1:9001`.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) web: Option<SocketAddr>,
    /// Show the sessions in the terminal as they go on.
    #[cfg(feature = "tui")]
    #[arg(long, requires = "listen", help_heading = "Proxy")]
    pub(crate) tui: bool,
    /// Print nothing of sessions that have ended.
    #[arg(long, help_heading = "Proxy")]
    pub(crate) quiet: bool,
    /// Show this session of a recording alone.
    #[arg(long, value_name = "N")]
    pub(crate) session: Option<u64>,
    #[command(flatten)]
    pub(crate) form: InspectForm,
}

/// The form in which a recording is shown.
#[derive(Args, Debug)]
#[group(multiple = false, conflicts_with_all = ["listen", "to", "web"])]
pub(crate) struct InspectForm {
    /// Print a line for each call, under the call that it depends on. This is the default.
    #[arg(long)]
    pub(crate) calls: bool,
    /// Print what was still held at the end; exit with 1 if anything was.
    #[arg(long)]
    pub(crate) leaks: bool,
    /// Print a sequence diagram in Mermaid's language.
    #[arg(long)]
    pub(crate) mermaid: bool,
    /// Print the waterfall as a picture.
    #[arg(long)]
    pub(crate) svg: bool,
    /// Print everything as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Print the page with the recording in it, as one file.
    #[arg(long)]
    pub(crate) html: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Replay {
    /// The recording.
    #[arg(value_name = "FILE")]
    pub(crate) recording: PathBuf,
    /// The server: ws://… wss://… http://… https://…
    #[arg(long, value_name = "URL")]
    pub(crate) to: String,
    /// Send this session alone. By default, all of the recording, one after the other.
    #[arg(long, value_name = "N")]
    pub(crate) session: Option<u64>,
    /// Do not compare values of this property, such as `createdAt`.
    #[arg(long, value_name = "NAME")]
    pub(crate) ignore: Vec<String>,
    /// Send a header, such as `Cookie: a=b`.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub(crate) headers: Vec<String>,
    /// Trust only the authorities in this PEM file.
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    pub(crate) cacert: Option<PathBuf>,
    /// Accept any certificate of the server.
    #[arg(long)]
    pub(crate) insecure: bool,
    /// Time limit for each answer, or `none`.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = timeout)]
    pub(crate) timeout: Timeout,
}

/// The arguments for connecting.
#[derive(Args, Debug)]
pub(crate) struct Connection {
    /// The address: ws://… wss://… http://… https://… webtransport://… tcp://… unix:… exec:…
    #[arg(value_name = "URL")]
    pub(crate) url: String,
    /// Send a header, such as `Cookie: a=b`.
    #[arg(
        short = 'H',
        long = "header",
        value_name = "NAME: VALUE",
        help_heading = "Connection"
    )]
    pub(crate) headers: Vec<String>,
    /// Send the token in this environment variable, as `Authorization: Bearer …`.
    #[arg(long, value_name = "VARIABLE", help_heading = "Connection")]
    pub(crate) token_env: Option<String>,
    /// Trust only the certificate authorities in this PEM file.
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Connection",
        group = "trust"
    )]
    pub(crate) cacert: Option<PathBuf>,
    /// Accept any certificate. This does not verify the server's identity.
    #[arg(long, help_heading = "Connection", group = "trust")]
    pub(crate) insecure: bool,
    /// Accept only a certificate with this SHA-256 hash, over WebTransport.
    #[arg(long, value_name = "HASH", value_parser = parse_hash, help_heading = "Connection", group = "trust")]
    pub(crate) cert_hash: Vec<CertificateHash>,
    /// The time limit for connecting and for each answer: `500ms`, `10s`, `2m`, or `none`.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = timeout, help_heading = "Connection")]
    pub(crate) timeout: Timeout,
    /// The server's version of npm capnweb, if it is older: 0.5 to 0.12.
    #[arg(long, value_name = "VERSION", default_value = "0.12", value_parser = peer_version, help_heading = "Connection")]
    pub(crate) peer_version: PeerVersion,
}

/// A time limit, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timeout(pub(crate) Option<Duration>);

impl Connection {
    /// Checks the arguments and returns the settings for connecting.
    pub(crate) fn settings(&self) -> Result<Settings, Failure> {
        let endpoint = Endpoint::parse(&self.url)?;
        let mut headers = Vec::new();
        for header in &self.headers {
            let Some((name, value)) = header.split_once(':') else {
                return Err(Failure::usage(format!("the header `{header}` has no `:`"))
                    .help("for example: -H 'Cookie: a=b'"));
            };
            headers.push((name.trim().to_owned(), value.trim().to_owned()));
        }
        if let Some(variable) = &self.token_env {
            let token = std::env::var(variable).unwrap_or_default();
            if token.is_empty() {
                return Err(Failure::usage(format!(
                    "--token-env: the variable {variable} is not set"
                )));
            }
            headers.push((
                "authorization".to_owned(),
                format!("Bearer {}", token.trim()),
            ));
        }
        if !headers.is_empty() && !endpoint.has_headers() {
            return Err(Failure::usage(
                "this transport has no headers, so -H and --token-env have no effect",
            )
            .help("pass the token as an argument of a call"));
        }
        let trust = self.trust()?;
        if !matches!(trust, Trust::Platform) && !endpoint.is_tls() {
            return Err(Failure::usage(
                "there are no certificates with this transport, so --cacert, --insecure and --cert-hash have no effect",
            ));
        }
        match (&trust, &endpoint) {
            (Trust::Anything, Endpoint::WebTransport(_)) => {
                return Err(Failure::usage("--insecure does not work over WebTransport")
                    .help("use --cert-hash with the hash that the server prints, or --cacert"));
            }
            (Trust::Hashes(_), endpoint) if !matches!(endpoint, Endpoint::WebTransport(_)) => {
                return Err(Failure::usage("--cert-hash only works over WebTransport")
                    .help("use --cacert with the server's certificate"));
            }
            _ => {}
        }
        Ok(Settings {
            endpoint,
            headers,
            trust,
            timeout: self.timeout.0,
            peer_version: self.peer_version,
        })
    }

    fn trust(&self) -> Result<Trust, Failure> {
        if let Some(path) = &self.cacert {
            return Trust::from_pem(path);
        }
        Ok(match (self.insecure, self.cert_hash.as_slice()) {
            (true, _) => Trust::Anything,
            (false, []) => Trust::Platform,
            (false, hashes) => Trust::Hashes(hashes.to_vec()),
        })
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.get(digits.len()..).unwrap_or_default();
    let seconds = match unit {
        "ms" => 0.001,
        "s" | "" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err("the units are ms, s, m and h".to_owned()),
    };
    let amount: f64 = digits
        .parse()
        .map_err(|_| "a time is written as 500ms, 10s or 2m".to_owned())?;
    let duration = Duration::try_from_secs_f64(amount * seconds).ok();
    duration
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "a time is more than 0".to_owned())
}

fn timeout(text: &str) -> Result<Timeout, String> {
    match text {
        "none" => Ok(Timeout(None)),
        _ => duration(text).map(|limit| Timeout(Some(limit))),
    }
}

fn peer_version(text: &str) -> Result<PeerVersion, String> {
    Ok(match text {
        "0.5" => PeerVersion::V0_5,
        "0.6" => PeerVersion::V0_6,
        "0.7" => PeerVersion::V0_7,
        "0.8" | "0.9" => PeerVersion::V0_8,
        "0.10" => PeerVersion::V0_10,
        "0.11" => PeerVersion::V0_11,
        "0.12" => PeerVersion::V0_12,
        _ => return Err("the versions are 0.5 to 0.12".to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn times_have_units() {
        for (text, millis) in [
            ("500ms", 500),
            ("10s", 10_000),
            ("1.5", 1500),
            ("2m", 120_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "s", "0s", "-1s", "1d", "1e400s", "NaN"] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert_eq!(timeout("none"), Ok(Timeout(None)));
    }
}
