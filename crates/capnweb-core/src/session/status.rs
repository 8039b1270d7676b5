//! The status of a session for the application, and waiting for changes.

use std::{
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
};

use super::{
    SessionGuard,
    inner::{SessionInner, State},
};
use crate::graph::{
    error::{Error, Result},
    peer_call::Resource,
};

impl SessionInner {
    /// Returns the guard that keeps the session alive, or `None` for a client whose handles were
    /// all dropped.
    pub(crate) fn guard(&self) -> Option<Arc<SessionGuard>> {
        self.guard.upgrade()
    }

    /// Tells the observer that the session exists.
    pub(crate) fn report_opened(&self) {
        if let Some(hooks) = &self.hooks {
            hooks.opened();
        }
    }

    /// Returns the numbers of imports and exports. They include the main objects until the end.
    pub(crate) fn table_sizes(&self) -> (usize, usize) {
        let state = self.lock();
        let main = usize::from(state.ended.is_none());
        (state.imports.len() + main, state.exports.len() + main)
    }

    /// Returns the number of bytes that are held for the peer, as `max_held_bytes` counts them.
    pub(crate) fn held_bytes(&self) -> usize {
        self.lock().retained_bytes()
    }

    /// Returns the number of bytes that the peer has written to streams and that were not read yet.
    pub(crate) fn stream_bytes(&self) -> usize {
        self.lock().counts.of(Resource::StreamBytes)
    }

    /// Returns the reason for the end, if the session is over.
    #[inline]
    pub(crate) fn end_reason(&self) -> Option<Error> {
        // The driver asks in each poll, so do not lock the state of a session that goes on.
        if self.over.load(Ordering::Acquire) {
            self.lock().ended.clone()
        } else {
            None
        }
    }

    /// Waits for the end of the session.
    pub(crate) fn poll_ended(&self, cx: &Context<'_>) -> Poll<Error> {
        self.poll_state(
            cx,
            |state| state.ended.clone(),
            |waiting| &mut waiting.ended,
        )
    }

    /// Waits for the end of the session and of its transport.
    pub(crate) fn poll_closed(&self, cx: &Context<'_>) -> Poll<Error> {
        let closed = |state: &State| state.ended.clone().filter(|_| state.transport_closed);
        self.poll_state(cx, closed, |waiting| &mut waiting.closed)
    }

    /// Waits until everything is answered and written, and, except in a batch, sent.
    pub(crate) fn poll_drained(&self, cx: &Context<'_>) -> Poll<Result<()>> {
        let is_batch = self.role.is_batch();
        let drained = |state: &State| match &state.ended {
            Some(ended) => Some(Err(ended.clone())),
            None => (state.is_answered() && (is_batch || state.is_flushed())).then_some(Ok(())),
        };
        self.poll_state(cx, drained, |waiting| &mut waiting.drained)
    }

    /// Waits until none of the peer's calls is running, also after the end of the session.
    pub(crate) fn poll_idle(&self, cx: &Context<'_>) -> Poll<()> {
        let idle = |state: &State| state.runs_no_calls().then_some(());
        self.poll_state(cx, idle, |waiting| &mut waiting.drained)
    }

    /// Returns the number of bytes that wait to be sent or are held by the driver.
    pub(crate) fn unsent_bytes(&self) -> usize {
        self.lock().unsent_bytes()
    }

    /// Waits until there is room in the outgoing buffer.
    pub(crate) fn poll_ready(&self, cx: &Context<'_>) -> Poll<Result<()>> {
        let ready = |state: &State| match &state.ended {
            Some(ended) => Some(Err(ended.clone())),
            None => (!self.is_full(state)).then_some(Ok(())),
        };
        self.poll_state(cx, ready, |waiting| &mut waiting.ready)
    }
}
