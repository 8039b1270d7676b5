//! The application's side of a session.

use std::{
    fmt,
    future::{Future, poll_fn},
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::time::Instant;

use super::stub::Stub;
use crate::{
    graph::{
        engine::context::Context,
        error::{Error, Result},
        hook::{Hook, Settled},
        remote::Peer,
        session_end::{EndCause, SessionEnd},
    },
    session::{AbortNotice, Connection, Role, SessionGuard, SessionInner, SessionOptions},
};

/// A handle on a session.
///
/// A client's session lives while any handle, stub or promise of it lives; a server's until its
/// transport ends. Clones are handles on the same session.
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
    /// Returns a handle that keeps the session alive; `None` if a client's session is over since
    /// nothing of it was held.
    pub fn upgrade(&self) -> Option<Session> {
        self.guard.upgrade().map(Session::from_guard)
    }
}

impl fmt::Debug for WeakSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WeakSession")
    }
}

/// How many entries the tables of a session have.
///
/// When nothing is held and no call is under way both are 1: the main objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// What we hold of the peer's, its main object included.
    pub imports: usize,
    /// What the peer holds of ours, our main object included.
    pub exports: usize,
}

impl Session {
    /// A session that lives while anything of it is held.
    pub fn client(options: SessionOptions) -> (Self, Connection) {
        Self::create(Role::Client, options)
    }

    /// A session that lives until its transport ends.
    pub fn server(options: SessionOptions) -> (Self, Connection) {
        Self::create(Role::Server, options)
    }

    /// A client's session whose messages go out in one request and whose answers come in one
    /// response.
    pub fn client_batch(options: SessionOptions) -> (Self, Connection) {
        Self::create(Role::BatchClient, options)
    }

    /// A session that answers one request of many messages.
    pub fn server_batch(options: SessionOptions) -> (Self, Connection) {
        Self::create(Role::BatchServer, options)
    }

    fn create(role: Role, options: SessionOptions) -> (Self, Connection) {
        let guard = Arc::new_cyclic(|guard: &Weak<SessionGuard>| {
            SessionGuard::new(SessionInner::new(role, options, guard.clone()))
        });
        let connection = Connection::new(&guard);
        (Self { guard }, connection)
    }

    pub(crate) fn from_guard(guard: Arc<SessionGuard>) -> Self {
        Self { guard }
    }

    /// The session as the graph knows it.
    pub(crate) fn peer(&self) -> Arc<dyn Peer> {
        self.guard.clone()
    }

    fn inner(&self) -> &SessionInner {
        self.guard.inner()
    }

    /// Returns a handle that does not keep the session alive.
    pub fn downgrade(&self) -> WeakSession {
        WeakSession {
            guard: Arc::downgrade(&self.guard),
        }
    }

    /// The peer's main object.
    pub fn main(&self) -> Stub {
        Stub::from_hook(self.guard.main())
    }

    /// Returns a number that no other session of this process has, or ever had. The events of
    /// `tracing` have it as `session`.
    pub fn id(&self) -> u64 {
        self.inner().number
    }

    /// Returns how many entries the tables have.
    pub fn stats(&self) -> Stats {
        let (imports, exports) = self.inner().table_sizes();
        Stats { imports, exports }
    }

    /// The settings.
    pub fn options(&self) -> &SessionOptions {
        &self.inner().options
    }

    /// How many bytes the peer has written to streams that nobody has read yet, with what is reckoned
    /// for each chunk.
    pub fn stream_bytes(&self) -> usize {
        self.inner().stream_bytes()
    }

    /// Returns how many bytes wait to be sent, or are in the hands of the transport: how far the peer is
    /// behind in reading.
    pub fn unsent_bytes(&self) -> usize {
        self.inner().unsent_bytes()
    }

    /// Returns the number of bytes that are held for the peer, as
    /// [`Limits::max_held_bytes`](crate::Limits::max_held_bytes) counts them.
    pub fn held_bytes(&self) -> usize {
        self.inner().held_bytes()
    }

    /// Waits until everything that the peer waits for has been answered, streams that were given to
    /// it are sent, and all messages are written and flushed.
    ///
    /// That includes calls of which nobody awaits the result. In a batch nothing is written before
    /// the exchange, so there it waits for answers and streams alone.
    ///
    /// # Errors
    ///
    /// The reason of the session's end, if it is over.
    pub async fn drain(&self) -> Result<()> {
        poll_fn(|cx| self.inner().poll_drained(cx)).await
    }

    /// Waits until there is room for more messages: for those who send faster than the peer reads.
    ///
    /// # Errors
    ///
    /// The reason of the session's end, if it is over.
    pub async fn ready(&self) -> Result<()> {
        poll_fn(|cx| self.inner().poll_ready(cx)).await
    }

