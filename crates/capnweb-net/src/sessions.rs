//! A registry of a server's sessions.

mod drain;
mod on_drain;

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

use self::{drain::Phase, on_drain::OnDrain};
pub use self::{
    drain::{Drain, Drained},
    on_drain::SessionsEnd,
};

/// A registry of sessions, to list, count, message and end them.
///
/// Pass a clone to the method `tracked` of each server whose sessions it should hold; clones share
/// the sessions. A session or batch is added before its main object is made, and removed when it
/// has ended. The registry does not keep sessions alive.
///
/// ```
/// use capnweb_core::{Session, SessionOptions};
/// use capnweb_net::{Sessions, TransportKind};
///
/// let sessions = Sessions::new();
/// let (session, connection) = Session::server(SessionOptions::new());
/// let tracked = sessions.track(&session, TransportKind::Stream, None);
///
/// // Any value of the application's, such as the user.
/// tracked.attach("ada".to_owned());
/// let of_ada = sessions.list_by(|tracked| tracked.get::<String>().as_deref() == Some("ada"));
/// assert_eq!(of_ada.len(), 1);
///
/// drop(connection);
/// assert!(sessions.is_empty());
/// ```
///
/// To stop a server, call [`drain`](Self::drain).
#[derive(Clone, Default)]
pub struct Sessions {
    registry: Arc<Registry>,
}

struct Registry {
    /// The sessions by [`Session::id`], and thus in the order in which they began.
    entries: Mutex<BTreeMap<u64, TrackedSession>>,
    phase: watch::Sender<Phase>,
    /// The work that begins with the shutdown.
    on_drain: Mutex<Vec<OnDrain>>,
}

impl Default for Registry {
    fn default() -> Self {
        Self {
            entries: Mutex::default(),
            phase: watch::Sender::new(Phase::Serving),
            on_drain: Mutex::default(),
        }
    }
}

impl Registry {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, TrackedSession>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remove(&self, id: u64) {
        let removed = self.lock().remove(&id);
        // The application's attached values are dropped outside the lock.
        drop(removed);
    }
}

impl Sessions {
    /// Creates an empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a session until it ends. Servers add their own sessions; call this for sessions over
    /// your own transport.
    ///
    /// If the session has already ended, its entry is returned but not listed.
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
        // The closure runs at once if the session is over.
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
    /// A handler gets its caller's session from
    /// [`Context::session`](capnweb_core::Context::session).
    #[must_use]
    pub fn get(&self, session: &Session) -> Option<TrackedSession> {
        self.registry.lock().get(&session.id()).cloned()
    }

    /// Returns all sessions, oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<TrackedSession> {
        self.registry.lock().values().cloned().collect()
    }

    /// Returns the sessions for which `filter` returns true, oldest first.
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

    /// Ends the sessions for which `filter` returns true, each as by [`Session::close_with`].
    /// Returns their number.
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

/// The kind of transport of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportKind {
    /// A WebSocket.
    WebSocket,
    /// An HTTP batch.
    Batch,
    /// WebTransport.
    WebTransport,
    /// Any other byte stream, such as TCP or a Unix socket.
    Stream,
}

impl TransportKind {
    /// Returns the name of the kind, for metrics and logs: `websocket`, `batch`, `webtransport` or
    /// `stream`.
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

/// A session in a registry, with information about its peer. See [`Sessions`].
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
    /// Removes the session from the registry when it ends.
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
    /// Returns the session. Its [`main`](Session::main) is the peer's main object, and
    /// [`close_with`](Session::close_with) ends it.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.entry.session
    }

    /// Returns the kind of the session's transport.
    #[must_use]
    pub fn transport(&self) -> TransportKind {
        self.entry.transport
    }

    /// Returns the peer's address and port, if the server knows them. Behind a proxy, they are
    /// those of the proxy.
    #[must_use]
    pub fn remote_addr(&self) -> Option<SocketAddr> {
        self.entry.remote_addr
    }

    /// Returns the peer's address without its port.
    #[must_use]
    pub fn remote_ip(&self) -> Option<IpAddr> {
        self.entry.remote_addr.map(|address| address.ip())
    }

    /// Returns how long the session has been running.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.entry.since.elapsed()
    }

    /// Attaches a value, such as the signed-in user. Replaces and returns an attached value of the
    /// same type.
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
