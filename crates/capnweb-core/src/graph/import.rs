//! References to exports of peers.
//!
//! ```text
//!             push sent, or           pull sent
//!             export received        (someone waits)
//!   (none) ───────────────► unsettled ─────────────► pulled
//!                               │                       │
//!                               │    resolve, reject, or the end of the session
//!                               ▼                       ▼
//!                           resolved: `release` is sent, the outcome is kept here
//! ```
//!
//! An unsettled or pulled import is released when it is dropped. A resolved one is already
//! released.

use std::sync::{
    Arc, Mutex, OnceLock,
    atomic::{AtomicUsize, Ordering},
};

use super::{
    engine::invoke::Operation,
    hook::{Hook, Waiter},
    payload::Path,
    remote::Peer,
    work::{self, Work},
};
use crate::util::lock::{LockExt, into_inner};

/// An object or result that belongs to a peer. Dropping the last reference releases it.
pub(crate) struct Import {
    peer: Arc<dyn Peer>,
    id: i64,
    promise: bool,
    /// The outcome of a promise, or the reason for the session's end. It is set under the session's
    /// lock, so whoever holds the lock and finds it empty may use the ID. The outcome can later be
    /// replaced by its own outcome.
    resolution: OnceLock<Mutex<Hook>>,
    /// The number of bytes that are counted for the outcome.
    retained: AtomicUsize,
}

impl Import {
    pub(crate) fn new(peer: Arc<dyn Peer>, id: i64, promise: bool) -> Arc<Self> {
        Arc::new(Self {
            peer,
            id,
            promise,
            resolution: OnceLock::new(),
            retained: AtomicUsize::new(0),
        })
    }

    pub(crate) fn id(&self) -> i64 {
        self.id
    }

    pub(crate) fn peer(&self) -> &Arc<dyn Peer> {
        &self.peer
    }

    /// Returns whether both belong to the same session.
    pub(crate) fn has_peer_of(&self, other: &Self) -> bool {
        std::ptr::addr_eq(Arc::as_ptr(&self.peer), Arc::as_ptr(&other.peer))
    }

    pub(crate) fn is_promise(&self) -> bool {
        self.promise
    }

    pub(crate) fn is_resolved(&self) -> bool {
        self.resolution.get().is_some()
    }

    pub(crate) fn resolution(&self) -> Option<Hook> {
        Some(self.resolution.get()?.acquire().clone())
    }

    /// Replaces the resolution by its own outcome, to shorten a chain.
    pub(crate) fn point_at(&self, end: Hook) {
        let Some(resolution) = self.resolution.get() else {
            return;
        };
        let mut resolution = resolution.acquire();
        // A resolution that was cut no longer belongs to a chain.
        let old = if resolution.is_link() {
            std::mem::replace(&mut *resolution, end)
        } else {
            end
        };
        drop(resolution);
        work::submit(Work::DropHook(old));
    }

    /// Replaces the resolution by its remainder after the end of the session.
    pub(crate) fn cut(&self, rest: Hook) {
        let Some(resolution) = self.resolution.get() else {
            return;
        };
        let old = std::mem::replace(&mut *resolution.acquire(), rest);
        work::submit(Work::DropHook(old));
    }

    /// Sets the resolution. The session must be locked. Returns `resolution` if the import is
    /// already resolved.
    pub(crate) fn resolve(&self, resolution: Hook) -> Option<Hook> {
        let resolution = self.resolution.set(Mutex::new(resolution)).err()?;
        Some(into_inner(resolution))
    }

    /// Records the number of bytes that are counted for the outcome. The session must be locked.
    /// They are refunded when the import is dropped.
    pub(crate) fn set_retained(&self, bytes: usize) {
        self.retained.store(bytes, Ordering::Relaxed);
    }

    /// Sends a call, a read or a map.
    ///
    /// # Errors
    ///
    /// Returns the operation if the import has been resolved.
    pub(crate) fn send(
        self: &Arc<Self>,
        path: &Path,
        operation: Operation,
    ) -> Result<Hook, Operation> {
        self.peer.send(self, path, operation)
    }

    /// Pulls the promise and registers `waiter`. Returns false if it has been resolved.
    pub(crate) fn wait(&self, waiter: &mut Option<Waiter>) -> bool {
        self.peer.wait(self, waiter)
    }

    /// Pulls the promise without waiting for it.
    pub(crate) fn pull(&self) {
        self.wait(&mut None);
    }

    /// Registers `waiter` without pulling. Returns false if the import has been resolved.
    pub(crate) fn watch(&self, waiter: Waiter) -> bool {
        self.peer.watch(self, waiter)
    }
}

impl Drop for Import {
    fn drop(&mut self) {
        let retained = *self.retained.get_mut();
        if retained > 0 {
            self.peer.refund_outcome(retained);
        }
        match self.resolution.take().map(into_inner) {
            Some(resolution) if resolution.is_text() => {}
            Some(resolution) => work::submit(Work::DropHook(resolution)),
            None => self.peer.release(self),
        }
    }
}
