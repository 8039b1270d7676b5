//! Handles on sessions.

use std::{
    any::Any,
    fmt,
    future::{Future, poll_fn},
    sync::{Arc, Weak},
    time::Duration,
};

use super::stub::Stub;
use crate::{
    graph::{
        engine::context::Context,
        error::{Error, Result},
        hook::{Hook, Settled},
        observe::SessionInfo,
        remote::Peer,
        session_end::{EndCause, SessionEnd},
    },
    runtime::Instant,
    session::{AbortNotice, Connection, Role, SessionGuard, SessionInner, SessionOptions},
};

/// A handle on a session.
///
/// A client's session lives as long as any of its handles, stubs or promises. A server's session
/// lives until its transport ends. Clones are handles on the same session.
#[derive(Clone)]
pub struct Session {
    guard: Arc<SessionGuard>,
}

/// A handle that does not keep its session alive: see [`Session::downgrade`].
#[derive(Clone)]
pub struct WeakSession {
    guard: Weak<SessionGuard>,
}

impl WeakSession {
    /// Returns a handle that keeps the session alive, or `None` if a client's session is over
    /// because all of its handles were dropped.
    pub fn upgrade(&self) -> Option<Session> {
        self.guard.upgrade().map(Session::from_guard)
    }
}

impl fmt::Debug for WeakSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WeakSession")
    }
}

/// The numbers of entries in a session's tables.
///
/// If nothing is held and no call is in progress, both are 1, for the main objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// The peer's objects and results that this side holds, including the main object.
    pub imports: usize,
    /// The objects and results that the peer holds, including our main object.
    pub exports: usize,
}

impl Session {
    /// Creates a client's session, which lives as long as any of its handles.
    pub fn client(options: SessionOptions) -> (Self, Connection) {
        Self::create(Role::Client, options)
    }

    /// Creates a server's session, which lives until its transport ends.
    pub fn server(options: SessionOptions) -> (Self, Connection) {
        Self::create(Role::Server, options)
    }

    /// Creates a client's session for a batch: its messages are sent in one request, and the
    /// answers arrive in one response.
    pub fn client_batch(options: SessionOptions) -> (Self, Connection) {
        Self::create(Role::BatchClient, options)
    }

    /// Creates a server's session for a batch, which answers the messages of one request.
    pub fn server_batch(options: SessionOptions) -> (Self, Connection) {
        Self::create(Role::BatchServer, options)
    }

    fn create(role: Role, options: SessionOptions) -> (Self, Connection) {
        let guard = Arc::new_cyclic(|guard: &Weak<SessionGuard>| {
            SessionGuard::new(SessionInner::new(role, options, guard.clone()))
        });
        let connection = Connection::new(&guard);
        guard.inner().report_opened();
        (Self { guard }, connection)
    }

    pub(crate) fn from_guard(guard: Arc<SessionGuard>) -> Self {
        Self { guard }
    }

    /// Returns the session as the graph sees it.
    pub(crate) fn peer(&self) -> Arc<dyn Peer> {
        self.guard.clone()
    }

    pub(super) fn guard(&self) -> &Arc<SessionGuard> {
        &self.guard
    }

    fn inner(&self) -> &SessionInner {
        self.guard.inner()
    }

    pub(crate) fn from_any(guard: Arc<dyn Any + Send + Sync>) -> Option<Self> {
        guard.downcast().ok().map(Self::from_guard)
    }

    /// Returns a handle that does not keep the session alive.
    pub fn downgrade(&self) -> WeakSession {
        WeakSession {
            guard: Arc::downgrade(&self.guard),
        }
    }

    /// Returns the peer's main object.
    pub fn main(&self) -> Stub {
        Stub::from_hook(self.guard.main())
    }

    /// Returns the ID of the session, which is unique in this process. The events of `tracing`
    /// contain it as `session`.
    pub fn id(&self) -> u64 {
        self.inner().number
    }

    /// Returns the numbers of entries in the tables.
    pub fn stats(&self) -> Stats {
        let (imports, exports) = self.inner().table_sizes();
        Stats { imports, exports }
    }

    /// Returns the settings.
    pub fn options(&self) -> &SessionOptions {
        &self.inner().options
    }

    /// Returns the number of bytes that the peer has written to streams and that were not read yet,
    /// including a fixed amount per chunk.
    pub fn stream_bytes(&self) -> usize {
        self.inner().stream_bytes()
    }

    /// Returns the number of bytes that wait to be sent or are held by the transport. It shows how
    /// far the peer lags in reading.
    pub fn unsent_bytes(&self) -> usize {
        self.inner().unsent_bytes()
    }

    /// Returns the number of bytes that are held for the peer, as
    /// [`Limits::max_held_bytes`](crate::Limits::max_held_bytes) counts them.
    pub fn held_bytes(&self) -> usize {
        self.inner().held_bytes()
    }

    /// Waits until everything that the peer waits for is answered, all streams that it received are
    /// sent, and all messages are written and flushed.
    ///
    /// This includes calls whose results nobody awaits. A batch writes nothing before its exchange,
    /// so there it only waits for answers and streams.
    ///
    /// # Errors
    ///
    /// Returns the reason for the session's end, if it is over.
    pub async fn drain(&self) -> Result<()> {
        poll_fn(|cx| self.inner().poll_drained(cx)).await
    }

