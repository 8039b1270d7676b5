//! Failures: what is said, and the exit code.

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

/// Exit codes, as the help lists them.
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
    /// What to try.
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

    /// Explains an error of the library.
    pub(crate) fn of(error: Error) -> Self {
        let mut failure = match error.connect_failure() {
            Some(reason) => Self::connect(reason, &error),
            None if error.is_disconnected() => Self::broken(&error),
            None => {
                let failure = Self::new(Code::Peer, error.to_string());
                match error.is_limit() || error.is_protocol() {
                    true => failure.help("this program refused it; nothing is known of the server"),
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
            ConnectFailure::Dns => (Code::Connect, Some("is the name of the host right?")),
            ConnectFailure::Refused => (
                Code::Connect,
                Some("nothing listens there: is the server running, and the port right?"),
            ),
            ConnectFailure::Unreachable => (
                Code::Connect,
                Some("no answer from there: is a firewall or a VPN in the way?"),
            ),
            ConnectFailure::Certificate => (
                Code::Connect,
                Some(
                    "the certificate is not trusted here: name the authority that signed it with --cacert FILE, or \
                     accept any with --insecure, for tests alone (over webtransport: --cert-hash HASH)",
                ),
            ),
            ConnectFailure::Tls => (
                Code::Connect,
                Some("is this port served without TLS? then the URL begins with ws:// or http://"),
            ),
            ConnectFailure::Proxy { .. } => (
                Code::Connect,
                Some(
                    "the proxy comes from HTTP_PROXY, HTTPS_PROXY or ALL_PROXY; NO_PROXY=host leaves it out",
                ),
            ),
            ConnectFailure::Status {
                code: 401 | 403, ..
            } => (
                Code::Connect,
                Some(
                    "the server wants to know who you are: --token-env NAME sends the token in that variable, and -H \
                     'Cookie: …' any other header",
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
                Some("the server takes no batches here: try ws:// or wss://"),
            ),
            ConnectFailure::Status {
                code: 200 | 400 | 426,
                ..
            } => (
                Code::Connect,
                Some(
                    "the server speaks HTTP here, and perhaps no Cap'n Web: check the path, or try a batch with http:// \
                     or a WebSocket with ws://",
                ),
            ),
            ConnectFailure::Status {
                code: 429 | 503, ..
            } => (Code::Connect, Some("the server is busy: try again later")),
            ConnectFailure::Status { code: 500.., .. } => (
                Code::Connect,
                Some("the server, or a proxy in front of it, has failed; its log says why"),
            ),
            ConnectFailure::NotCapnWeb => (
                Code::Connect,
                Some(
                    "this is no Cap'n Web server, or not at this path; a page in place of messages often comes from a \
                     proxy or a router of pages",
                ),
            ),
            ConnectFailure::Rejected => (
                Code::Connect,
                Some(
                    "the server rejects this path or this client: check the path, and what -H sends",
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
                "what came is no Cap'n Web; or the server runs an old version: try --peer-version 0.5"
            }
            Some(EndCause::Limit) => "the answer is larger than this program accepts",
            Some(EndCause::Here) if error.is_normal_end() => {
                "a batch is one exchange: `await` and template strings of results need ws:// or wss://"
            }
            Some(EndCause::Peer) => {
                "the server ended it: its log may say why; an old version ends it on what it does not know \
                 (--peer-version 0.5)"
            }
            _ => "the connection was lost before the answer; what was called may have run",
        };
        failure.help(help)
    }

    /// Writes the failure for a person, or as JSON.
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
