//! Observation of sessions: what an application is told about messages, calls, streams and ends.

use std::{any::Any, fmt, sync::Weak, time::Duration};

use super::error::Error;
use crate::limits::Limit;

/// Watches sessions. Set it with
/// [`SessionOptions::with_observer`](crate::SessionOptions::observer).
///
/// Each method does nothing by default. A session without an observer pays for none of this. One
/// observer can watch any number of sessions, batches among them, on both sides.
///
/// The methods are called from the tasks that move messages, and never under a lock of the session.
/// They must return quickly. Two calls of different threads can overlap, so for a short call
/// [`call_finished`](Self::call_finished) may come before [`call_started`](Self::call_started) has.
///
/// ```
/// use std::sync::{
///     Arc,
///     atomic::{AtomicU64, Ordering},
/// };
/// use capnweb::observe::{CallInfo, Observer, SessionInfo};
/// use capnweb::{Object, Result, Session, SessionOptions, pair};
///
/// #[derive(Default)]
/// struct CountCalls(AtomicU64);
///
/// impl Observer for CountCalls {
///     fn call_started(&self, _: &SessionInfo, _: &CallInfo<'_>) {
///         self.0.fetch_add(1, Ordering::Relaxed);
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
/// let calls = Arc::new(CountCalls::default());
/// let (_, mut server) = Session::server(SessionOptions::new().with_observer(calls.clone()));
/// server.set_main(Object::new().method("ping", async || Ok("pong")).into_stub());
/// # let (left, right) = pair();
/// # tokio::spawn(server.drive(left));
/// # let (session, connection) = Session::client(SessionOptions::new());
/// # tokio::spawn(connection.drive(right));
///
/// // A client calls.
/// session.main().call("ping", ()).await?;
/// assert_eq!(calls.0.load(Ordering::Relaxed), 1);
/// # Ok(()) }
/// ```
pub trait Observer: Send + Sync + 'static {
    /// Called when a session has been created, before its first message.
    fn session_opened(&self, session: &SessionInfo) {
        let _ = session;
    }

    /// Called once when a session has ended.
    ///
    /// [`Error::session_end`] of `reason` tells how.
    fn session_ended(&self, session: &SessionInfo, reason: &Error) {
        let _ = (session, reason);
    }

    /// Called for each message: before it is evaluated, or when a transport is about to send it.
    fn message(&self, session: &SessionInfo, message: &MessageInfo<'_>) {
        let _ = (session, message);
    }

    /// Called when a call starts: a handler of this process is about to run, or a call has been
    /// written for the peer.
    ///
    /// A call that the peer makes on the object of another session starts there, as an outgoing
    /// call. Reads of properties that run no code, and the calls within this process, are not
    /// reported.
    fn call_started(&self, session: &SessionInfo, call: &CallInfo<'_>) {
        let _ = (session, call);
    }

    /// Called once for each call that has started, when its outcome is known or can no longer
    /// become known.
    fn call_finished(
        &self,
        session: &SessionInfo,
        call: &CallInfo<'_>,
        outcome: CallOutcome<'_>,
        elapsed: Duration,
    ) {
        let _ = (session, call, outcome, elapsed);
    }

    /// Called when a limit was exceeded: the session ends, or a call fails.
    fn limit_exceeded(&self, session: &SessionInfo, limit: Limit) {
        let _ = (session, limit);
    }

    /// Called when a stream to or from the peer is first used.
    fn stream_opened(&self, session: &SessionInfo, direction: Direction) {
        let _ = (session, direction);
    }

    /// Called once for each stream that was opened, when nothing more is written to it.
    fn stream_ended(&self, session: &SessionInfo, direction: Direction, elapsed: Duration) {
        let _ = (session, direction, elapsed);
    }
}

/// The identity of a session, for an [`Observer`] or [`Interceptor`](crate::Interceptor).
#[derive(Clone)]
pub struct SessionInfo {
    pub(crate) id: u64,
    pub(crate) role: SessionRole,
    pub(crate) transport: &'static str,
    /// The session. Its type is hidden here, since the graph knows no sessions.
    pub(crate) guard: Weak<dyn Any + Send + Sync>,
}