    /// Waits until none of the peer's calls is running, including those of which nobody awaits the
    /// result, also after the end of the session.
    ///
    /// For servers that have to keep a request alive until then.
    #[doc(hidden)]
    pub fn idle(&self) -> impl Future<Output = ()> + Send + use<> {
        let inner = self.guard.inner().clone();
        poll_fn(move |cx| inner.poll_idle(cx))
    }

    /// Waits until there is room for more messages, for callers that send faster than the peer
    /// reads.
    ///
    /// # Errors
    ///
    /// Returns the reason for the session's end, if it is over.
    pub async fn ready(&self) -> Result<()> {
        poll_fn(|cx| self.inner().poll_ready(cx)).await
    }

    /// Sends a ping, which every implementation answers, and returns the time until the answer. The
    /// peer's application does not notice it, and [`stats`](Self::stats) does not count it.
    ///
    /// The future does not keep the session alive. It has no timeout.
    ///
    /// ```
    /// # use capnweb_core::{Result, Session, SessionOptions, pair};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
    /// # let (left, right) = pair();
    /// # let (_server, connection) = Session::server(SessionOptions::new());
    /// # tokio::spawn(connection.drive(left));
    /// # let (session, connection) = Session::client(SessionOptions::new());
    /// # tokio::spawn(connection.drive(right));
    /// let time = session.round_trip().await?;
    /// println!("the peer is {time:?} away");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns the reason for the session's end, if it ends before the answer arrives.
    pub fn round_trip(&self) -> impl Future<Output = Result<Duration>> + Send + use<> {
        let asked = self.guard.inner().round_trip();
        let start = Instant::now();
        async move {
            match asked?.await {
                Ok(answer) => answer.map(|()| start.elapsed()),
                Err(_) => Err(Error::disconnected("the session is gone")),
            }
        }
    }

    /// Announces to the peer that this session will end in `time`. A server calls this before it
    /// stops, so that its clients have time to move to another one.
    ///
    /// Nothing else changes: calls continue in both directions until the session is
    /// [closed](Self::close). A peer with this library receives the announcement from
    /// [`draining`](Self::draining); npm `capnweb` ignores it. In a batch, this does nothing.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use capnweb_core::{Error, Session};
    /// # async fn example(session: Session) -> capnweb_core::Result<()> {
    /// let time = Duration::from_secs(30);
    /// session.announce_drain(time);
    /// // A client that moves to another server ends the session. Close it if the time is up.
    /// if tokio::time::timeout(time, session.closed()).await.is_err() {
    ///     session.close_with(1001, Error::new("the server is going away"));
    /// }
    /// # Ok(()) }
    /// ```
    pub fn announce_drain(&self, time: Duration) {
        self.inner().announce_drain(time);
    }

    /// Waits until the peer [announces](Self::announce_drain) the end of the session, and returns
    /// the remaining time. Returns `None` if the session ends without an announcement.
    ///
    /// The future does not keep the session alive.
    pub fn draining(&self) -> impl Future<Output = Option<Duration>> + Send + use<> {
        let inner = self.guard.inner().clone();
        poll_fn(move |cx| inner.poll_draining(cx))
    }

    /// Returns the remaining time until the announced end of the session, if the peer has
    /// [announced](Self::announce_drain) one. The last announcement counts.
    pub fn time_to_drain(&self) -> Option<Duration> {
        self.inner().time_to_drain()
    }

    /// Rejects all further calls of the peer with `reason`, without running them. Running calls go
    /// on, and their answers are sent. Calls in the other direction are not affected.
    ///
    /// Use this before [`close`](Self::close), so that no call starts that the peer would not see
    /// the answer of:
    ///
    /// ```
    /// # use capnweb_core::{Error, Session};
    /// # async fn example(session: Session) -> capnweb_core::Result<()> {
    /// session.refuse_calls(Error::unavailable("the server is restarting"));
    /// // Once the peer has answered, all that it sent before has arrived.
    /// session.round_trip().await?;
    /// session.drain().await?;
    /// session.close_with(1012, Error::disconnected("the server is restarting"));
    /// # Ok(()) }
    /// ```
    ///
    /// [`Sessions::drain`](https://docs.rs/capnweb/latest/capnweb/struct.Sessions.html#method.drain)
    /// does this for all sessions of a server. A second call has no effect.
    pub fn refuse_calls(&self, reason: Error) {
        self.inner().refuse_calls(reason);
    }

    /// Ends the session. The peer receives the reason, and every promise and stub breaks with it.
    ///
    /// Earlier calls and answers are still sent. If the program ends after this, await
    /// [`closed`](Self::closed), or some of them may be lost.
    pub fn close(&self, reason: Error) {
        self.close_as(SessionEnd::new(EndCause::Here), reason);
    }

