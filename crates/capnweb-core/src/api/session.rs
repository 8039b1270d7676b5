//! The application's side of a session.

use std::{
    fmt,
    future::poll_fn,
    sync::{Arc, Weak},
};

use super::stub::Stub;
use crate::{
    graph::{
        engine::context::Context,
        error::{Error, Result},
        hook::{Hook, Settled},
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

    fn inner(&self) -> &SessionInner {
        self.guard.inner()
    }

    /// The peer's main object.
    pub fn main(&self) -> Stub {
        Stub::from_hook(self.guard.main())
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

    /// Waits until everything that the peer waits for has been answered, and streams that were given
    /// to it are sent.
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

    /// Ends the session. The peer is told why, and every promise and stub breaks with the reason.
    pub fn close(&self, reason: Error) {
        self.inner().end(reason, AbortNotice::Sent);
    }

    /// Waits until the session is over, and gives the reason.
    pub async fn closed(&self) -> Error {
        poll_fn(|cx| self.inner().poll_ended(cx)).await
    }

    /// Why the session is over, if it is.
    pub fn end_reason(&self) -> Option<Error> {
        self.inner().end_reason()
    }

    /// Sends a batch now, instead of when its first promise is awaited. Elsewhere it does nothing:
    /// messages are sent as they are made.
    pub fn send_batch(&self) {
        self.inner().request_flush();
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
    /// # use capnweb_core::{Context, Object, Result};
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
    /// The session that calls go to, if the object is a peer's.
    pub fn session(&self) -> Option<Session> {
        let (Settled::Yes(hook) | Settled::Not(hook)) = self.hook().follow();
        let Hook::Import(import) = hook else {
            return None;
        };
        let guard = import.peer().clone().into_any().downcast().ok()?;
        Some(Session::from_guard(guard))
    }
}
