//! The graph's view of what lies beyond it: three traits that sessions implement.
//!
//! The graph knows no session. An [`Import`] holds a [`Peer`], a call that arrived holds a
//! [`CallScope`], and whoever waits for a promise is told through [`Notify`].

use std::{
    any::Any,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::runtime::Handle;

use super::{
    engine::invoke::Operation,
    error::{Error, Result},
    hook::{Hook, Waiter},
    import::Import,
    on_broken::Registration,
    payload::{Path, View},
    peer_call::OpenCall,
};
use crate::limits::Limits;

/// A peer, as an import of it knows it. Holding one keeps a client's session alive.
pub(crate) trait Peer: Send + Sync {
    /// Sends a call, a read or a map.
    ///
    /// # Errors
    ///
    /// Returns the operation if `import` has been resolved meanwhile.
    fn send(
        &self,
        import: &Arc<Import>,
        path: &Path,
        operation: Operation,
    ) -> Result<Hook, Operation>;

    /// Sends a call whose arguments have just been written. Returns `None` if `import` has been
    /// resolved meanwhile.
    fn send_call(
        &self,
        import: &Arc<Import>,
        path: &Path,
        method: Option<&str>,
        args: View<'_>,
    ) -> Option<Hook>;

    /// Pulls `import` and registers `waiter`. Returns false if it has been resolved.
    fn wait(&self, import: &Import, waiter: &mut Option<Waiter>) -> bool;

    /// Registers `waiter` without pulling. Returns false if `import` has been resolved.
    fn watch(&self, import: &Import, waiter: Waiter) -> bool;

    /// Releases `import`, whose last reference is gone.
    fn release(&self, import: &Import);

    /// Returns whether calls are collected into a batch that is still to be sent.
    fn is_collecting(&self) -> bool;

    /// Has the batch sent.
    fn request_flush(&self);

    /// Registers a callback for the end of the session. Returns the reason if it is over.
    fn add_on_broken(&self, registration: &Arc<Registration>) -> Option<Error>;

    /// Removes such a callback.
    fn remove_on_broken(&self, number: u64);

    /// Returns the session itself, for the layers above.
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

/// A resource that is counted for a peer while a [`Charge`](super::peer_call::Charge) exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resource {
    /// Calls that have not finished.
    Calls,
    /// Bytes retained besides those of the tables and queues.
    RetainedBytes,
    /// Bytes that the peer has written to streams and nobody has read.
    StreamBytes,
    /// Streams that are being written to the peer. They hold a batch up.
    Pumps,
}

/// The session by which a call of a peer arrived.
pub(crate) trait CallScope: Send + Sync {
    /// Returns the number of the session, for logs.
    fn session_number(&self) -> u64;

    /// Returns the limits that apply to the peer.
    fn limits(&self) -> &Arc<Limits>;

    /// Checks whether one more call may be in flight.
    ///
    /// # Errors
    ///
    /// Fails if there are too many already: one message can hold very many calls.
    fn admit(&self) -> Result<()>;

    /// Returns whether the peer has released the result of call `id`.
    fn is_released(&self, id: i64) -> bool;

    /// Waits until the peer has released the result of call `id`.
    fn poll_released(&self, id: i64, cx: &Context<'_>) -> Poll<()>;

    /// Counts `amount` more of `resource`. Ends the session if a limit is passed.
    fn charge(&self, resource: Resource, amount: usize);

    /// Counts `amount` less of `resource`.
    fn refund(&self, resource: Resource, amount: usize);

    /// Registers a call to be stopped when its time is up. Returns its key, and whether the session
    /// is over: the caller then starts the grace period, once it holds no lock.
    fn register_call(&self, call: OpenCall) -> (u64, bool);

    /// Stops the registered calls when the session's grace period is over.
    fn start_grace_period(&self);

    /// Removes a call that has finished.
    fn unregister_call(&self, key: u64);

    /// Returns the runtime that runs the session's tasks; `None` if it was never in one.
    fn runtime(&self) -> Option<Handle>;

    /// Returns the session itself, for the layers above.
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

/// Something that waits for a promise to settle.
pub(crate) trait Notify: Send + Sync {
    /// Tells it that what it registered under `token` has settled.
    fn notify(self: Arc<Self>, token: u64);

    /// Returns whether it still waits.
    fn is_alive(&self) -> bool {
        true
    }
}

/// Something that takes one outcome, from the work list.
pub(crate) trait TakeOutcome: Send + Sync {
    /// Takes the outcome.
    fn take_outcome(self: Box<Self>, outcome: &Hook);
}
