//! What a check is.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use super::peer::Peer;

/// A transport that checks run over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    WebSocket,
    Batch,
    /// Its sessions last as those over WebSocket do, and the same checks are run.
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

    /// Whether a check that is meant for `others` makes sense here.
    pub(super) fn is_one_of(self, others: &[Self]) -> bool {
        others.contains(&self) || (self == Self::WebTransport && others.contains(&Self::WebSocket))
    }
}

/// What the server under test is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PeerKind {
    Rust,
    Node,
}

/// What a check comes to.
pub(super) type Outcome = Result<(), Failure>;

/// Why a check failed.
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

/// Fails the check unless the condition holds, and tells what was found instead.
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

/// Fails the check unless the result is an error, and gives the error.
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
    /// Why the reference does not pass it as a server, if it does not.
    pub(super) not_node: Option<&'static str>,
    /// Why our server cannot be asked for it, if it cannot.
    pub(super) not_rust: Option<&'static str>,
    run: Box<dyn Fn(Arc<Peer>) -> Running>,
}

impl Check {
    pub(super) fn run(&self, peer: Arc<Peer>) -> Running {
        (self.run)(peer)
    }

    /// The reference does not pass this as a server, for this reason.
    pub(super) fn not_node(&mut self, why: &'static str) {
        self.not_node = Some(why);
    }

    /// Our own server cannot be asked for it, for this reason.
    pub(super) fn not_rust(&mut self, why: &'static str) {
        self.not_rust = Some(why);
    }
}

/// All checks, in the order of their registration.
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
