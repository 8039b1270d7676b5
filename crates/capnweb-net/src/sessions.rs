//! The sessions of a server, to look at and to end in good order.

mod drain;

use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use capnweb_core::{BrokenGuard, Error, Session};
use http::Extensions;
use tokio::sync::watch;

use self::drain::Phase;
pub use self::drain::{Drain, Drained};

/// A registry of sessions: lists and counts them, says something to them, and ends them.
///
/// Clones share the sessions. Give one to each server whose sessions it is to hold, by their
/// `tracked`; a session is in it from before its main object is made until it has ended, and batches
/// are too. It does not keep a session alive.
///
/// ```
/// use capnweb_core::{Session, SessionOptions};
/// use capnweb_net::{Sessions, TransportKind};
///
/// let sessions = Sessions::new();
/// let (session, connection) = Session::server(SessionOptions::new());
/// let tracked = sessions.track(&session, TransportKind::Stream, None);
///
/// // Whatever the application knows of the peer.
/// tracked.attach("ada".to_owned());
/// let of_ada = sessions.list_by(|tracked| tracked.get::<String>().as_deref() == Some("ada"));
/// assert_eq!(of_ada.len(), 1);
///
/// drop(connection);
/// assert!(sessions.is_empty());
/// ```
///
/// A server that stops calls [`drain`](Self::drain).
#[derive(Clone, Default)]
pub struct Sessions {
    registry: Arc<Registry>,
}

struct Registry {
    /// By [`Session::id`], so in the order in which they began.
    entries: Mutex<BTreeMap<u64, TrackedSession>>,
    phase: watch::Sender<Phase>,
}

impl Default for Registry {
    fn default() -> Self {
        Self {
            entries: Mutex::default(),
            phase: watch::Sender::new(Phase::Serving),
        }
    }
}

impl Registry {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, TrackedSession>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remove(&self, id: u64) {
        let removed = self.lock().remove(&id);
        // What the application has attached is dropped without the lock.
        drop(removed);
    }
}

impl Sessions {
    /// Creates a registry without sessions.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a session until it has ended. Servers do so for their own: this is for sessions over
    /// transports of the application's.
    ///
    /// It returns the handle of a session that has ended too, which is then in no list.
    pub fn track(
        &self,
        session: &Session,
        transport: TransportKind,
        remote_addr: Option<SocketAddr>,
    ) -> TrackedSession {
        let tracked = TrackedSession {
            entry: Arc::new(Entry {
                session: session.clone(),
                transport,
                remote_addr,
                since: Instant::now(),
                attributes: Mutex::default(),
                on_end: Mutex::default(),
            }),
        };
        let id = session.id();
        self.registry.lock().insert(id, tracked.clone());
        let registry = Arc::downgrade(&self.registry);
        // It is called at once if the session is over.
        let guard = session.main().on_broken(move |_| {
            if let Some(registry) = registry.upgrade() {
                registry.remove(id);
            }
        });
        *tracked.entry.on_end() = Some(guard);
        tracked
    }

    /// Returns the entry of a session, if it is in this registry.
    ///
    /// A handler finds that of its caller by [`Context::session`](capnweb_core::Context::session).
    #[must_use]
    pub fn get(&self, session: &Session) -> Option<TrackedSession> {
        self.registry.lock().get(&session.id()).cloned()
    }

    /// Returns all sessions, the oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<TrackedSession> {
        self.registry.lock().values().cloned().collect()
    }

    /// Returns the sessions for which `filter` returns true, the oldest first.
    #[must_use]
    pub fn list_by(&self, mut filter: impl FnMut(&TrackedSession) -> bool) -> Vec<TrackedSession> {
        let mut listed = self.list();
        listed.retain(|tracked| filter(tracked));
        listed
    }

    /// Returns the number of sessions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.registry.lock().len()
    }

    /// Returns true if there are no sessions.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ends the sessions for which `filter` returns true, with a close code as
    /// [`Session::close_with`] has it. Returns their number.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use capnweb_core::Error;
    /// # use capnweb_net::Sessions;
    /// # let sessions = Sessions::new();
    /// // Everyone signs in again once a day.
    /// let day = Duration::from_secs(24 * 60 * 60);
    /// sessions.close_by(|tracked| tracked.age() > day, 4401, Error::new("sign in again"));
    /// ```
    pub fn close_by(
        &self,
        filter: impl FnMut(&TrackedSession) -> bool,
        code: u16,
        reason: Error,
    ) -> usize {
        let listed = self.list_by(filter);
        for tracked in &listed {
            tracked.session().close_with(code, reason.clone());
        }
        listed.len()
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("len", &self.len())
            .field("phase", &*self.registry.phase.borrow())
            .finish()
    }
}

/// A kind of transport that a session runs over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportKind {
    /// A WebSocket.
    WebSocket,
    /// An HTTP batch.
    Batch,
    /// WebTransport.
    WebTransport,
    /// Any other stream of bytes, such as TCP or a Unix socket.
    Stream,
}

impl TransportKind {
    /// Returns the name of the kind, as labels of metrics and logs have it: `websocket`, `batch`,
    /// `webtransport` or `stream`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WebSocket => "websocket",
            Self::Batch => "batch",
            Self::WebTransport => "webtransport",
            Self::Stream => "stream",
        }
    }
}

