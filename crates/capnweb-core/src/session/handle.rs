//! The application's side of a session.

use std::{
    fmt,
    future::poll_fn,
    sync::{Arc, Weak},
};

use super::{
    Connection, SessionOptions,
    import::Import,
    shared::{Role, Shared, State},
};
use crate::{
    error::{Error, Result},
    hook::Hook,
    stub::Stub,
};

/// What keeps a client's session alive: every stub, promise and handle of it has one.
pub(crate) struct Life {
    shared: Arc<Shared>,
}

impl Life {
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        if self.shared.role.is_client() {
            self.shared
                .end(super::end::shut_down(), super::end::Say::Nothing);
        }
    }
}

/// A handle on a session.
///
/// A client's session lives while any handle, stub or promise of it lives; a server's until its
/// transport ends. Clones are handles on the same session.
#[derive(Clone)]
pub struct Session {
    life: Arc<Life>,
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
        let life = Arc::new_cyclic(|life: &Weak<Life>| Life {
            shared: Shared::new(role, options, life.clone()),
        });
        let connection = Connection::new(&life);
        (Self { life }, connection)
    }

    pub(crate) fn from_life(life: Arc<Life>) -> Self {
        Self { life }
    }

    fn shared(&self) -> &Shared {
        self.life.shared()
    }

    /// The peer's main object.
    pub fn main(&self) -> Stub {
        let mut state = self.shared().lock();
        if let Some(ended) = &state.ended {
            let ended = ended.clone();
            drop(state);
            return Stub::from_hook(Hook::Broken(ended));
        }
        let import = state.peer_main.upgrade().unwrap_or_else(|| {
            let import = Import::new(self.life.clone(), 0, false);
            state.peer_main = Arc::downgrade(&import);
            import
        });
        drop(state);
        Stub::from_hook(Hook::Import(import))
    }

    /// How many entries the tables have.
    pub fn stats(&self) -> Stats {
        let state = self.shared().lock();
        Stats {
            imports: state.import_count(),
            exports: state.export_count(),
        }
    }

    /// The settings.
    pub fn options(&self) -> &SessionOptions {
        &self.shared().options
    }

    /// How many bytes the peer has written to streams that nobody has read yet, with what is reckoned
    /// for each chunk.
    pub fn stream_bytes(&self) -> usize {
        self.shared().lock().stream_bytes
    }

    /// Waits until everything that the peer waits for has been answered, and streams that were given
    /// to it are sent.
    ///
    /// # Errors
    ///
    /// The reason of the session's end, if it is over.
    pub async fn drain(&self) -> Result<()> {
        let drained = |state: &State| match &state.ended {
            Some(ended) => Some(Err(ended.clone())),
            None => state.is_drained().then_some(Ok(())),
        };
        poll_fn(|cx| {
            self.shared()
                .poll_state(cx, drained, |state| &mut state.drained)
        })
        .await
    }

    /// Waits until there is room for more messages: for those who send faster than the peer reads.
    ///
    /// # Errors
    ///
    /// The reason of the session's end, if it is over.
    pub async fn ready(&self) -> Result<()> {
        /// More than this waits to be sent: wait.
        const FULL: usize = 1 << 20;
        // A batch is sent as a whole.
        let is_batch = self.shared().role == Role::BatchClient;
        let ready = |state: &State| match &state.ended {
            Some(ended) => Some(Err(ended.clone())),
            None => (is_batch || state.out.bytes() + state.sending < FULL).then_some(Ok(())),
        };
        poll_fn(|cx| {
            self.shared()
                .poll_state(cx, ready, |state| &mut state.ready)
        })
        .await
    }

    /// Ends the session. The peer is told why, and every promise and stub breaks with the reason.
    pub fn close(&self, reason: Error) {
        self.shared().end(reason, super::end::Say::Abort);
    }

    /// Waits until the session is over, and gives the reason.
    pub async fn closed(&self) -> Error {
        let ended = |state: &State| state.ended.clone();
        poll_fn(|cx| {
            self.shared()
                .poll_state(cx, ended, |state| &mut state.closed)
        })
        .await
    }

    /// Why the session is over, if it is.
    pub fn end_reason(&self) -> Option<Error> {
        self.shared().lock().ended.clone()
    }

    /// Sends a batch now, instead of when its first promise is awaited. Elsewhere it does nothing:
    /// messages are sent as they are made.
    pub fn send_batch(&self) {
        self.shared().request_flush();
    }
}

impl Shared {
    pub(crate) fn is_collecting(&self) -> bool {
        self.role == Role::BatchClient && !self.lock().flush.requested
    }

    pub(crate) fn request_flush(&self) {
        let mut state = self.lock();
        state.flush.requested = true;
        state.check_flush();
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stats = self.stats();
        f.debug_struct("Session")
            .field("number", &self.shared().number)
            .field("role", &self.shared().role)
            .field("imports", &stats.imports)
            .field("exports", &stats.exports)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Life")
            .field("session", &self.shared.number)
            .finish_non_exhaustive()
    }
}
