//! The WebSocket sessions of a server, to be ended gracefully.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use capnweb::{Error, Session};
use futures_util::future::join_all;

/// The close code "Service restart" of RFC 6455's registry.
const SERVICE_RESTART: u16 = 1012;

/// The open sessions.
#[derive(Clone, Default)]
pub(crate) struct Sessions(Arc<Mutex<Vec<Session>>>);

impl Sessions {
    fn lock(&self) -> MutexGuard<'_, Vec<Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a session, and removes those that have ended.
    pub(crate) fn add(&self, session: Session) {
        let mut sessions = self.lock();
        sessions.retain(|session| session.end_reason().is_none());
        sessions.push(session);
    }

    /// Ends all sessions. Each ends once everything that its client waits for has been answered, or
    /// after `grace`. Completes when all are closed.
    pub(crate) async fn drain(&self, grace: Duration) {
        loop {
            // A connection that was accepted earlier may still become a session.
            let open = std::mem::take(&mut *self.lock());
            if open.is_empty() {
                return;
            }
            join_all(open.iter().map(|session| end(session, grace))).await;
        }
    }
}

async fn end(session: &Session, grace: Duration) {
    // Its time is up, whether or not everything was answered.
    let _ = tokio::time::timeout(grace, session.drain()).await;
    session.close_with(SERVICE_RESTART, Error::new("the server is restarting"));
    session.closed().await;
}