impl fmt::Display for TransportKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A session in a registry, with what is known of its peer. See [`Sessions`].
#[derive(Clone)]
pub struct TrackedSession {
    entry: Arc<Entry>,
}

struct Entry {
    session: Session,
    transport: TransportKind,
    remote_addr: Option<SocketAddr>,
    since: Instant,
    attributes: Mutex<Extensions>,
    /// Takes the session out of the registry.
    on_end: Mutex<Option<BrokenGuard>>,
}

impl Entry {
    fn attributes(&self) -> MutexGuard<'_, Extensions> {
        self.attributes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn on_end(&self) -> MutexGuard<'_, Option<BrokenGuard>> {
        self.on_end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TrackedSession {
    /// Returns the session: its [`main`](Session::main) is the peer's main object, and
    /// [`close_with`](Session::close_with) ends it.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.entry.session
    }

    /// Returns the kind of its transport.
    #[must_use]
    pub fn transport(&self) -> TransportKind {
        self.entry.transport
    }

    /// Returns the peer's address and port, if the server knows them. Behind a proxy they are the
    /// proxy's.
    #[must_use]
    pub fn remote_addr(&self) -> Option<SocketAddr> {
        self.entry.remote_addr
    }

    /// Returns the peer's address without its port.
    #[must_use]
    pub fn remote_ip(&self) -> Option<IpAddr> {
        self.entry.remote_addr.map(|address| address.ip())
    }

    /// Returns the time for which the session has been running.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.entry.since.elapsed()
    }

    /// Attaches a value, such as the user that has signed in. It replaces one of the same type,
    /// which is returned.
    pub fn attach<T: Clone + Send + Sync + 'static>(&self, value: T) -> Option<T> {
        self.entry.attributes().insert(value)
    }

    /// Returns a copy of the attached value of this type.
    #[must_use]
    pub fn get<T: Clone + Send + Sync + 'static>(&self) -> Option<T> {
        self.entry.attributes().get::<T>().cloned()
    }
}

impl fmt::Debug for TrackedSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrackedSession")
            .field("session", &self.entry.session)
            .field("transport", &self.entry.transport)
            .field("remote_addr", &self.entry.remote_addr)
            .field("age", &self.age())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use capnweb_core::{Connection, SessionOptions};

    use super::*;

    pub(super) fn track(sessions: &Sessions) -> (TrackedSession, Connection) {
        let (session, connection) = Session::server(SessionOptions::new());
        let address = "192.0.2.1:9".parse().ok();
        let tracked = sessions.track(&session, TransportKind::WebSocket, address);
        (tracked, connection)
    }

    #[test]
    fn a_session_is_listed_until_it_has_ended() {
        let sessions = Sessions::new();
        let (first, first_connection) = track(&sessions);
        let (second, _second_connection) = track(&sessions);
        let ids = |sessions: &Sessions| -> Vec<u64> {
            let listed = sessions.list();
            listed
                .iter()
                .map(|tracked| tracked.session().id())
                .collect()
        };
        assert_eq!(
            ids(&sessions),
            [first.session().id(), second.session().id()]
        );
        drop(first_connection);
        assert_eq!(ids(&sessions), [second.session().id()]);
        second.session().close(Error::new("enough"));
        assert!(sessions.is_empty());
    }

    #[test]
    fn a_session_that_is_over_is_not_listed() {
        let sessions = Sessions::new();
        let (session, connection) = Session::server(SessionOptions::new());
        drop(connection);
        let tracked = sessions.track(&session, TransportKind::Batch, None);
        assert!(sessions.is_empty());
        assert!(sessions.get(&session).is_none());
        assert_eq!(tracked.transport().to_string(), "batch");
    }

    #[test]
    fn values_are_attached_by_their_type() {
        let sessions = Sessions::new();
        let (tracked, _connection) = track(&sessions);
        assert_eq!(tracked.get::<u32>(), None);
        assert_eq!(tracked.attach(1_u32), None);
        assert_eq!(tracked.attach(2_u32), Some(1));
        let found = sessions.get(tracked.session()).unwrap();
        assert_eq!(found.get::<u32>(), Some(2));
        assert_eq!(found.get::<u64>(), None);
    }

    #[test]
    fn sessions_are_ended_by_what_is_known_of_them() {
        let sessions = Sessions::new();
        let (ada, _ada_connection) = track(&sessions);
        let (bob, _bob_connection) = track(&sessions);
        ada.attach("ada");
        bob.attach("bob");
        let is_ada = |tracked: &TrackedSession| tracked.get() == Some("ada");
        assert_eq!(sessions.close_by(is_ada, 4000, Error::new("banned")), 1);
        let reason = ada.session().end_reason().unwrap();
        let code = reason.session_end().and_then(|end| end.close_code());
        assert_eq!(code, Some(4000));
        assert!(bob.session().end_reason().is_none());
    }

    #[test]
    fn the_registry_keeps_no_session_and_no_session_the_registry() {
        let sessions = Sessions::new();
        let (tracked, _connection) = track(&sessions);
        let registry = Arc::downgrade(&sessions.registry);
        let entry = Arc::downgrade(&tracked.entry);
        drop((sessions, tracked));
        assert!(registry.upgrade().is_none());
        assert!(entry.upgrade().is_none());
    }
}
