//! Notes for the task of a client.

use std::{future::Future, pin::Pin};

use capnweb_core::{
    Error, Session, WeakSession,
    runtime::{Instant, sleep_until},
};
use futures_util::future::{Either, select};

use crate::derivations::{Added, Derived};

/// Something that the task has to tend.
pub(crate) enum Note {
    /// A derivation was added.
    Added(Added),
    /// Derivations were run.
    Derived(Vec<Derived>),
    /// A session whose server is going away was replaced.
    Retired(Retired),
}

/// A session that was replaced but may still have calls in progress.
pub(crate) struct Retired {
    session: WeakSession,
    closed: Pin<Box<dyn Future<Output = Error> + Send>>,
    deadline: Instant,
}

impl Retired {
    /// Lets go of `session`, which ends when its last handle is dropped, or at `deadline`.
    pub(crate) fn new(session: &Session, deadline: Instant) -> Self {
        Self {
            session: session.downgrade(),
            closed: Box::pin(session.closed()),
            deadline,
        }
    }

    /// Waits for the session's end.
    pub(crate) async fn end(self) {
        let deadline = Box::pin(sleep_until(self.deadline));
        let ended = select(self.closed, deadline).await;
        if let Either::Right(_) = ended
            && let Some(session) = self.session.upgrade()
        {
            let error = Error::disconnected("the server has gone away, as it had announced");
            session.close_with(1000, error);
        }
    }
}
