//! The guard that keeps a client's session alive.

use std::{fmt, sync::Arc};

use super::{AbortNotice, SessionInner, end::shut_down};
use crate::graph::{hook::Hook, import::Import};

/// Keeps a client's session alive. Every stub, promise and handle of the session holds it.
pub(crate) struct SessionGuard {
    inner: Arc<SessionInner>,
}

impl SessionGuard {
    pub(crate) fn new(inner: Arc<SessionInner>) -> Self {
        Self { inner }
    }

    pub(crate) fn inner(&self) -> &Arc<SessionInner> {
        &self.inner
    }

    /// Returns the peer's main object.
    pub(crate) fn main(self: &Arc<Self>) -> Hook {
        let mut state = self.inner.lock();
        match &state.ended {
            // Calls on it are not sent.
            Some(ended) => Hook::Broken(ended.clone().with_may_have_run(false)),
            None => Hook::Import(state.imports.main(|| Import::new(self.clone(), 0, false))),
        }
    }
}

impl fmt::Debug for SessionGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionGuard")
            .field("session", &self.inner.number)
            .finish_non_exhaustive()
    }
}

impl Drop for SessionGuard {
    fn drop(&mut self) {
        if self.inner.role.is_client() {
            self.inner.end(shut_down(), AbortNotice::Silent);
        }
    }
}