    /// Ends the session like [`close`](Self::close), with a WebSocket close code. Valid codes are
    /// those that the RFC defines from 1000 to 1014, and 3000 to 4999. Any other code is replaced
    /// by 3000, the default. Other transports have no codes.
    ///
    /// ```no_run
    /// # use capnweb::{Error, Session};
    /// # async fn example(session: Session) {
    /// // "Service restart": clients that know the code reconnect.
    /// session.close_with(1012, Error::new("the server is restarting"));
    /// session.closed().await;
    /// # }
    /// ```
    pub fn close_with(&self, code: u16, reason: Error) {
        self.close_as(
            SessionEnd::new(EndCause::Here).with_close_code(code),
            reason,
        );
    }

    fn close_as(&self, end: SessionEnd, reason: Error) {
        let reason = reason.with_session_end(end);
        self.inner().end(reason, AbortNotice::Sent);
    }

    /// Waits until the session is over and its transport is closed. Returns the reason.
    ///
    /// At that point all messages are written and flushed, and the transport's closing handshake is
    /// done. So a program can exit right afterwards without losing anything. If the peer does not
    /// answer the handshake, this takes five seconds. To get the reason at once, use
    /// [`end_reason`](Self::end_reason).
    ///
    /// The future does not keep the session alive, so a client can wait for its own end:
    ///
    /// ```
    /// # use capnweb::{Object, Promise, Result, Session, SessionOptions, pair};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
    /// # let (left, right) = pair();
    /// # let (_, mut server) = Session::server(SessionOptions::new());
    /// # server.set_main(Object::new().method("note", async |_: String| Ok(())).into_stub());
    /// # tokio::spawn(server.drive(left));
    /// # let (session, connection) = Session::client(SessionOptions::new());
    /// # tokio::spawn(connection.drive(right));
    /// Promise::detach(session.main().call("note", ("last words",)));
    /// let closed = session.closed();
    /// drop(session);
    /// let reason = closed.await;
    /// assert!(reason.is_normal_end());
    /// # Ok(()) }
    /// ```
    pub fn closed(&self) -> impl Future<Output = Error> + Send + use<> {
        let inner = self.guard.inner().clone();
        poll_fn(move |cx| inner.poll_closed(cx))
    }

    /// Returns the reason for the session's end, if it is over.
    pub fn end_reason(&self) -> Option<Error> {
        self.inner().end_reason()
    }

    /// Sends a batch now, instead of when its first promise is awaited. In any other session this
    /// does nothing, since messages are sent at once.
    ///
    /// The batch is then sent even if all of its handles are dropped. [`closed`](Self::closed)
    /// waits for the answer.
    pub fn send_batch(&self) {
        self.inner().send_batch();
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stats = self.stats();
        f.debug_struct("Session")
            .field("number", &self.inner().number)
            .field("role", &self.inner().role)
            .field("imports", &stats.imports)
            .field("exports", &stats.exports)
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// Returns the session, or `None` if it is a client's session whose handles were all dropped.
    pub fn session(&self) -> Option<Session> {
        self.guard().map(Session::from_guard)
    }

    /// Sets our main object for the peer. Without one, the peer's calls are rejected.
    pub fn set_main(&mut self, main: Stub) {
        self.set_main_hook(main.into_hook());
    }
}

impl SessionInfo {
    /// Returns the session, or `None` if it is a client's session whose last handle was dropped.
    ///
    /// The handle keeps a client's session alive. An observer that wants to look at the session
    /// later should keep a [`WeakSession`].
    pub fn session(&self) -> Option<Session> {
        Session::from_any(self.guard.upgrade()?)
    }
}

impl Context {
    /// Returns the session over which the call arrived, or `None` for a call within this process.
    pub fn session(&self) -> Option<Session> {
        let scope = self.peer_call()?.scope().clone();
        let inner = scope.into_any().downcast::<SessionInner>().ok()?;
        inner.guard().map(Session::from_guard)
    }

    /// Returns the caller's main object, or `None` for a call within this process.
    pub fn peer(&self) -> Option<Stub> {
        Some(self.session()?.main())
    }

    /// Returns a stub of the called object, so that it can return itself or pass itself on. For a
    /// typed stub, use `FooStub::from_stub(context.this())`.
    ///
    /// ```
    /// # use capnweb::{Context, Object, Result};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
    /// let node = Object::new()
    ///     .method("itself", async |context: Context| Ok(context.this()))
    ///     .property("name", "Ada")
    ///     .into_stub();
    /// assert_eq!(node.call("itself", ()).get("name").fetch::<String>().await?, "Ada");
    /// # Ok(()) }
    /// ```
    pub fn this(&self) -> Stub {
        Stub::from_hook(self.this_hook())
    }
}

impl Stub {
    /// Returns the session that calls go to, if the object belongs to a peer. For a lasting stub,
    /// this is the current session.
    pub fn session(&self) -> Option<Session> {
        let (Settled::Yes(hook) | Settled::Not(hook)) = self.hook().follow();
        let peer = match hook {
            Hook::Import(import) => import.peer().clone(),
            Hook::Lasting(slot) => slot.content_and_peer()?.1,
            _ => return None,
        };
        Session::from_any(peer.into_any())
    }
}