    /// Asks the peer for a sign of life, which every implementation gives, and returns the time that
    /// it took. The application at the peer sees nothing of it, and [`stats`](Self::stats) do not
    /// count it.
    ///
    /// The future does not keep the session alive. It has no timeout of its own.
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
    /// The reason of the session's end, if it is over before the answer comes.
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

    /// Tells the peer that this session will end in `time`: a server that is to be stopped gives its
    /// clients the time to go elsewhere.
    ///
    /// Nothing else changes. Calls go on in both directions until the session is
    /// [closed](Self::close). A peer of this library hears of it by [`draining`](Self::draining); npm
    /// `capnweb` takes no notice. In a batch it does nothing.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use capnweb_core::{Error, Session};
    /// # async fn example(session: Session) -> capnweb_core::Result<()> {
    /// let time = Duration::from_secs(30);
    /// session.announce_drain(time);
    /// // A client that has left ends its session. The others are told when the time is up.
    /// if tokio::time::timeout(time, session.closed()).await.is_err() {
    ///     session.close_with(1001, Error::new("the server is going away"));
    /// }
    /// # Ok(()) }
    /// ```
    pub fn announce_drain(&self, time: Duration) {
        self.inner().announce_drain(time);
    }

    /// Waits until the peer [announces](Self::announce_drain) that the session will end, and returns
    /// the time that is left; `None` if the session ends without.
    ///
    /// The future does not keep the session alive.
    pub fn draining(&self) -> impl Future<Output = Option<Duration>> + Send + use<> {
        let inner = self.guard.inner().clone();
        poll_fn(move |cx| inner.poll_draining(cx))
    }

    /// Returns the time that is left until the session will end, if the peer has
    /// [announced](Self::announce_drain) that. The last announcement counts.
    pub fn time_to_drain(&self) -> Option<Duration> {
        self.inner().time_to_drain()
    }

    /// Ends the session. The peer is told why, and every promise and stub breaks with the reason.
    ///
    /// What was called or answered before is still sent. A program that ends after this awaits
    /// [`closed`](Self::closed), or some of that may be lost.
    pub fn close(&self, reason: Error) {
        self.close_as(SessionEnd::new(EndCause::Here), reason);
    }

    /// Ends the session like [`close`](Self::close), with the close code of a WebSocket: 1000 to
    /// 1014 where the RFC defines them, or 3000 to 4999. Any other, as without one, is 3000; other
    /// transports have no codes.
    ///
    /// ```no_run
    /// # use capnweb::{Error, Session};
    /// # async fn example(session: Session) {
    /// // "Service restart": clients that know the code come back.
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

    /// Waits until the session is over and its transport closed, and returns the reason.
    ///
    /// By then everything that was to be sent is written and flushed, and the transport's closing
    /// handshake is done: a program that awaits this and returns has lost nothing. If the peer does
    /// not answer that handshake, it takes five seconds. [`end_reason`](Self::end_reason) is there
    /// at once.
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

    /// Returns the reason of the session's end, if it is over.
    pub fn end_reason(&self) -> Option<Error> {
        self.inner().end_reason()
    }

    /// Sends a batch now, instead of when its first promise is awaited. Elsewhere it does nothing:
    /// messages are sent as they are made.
    ///
    /// A batch that was sent like this goes out even if nothing of it is held any more.
    /// [`closed`](Self::closed) waits for the answer.
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
    /// The session; `None` if it is a client's of which nothing is held any more.
    pub fn session(&self) -> Option<Session> {
        self.guard().map(Session::from_guard)
    }

    /// Sets the object that the peer sees as our main object. Without one its calls are rejected.
    pub fn set_main(&mut self, main: Stub) {
        self.set_main_hook(main.into_hook());
    }
}

impl Context {
    /// The session that the call came by; `None` for a call made within this process.
    pub fn session(&self) -> Option<Session> {
        let scope = self.peer_call()?.scope().clone();
        let inner = scope.into_any().downcast::<SessionInner>().ok()?;
        inner.guard().map(Session::from_guard)
    }

    /// The caller's main object; `None` for a call made within this process.
    pub fn peer(&self) -> Option<Stub> {
        Some(self.session()?.main())
    }

    /// The object that is called: to hand itself out. A typed stub of it is
    /// `FooStub::from_stub(context.this())`.
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
    /// The session that calls go to, if the object is a peer's. That of a lasting stub is the current
    /// one.
    pub fn session(&self) -> Option<Session> {
        let (Settled::Yes(hook) | Settled::Not(hook)) = self.hook().follow();
        let peer = match hook {
            Hook::Import(import) => import.peer().clone(),
            Hook::Lasting(slot) => slot.content_and_peer()?.1,
            _ => return None,
        };
        let guard = peer.into_any().downcast().ok()?;
        Some(Session::from_guard(guard))
    }
}
