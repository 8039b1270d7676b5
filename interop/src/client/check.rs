//! Checks and their outcomes.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use super::peer::Peer;

/// A transport that checks run over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    WebSocket,
    Batch,
    /// WebTransport. Its sessions are persistent like those over WebSocket, and the same checks are
    /// run.
    WebTransport,
}

impl Over {
    pub(super) const BOTH: &'static [Self] = &[Self::WebSocket, Self::Batch];
    pub(super) const WS: &'static [Self] = &[Self::WebSocket];
    pub(super) const BATCH: &'static [Self] = &[Self::Batch];

    pub(super) fn named(name: &str) -> Option<Self> {
        [Self::WebSocket, Self::Batch, Self::WebTransport]
            .into_iter()
            .find(|over| over.name() == name)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::WebSocket => "ws",
            Self::Batch => "batch",
            Self::WebTransport => "webtransport",
        }
    }

    /// Returns whether a check for the transports `others` applies here.
    pub(super) fn is_one_of(self, others: &[Self]) -> bool {
        others.contains(&self) || (self == Self::WebTransport && others.contains(&Self::WebSocket))
    }
}

/// The implementation of the server under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PeerKind {
    Rust,
    Node,
}

/// The outcome of a check.
pub(super) type Outcome = Result<(), Failure>;

/// The reason why a check failed.
pub(super) struct Failure(String);

impl Failure {
    pub(super) fn new(detail: impl Into<String>) -> Self {
        Self(detail.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<capnweb::Error> for Failure {
    fn from(error: capnweb::Error) -> Self {
        Self(format!("a call failed: {error:?}"))
    }
}

/// Fails the check unless both are equal.
macro_rules! ensure_eq {
    ($actual:expr, $expected:expr $(,)?) => {
        match (&$actual, &$expected) {
            (actual, expected) if actual == expected => {}
            (actual, expected) => {
                return Err($crate::client::check::Failure::new(format!(
                    "{}:{}: expected {expected:?}, got {actual:?}",
                    file!(),
                    line!(),
                )));
            }
        }
    };
}

/// Fails the check unless the condition holds, with a description of what was found.
macro_rules! ensure {
    ($condition:expr, $found:expr $(,)?) => {
        if !$condition {
            return Err($crate::client::check::Failure::new(format!(
                "{}:{}: {}, found {:?}",
                file!(),
                line!(),
                stringify!($condition),
                $found,
            )));
        }
    };
}

/// Fails the check unless the result is an error, and returns the error.
macro_rules! ensure_err {
    ($result:expr) => {{
        match $result {
            Err(error) => error,
            Ok(value) => {
                return Err($crate::client::check::Failure::new(format!(
                    "{}:{}: expected an error, got {:?}",
                    file!(),
                    line!(),
                    value,
                )));
            }
        }
    }};
}

pub(super) use {ensure, ensure_eq, ensure_err};

type Running = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// One check.
pub(super) struct Check {
    pub(super) name: String,
    pub(super) over: &'static [Over],
    /// The reason why the reference does not pass as a server, if it does not.
    pub(super) not_node: Option<&'static str>,
    /// The reason why our server does not support the check, if it does not.
    pub(super) not_rust: Option<&'static str>,
    run: Box<dyn Fn(Arc<Peer>) -> Running>,
}

impl Check {
    pub(super) fn run(&self, peer: Arc<Peer>) -> Running {
        (self.run)(peer)
    }

    /// Notes that the reference does not pass as a server, with the reason.
    pub(super) fn not_node(&mut self, why: &'static str) {
        self.not_node = Some(why);
    }

    /// Notes that our own server does not support the check, with the reason.
    pub(super) fn not_rust(&mut self, why: &'static str) {
        self.not_rust = Some(why);
    }
}

/// All checks, in order of registration.
#[derive(Default)]
pub(super) struct Checks(Vec<Check>);

impl Checks {
    pub(super) fn add<F, Fut>(
        &mut self,
        name: impl Into<String>,
        over: &'static [Over],
        run: F,
    ) -> &mut Check
    where
        F: Fn(Arc<Peer>) -> Fut + 'static,
        Fut: Future<Output = Outcome> + Send + 'static,
    {
        let at = self.0.len();
        self.0.push(Check {
            name: name.into(),
            over,
            not_node: None,
            not_rust: None,
            run: Box::new(move |peer| Box::pin(run(peer))),
        });
        &mut self.0[at]
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Check> {
        self.0.iter()
    }
}
