//! Observation of sessions: reports of messages, calls, streams and ends to the application.

use std::{any::Any, fmt, sync::Weak, time::Duration};

use super::error::Error;
use crate::limits::Limit;

/// Watches sessions. Set it with
/// [`SessionOptions::with_observer`](crate::SessionOptions::with_observer).
///
/// Each method does nothing by default, and a session without an observer has no overhead. One
/// observer can watch any number of sessions on both sides, including batches.
///
/// The methods are called from the tasks that move messages, never while the session holds a lock.
/// They must return quickly. Calls from different threads can overlap, so a short call's
/// [`call_finished`](Self::call_finished) may come before its [`call_started`](Self::call_started).
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
    /// [`Error::session_end`] of `reason` returns the kind of end.
    fn session_ended(&self, session: &SessionInfo, reason: &Error) {
        let _ = (session, reason);
    }

    /// Called for each message: before a received one is evaluated, and before one is sent.
    fn message(&self, session: &SessionInfo, message: &MessageInfo<'_>) {
        let _ = (session, message);
    }

    /// Called when a call starts: before a handler of this process runs, or after a call to the
    /// peer was written.
    ///
    /// If the peer calls an object of another session, the call also starts there, as an outgoing
    /// call. Calls within this process are not reported, nor are reads of properties that run no
    /// code.
    fn call_started(&self, session: &SessionInfo, call: &CallInfo<'_>) {
        let _ = (session, call);
    }

    /// Called once for each call that has started, when its outcome is known or will never be
    /// known.
    fn call_finished(
        &self,
        session: &SessionInfo,
        call: &CallInfo<'_>,
        outcome: CallOutcome<'_>,
        elapsed: Duration,
    ) {
        let _ = (session, call, outcome, elapsed);
    }

    /// Called when a limit is exceeded, which ends the session or fails a call.
    fn limit_exceeded(&self, session: &SessionInfo, limit: Limit) {
        let _ = (session, limit);
    }

    /// Called when a stream to or from the peer is first used.
    fn stream_opened(&self, session: &SessionInfo, direction: Direction) {
        let _ = (session, direction);
    }

    /// Called once for each stream that was opened, after its last write.
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
    /// The session, type-erased because the graph does not know sessions.
    pub(crate) guard: Weak<dyn Any + Send + Sync>,
}

impl SessionInfo {
    /// Returns the session's number: [`Session::id`](crate::Session::id).
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Returns this process's role in the session.
    pub fn role(&self) -> SessionRole {
        self.role
    }

    /// Returns the name of the transport, for labels of metrics and logs. It is `websocket`,
    /// `batch`, `webtransport`, `stream` or the name passed to
    /// [`SessionOptions::with_transport`](crate::SessionOptions::with_transport).
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

/// The role of this process in a session.
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
#[derive(Clone, Copy)]
pub struct MessageInfo<'a> {
    pub(crate) direction: Direction,
    pub(crate) kind: &'a str,
    pub(crate) id: Option<i64>,
    pub(crate) len: usize,
    pub(crate) text: &'a [u8],
}

impl<'a> MessageInfo<'a> {
    /// Returns the message's direction.
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// Returns the message's first element, such as `push` or `resolve`. A peer can send any text
    /// here; an unknown one ends the session.
    pub fn kind(&self) -> &'a str {
        self.kind
    }

    /// Returns the ID that the message is about. Returns `None` for `push`, `stream` and `pipe`,
    /// whose position in the stream implies the ID.
    pub fn id(&self) -> Option<i64> {
        self.id
    }

    /// Returns the length of the message as JSON, in bytes. Other encodings and compression may
    /// need fewer bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns the message as JSON, to record it. It holds what the application sends, secrets
    /// included.
    ///
    /// Long byte strings that a transport moves separately are missing from the text, so it can be
    /// shorter than [`len`](Self::len). Their expressions are then `["bytes",""]`.
    pub fn text(&self) -> &'a str {
        std::str::from_utf8(self.text).unwrap_or_default()
    }

    /// Returns true if the message has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl fmt::Debug for MessageInfo<'_> {
    // The text may contain secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageInfo")
            .field("direction", &self.direction)
            .field("kind", &self.kind)
            .field("id", &self.id)
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

/// The kind of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CallKind {
    /// A call of a method or function.
    Call,
    /// A read of a property.
    Get,
    /// A `map`, which the receiver of the call performs. The calls in a peer's map are reported one
    /// by one.
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
    /// Returns `Incoming` if the peer makes the call, and `Outgoing` if this process does.
    pub fn side(&self) -> Direction {
        self.side
    }

    /// Returns the kind of the call.
    pub fn kind(&self) -> CallKind {
        self.kind
    }

    /// Returns the name of the method or property.
    ///
    /// The name is empty if an object is called as a function. For an outgoing call it is the path
    /// from the called object, joined with dots. The caller chooses the name, so use
    /// [`label`](Self::label) where the number of distinct names matters.
    pub fn method(&self) -> &'a str {
        self.method
    }

    /// Returns true if an interface or [`Object`](crate::Object) declares the method. The
    /// declaration is that of the called object, or that of the typed stub that makes the call.
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
    /// The call failed, perhaps because its session has ended.
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
