//! The graph's view of what lies beyond it: three traits that sessions implement.
//!
//! The graph knows no session. An [`Import`] holds a [`Peer`], a call that arrived holds a
//! [`CallScope`], and whoever waits for a promise is told through [`Notify`].

use std::{any::Any, sync::Arc};

use super::{
    engine::invoke::Operation,
    error::{Error, Result},
    hook::{Hook, Waiter},
    import::Import,
    payload::{Path, View},
};

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

    /// Counts `bytes` less: what an outcome took that the peer had given unasked.
    fn refund_outcome(&self, bytes: usize);

    /// Returns whether calls are collected into a batch that is still to be sent.
    fn is_collecting(&self) -> bool;

    /// Has the batch sent.
    fn request_flush(&self);

    /// Returns whether the session is over. Then its imports are resolved, all of them.
    fn is_over(&self) -> bool;

    /// Returns the reason of the session's end, if it is over.
    fn end_reason(&self) -> Option<Error>;

    /// Registers a callback for the end of the session. Returns the reason if it is over.
    fn add_on_broken(&self, registration: &Arc<dyn OnEnd>) -> Option<Error>;

    /// Removes such a callback.
    fn remove_on_broken(&self, number: u64);

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

/// Something that is told of the end of a session.
pub(crate) trait OnEnd: Send + Sync {
    /// Returns its place among all that are told.
    fn number(&self) -> u64;

    /// Tells it, once.
    fn ended(&self, reason: &Error);
}

/// Something that takes one outcome, from the work list.
pub(crate) trait TakeOutcome: Send + Sync {
    /// Takes the outcome.
    fn take_outcome(self: Box<Self>, outcome: &Hook);
}