impl SessionInfo {
    /// Returns the session's number: [`Session::id`](crate::Session::id).
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Returns this process's part in the session.
    pub fn role(&self) -> SessionRole {
        self.role
    }

    /// Returns the name of the transport, for labels of metrics and logs: `websocket`, `batch`,
    /// `webtransport`, `stream`, or what
    /// [`SessionOptions::with_transport`](crate::SessionOptions::transport) was given.
    pub fn transport(&self) -> &'static str {
        self.transport
    }
}

impl fmt::Debug for SessionInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionInfo")
            .field("id", &self.id)
            .field("role", &self.role)
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}

/// The part that this process has in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SessionRole {
    /// This process opened the session.
    Client,
    /// The peer opened the session.
    Server,
}

impl SessionRole {
    /// Returns the name for labels of metrics and logs: `client` or `server`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

/// The direction of a message, call or stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the peer to this process.
    Incoming,
    /// From this process to the peer.
    Outgoing,
}

impl Direction {
    /// Returns the name for labels of metrics and logs: `in` or `out`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Incoming => "in",
            Self::Outgoing => "out",
        }
    }
}

/// A message that was received or is about to be sent.
#[derive(Clone, Copy, Debug)]
pub struct MessageInfo<'a> {
    pub(crate) direction: Direction,
    pub(crate) kind: &'a str,
    pub(crate) id: Option<i64>,
    pub(crate) len: usize,
}

impl<'a> MessageInfo<'a> {
    /// Returns the message's direction.
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// Returns the message's first element, such as `push` or `resolve`. A peer can send any text
    /// here; the session then ends.
    pub fn kind(&self) -> &'a str {
        self.kind
    }

    /// Returns the ID that the message is about, or `None` if the message implies it by its place
    /// in the stream, as `push`, `stream` and `pipe` do.
    pub fn id(&self) -> Option<i64> {
        self.id
    }

    /// Returns the length in bytes that the message has as JSON. Other encodings, and compression,
    /// may need fewer.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns whether the message has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// The kind of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CallKind {
    /// The call of a method or function.
    Call,
    /// The read of a property.
    Get,
    /// A `map`, which the peer performs. The calls in a map of the peer are reported one by one.
    Map,
}

/// A call, read or map.
#[derive(Clone, Copy, Debug)]
pub struct CallInfo<'a> {
    pub(crate) side: Direction,
    pub(crate) kind: CallKind,
    pub(crate) method: &'a str,
    pub(crate) is_declared: bool,
}

impl<'a> CallInfo<'a> {
    /// Returns whether the peer makes the call, or this process.
    pub fn side(&self) -> Direction {
        self.side
    }

    /// Returns the kind of the call.
    pub fn kind(&self) -> CallKind {
        self.kind
    }

    /// Returns the name of the method or property.
    ///
    /// It is empty if an object is called as a function. Of an outgoing call it is the path from the
    /// object that the call is sent to, with dots. The caller chooses it, so use
    /// [`label`](Self::label) where the number of different names matters.
    pub fn method(&self) -> &'a str {
        self.method
    }

    /// Returns whether an interface or [`Object`](crate::Object) declares the method: the object that
    /// is called, or the typed stub that makes the call.
    pub fn is_declared(&self) -> bool {
        self.is_declared
    }

    /// Returns a label for metrics: the method's name if it is declared, and `other` if not.
    ///
    /// Peers can ask for any name, but only declared names become labels.
    pub fn label(&self) -> &'a str {
        match (self.is_declared, self.method) {
            (true, "") => "function",
            (true, method) => method,
            (false, _) => "other",
        }
    }
}

/// The outcome of a call.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum CallOutcome<'a> {
    /// The call succeeded.
    Ok,
    /// The call failed, for instance because its session has ended.
    Failed(&'a Error),
    /// The outcome is unknown: the promise was dropped before the peer had answered, or the handler
    /// was stopped.
    Dropped,
}

impl CallOutcome<'_> {
    /// Returns the name for labels of metrics and logs: `ok`, `error` or `dropped`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed(_) => "error",
            Self::Dropped => "dropped",
        }
    }
}
