//! Failures: their messages and exit codes.

use std::{fmt, process::ExitCode};

use capnweb::{ConnectFailure, EndCause, Error};

use crate::{
    expression::Problem,
    output::{
        human::harmless,
        json,
        style::{Role, Style},
    },
};

/// The exit codes that the help lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// The server answered with an error.
    Peer = 1,
    /// The expression or the command line is wrong.
    Usage = 2,
    Connect = 3,
    Timeout = 4,
    /// The session ended before the answer.
    Broken = 5,
}

/// A failure of the program.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    pub(crate) message: String,
    /// Advice on what to try.
    pub(crate) help: Option<String>,
    /// The peer's error, for `--json`.
    pub(crate) error: Option<Error>,
}

impl Failure {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            help: None,
            error: None,
        }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Code::Usage, message)
    }

    pub(crate) fn timeout(after: std::time::Duration) -> Self {
        Self::new(Code::Timeout, format!("no answer within {after:?}"))
            .help("the server may still be at work; wait longer with --timeout")
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn problem(problem: &Problem, source: &str) -> Self {
        Self::usage(problem.render(source))
    }

    /// Converts an error of the library, with an explanation.
    pub(crate) fn of(error: Error) -> Self {
        let mut failure = match error.connect_failure() {
            Some(reason) => Self::connect(reason, &error),
            None if error.is_disconnected() => Self::broken(&error),
            None => {
                let failure = Self::new(Code::Peer, error.to_string());
                match error.is_limit() || error.is_protocol() {
                    true => failure
                        .help("this program rejected the answer; the server itself may be fine"),
                    false => failure,
                }
            }
        };
        failure.error = Some(error);
        failure
    }

    fn connect(reason: &ConnectFailure, error: &Error) -> Self {
        let (code, help) = match reason {
            ConnectFailure::InvalidRequest => (Code::Usage, None),
            ConnectFailure::Timeout => (Code::Timeout, Some("wait longer with --timeout")),
            ConnectFailure::Dns => (Code::Connect, Some("is the host name right?")),
            ConnectFailure::Refused => (
                Code::Connect,
                Some("nothing listens there: is the server running, and is the port right?"),
            ),
            ConnectFailure::Unreachable => (
                Code::Connect,
                Some("no answer from this address: is a firewall or a VPN in the way?"),
            ),
            ConnectFailure::Certificate => (
                Code::Connect,
                Some(
                    "the certificate is not trusted: pass its authority with --cacert FILE, or accept any certificate \
                     with --insecure, for tests only (over webtransport: --cert-hash HASH)",
                ),
            ),
            ConnectFailure::Tls => (
                Code::Connect,
                Some("does this port use TLS? if not, use a ws:// or http:// URL"),
            ),
            ConnectFailure::Proxy { .. } => (
                Code::Connect,
                Some(
                    "the proxy is set by HTTP_PROXY, HTTPS_PROXY or ALL_PROXY; NO_PROXY=host bypasses it",
                ),
            ),
            ConnectFailure::Status {
                code: 401 | 403, ..
            } => (
                Code::Connect,
                Some(
                    "the server may require a login: --token-env NAME sends the token in that environment variable, \
                     and -H 'Cookie: …' sends any other header",
                ),
            ),
            ConnectFailure::Status { code: 404, .. } => (
                Code::Connect,
                Some("there is nothing at this path: often it is /api or /rpc"),
            ),
            ConnectFailure::Status {
                code: 405 | 415, ..
            } => (
                Code::Connect,
                Some("the server does not accept batches here: try ws:// or wss://"),
            ),
            ConnectFailure::Status {
                code: 200 | 400 | 426,
                ..
            } => (
                Code::Connect,
                Some(
                    "the server answers HTTP requests here, but perhaps not Cap'n Web: check the path, or try a batch \
                     with http:// or a WebSocket with ws://",
                ),
            ),
            ConnectFailure::Status {
                code: 429 | 503, ..
            } => (Code::Connect, Some("the server is busy: try again later")),
            ConnectFailure::Status { code: 500.., .. } => (
                Code::Connect,
                Some("the server or a proxy in front of it failed; see its log"),
            ),
            ConnectFailure::NotCapnWeb => (
                Code::Connect,
                Some(
                    "this is not a Cap'n Web server, or not at this path; a web page instead of messages often comes \
                     from a proxy or from a router for pages",
                ),
            ),
            ConnectFailure::Rejected => (
                Code::Connect,
                Some(
                    "the server rejects this path or this client: check the path and the headers sent with -H",
                ),
            ),
            _ => (Code::Connect, None),
        };
        let mut failure = Self::new(code, error.message());
        failure.help = help.map(str::to_owned);
        failure
    }

    fn broken(error: &Error) -> Self {
        let failure = Self::new(
            Code::Broken,
            format!("the session is over: {}", error.message()),
        );
        let help = match error.session_end().map(|end| end.cause()) {
            Some(EndCause::Protocol) => {
                "the server does not speak Cap'n Web, or runs an old version: try --peer-version 0.5"
            }
            Some(EndCause::Limit) => "the answer is larger than this program accepts",
            Some(EndCause::Here) if error.is_normal_end() => {
                "a batch is one exchange: `await` and template strings of results need ws:// or wss://"
            }
            Some(EndCause::Peer) => {
                "the server ended the session, and its log may say why; an old version does so when it receives \
                 something unknown (try --peer-version 0.5)"
            }
            _ => "the connection was lost before the answer; the calls may have run",
        };
        failure.help(help)
    }

    /// Prints the failure, as text or as JSON.
    pub(crate) fn report(&self, is_json: bool, style: Style) {
        if is_json {
            eprintln!("{}", self.to_json());
            return;
        }
        let label = style.paint(Role::Error, "error:");
        eprintln!("{label} {}", harmless(&self.message));
        if let Some(help) = &self.help {
            eprintln!("{} {help}", style.paint(Role::Strong, "help:"));
        }
        if let Some(error) = &self.error {
            self.report_details(error);
        }
    }

    fn report_details(&self, error: &Error) {
        if self.code != Code::Peer {
            return;
        }
        let props: Option<capnweb::Value> = error.props().and_then(|props| props.decode().ok());
        if let Some(props) = props {
            eprintln!(
                "  {}",
                crate::output::human::Printer::plain().one_line(&props)
            );
        }
        if let Some(stack) = error.stack() {
            for line in stack.lines().skip(1) {
                eprintln!("  {}", harmless(line.trim_end()));
            }
        }
    }

    fn to_json(&self) -> String {
        let mut out = String::from(r#"{"error":"#);
        match &self.error {
            Some(error) if self.code == Code::Peer => json::write_error(error, &mut out),
            _ => {
                out.push_str(r#"{"message":"#);
                json::string(&self.message, &mut out);
                out.push('}');
            }
        }
        if let Some(help) = &self.help {
            out.push_str(r#","help":"#);
            json::string(help, &mut out);
        }
        out.push_str(&format!(r#","code":{}}}"#, self.code as u8));
        out
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code as u8)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
