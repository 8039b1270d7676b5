//! The WebSocket sessions of a server, to be ended in good order.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use capnweb::{Error, Session};
use futures_util::future::join_all;

/// "Service restart", in RFC 6455's registry of close codes.
const SERVICE_RESTART: u16 = 1012;

/// The sessions that are open.
#[derive(Clone, Default)]
pub(crate) struct Sessions(Arc<Mutex<Vec<Session>>>);

impl Sessions {
    fn lock(&self) -> MutexGuard<'_, Vec<Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a session, and forgets those that have ended.
    pub(crate) fn add(&self, session: Session) {
        let mut sessions = self.lock();
        sessions.retain(|session| session.end_reason().is_none());
        sessions.push(session);
    }

    /// Ends all sessions: each as soon as everything that its client waits for is answered, or
    /// after `grace`. Ready when they are closed.
    pub(crate) async fn drain(&self, grace: Duration) {
        loop {
            // A connection that was accepted before may become a session meanwhile.
            let open = std::mem::take(&mut *self.lock());
            if open.is_empty() {
                return;
            }
            join_all(open.iter().map(|session| end(session, grace))).await;
        }
    }
}

async fn end(session: &Session, grace: Duration) {
    // Answered or not, its time is up.
    let _ = tokio::time::timeout(grace, session.drain()).await;
    session.close_with(SERVICE_RESTART, Error::new("the server is restarting"));
    session.closed().await;
}
