//! The interfaces between the graph and the sessions, which implement these traits.
//!
//! The graph does not depend on sessions. An [`Import`] holds a [`Peer`], a received call holds a
//! [`CallScope`], and waiters for a promise are notified through [`Notify`].

use std::{
    any::Any,
    sync::Arc,
    task::{Context, Poll},
};

use super::{
    engine::invoke::{Operation, Origin},
    error::{Error, Result},
    hook::{Hook, Waiter},
    import::Import,
    payload::{Path, View},
};

/// The name of a called method.
#[derive(Clone, Copy)]
pub(crate) struct SentMethod<'a> {
    pub(crate) name: &'a str,
    /// True if an interface declares the name.
    pub(crate) is_declared: bool,
}

/// A peer, as seen by its imports. Holding it keeps a client's session alive.
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

    /// Sends a call whose arguments were just written. Returns `None` if `import` has been resolved
    /// meanwhile.
    fn send_call(
        &self,
        import: &Arc<Import>,
        path: &Path,
        method: Option<SentMethod<'_>>,
        args: View<'_>,
    ) -> Option<Hook>;

    /// Pulls `import` and registers `waiter`. Returns false if it has been resolved.
    fn wait(&self, import: &Import, waiter: &mut Option<Waiter>) -> bool;

    /// Registers `waiter` without pulling. Returns false if `import` has been resolved.
    fn watch(&self, import: &Import, waiter: Waiter) -> bool;

    /// Releases `import`, whose last reference was dropped.
    fn release(&self, import: &Import);

    /// Refunds `bytes` that were counted for an outcome of a peer's own promise.
    fn refund_outcome(&self, bytes: usize);

    /// Returns whether calls are collected into a batch that is still to be sent.
    fn is_collecting(&self) -> bool;

    /// Requests the batch to be sent.
    fn request_flush(&self);

    /// Returns whether the session is over. All of its imports are then resolved.
    fn is_over(&self) -> bool;

    /// Returns the reason for the session's end, if it is over.
    fn end_reason(&self) -> Option<Error>;

    /// Registers a callback for the end of the session. Returns the reason if it is over.
    fn add_on_broken(&self, registration: &Arc<dyn OnEnd>) -> Option<Error>;

    /// Removes a callback for the end of the session.
    fn remove_on_broken(&self, number: u64);

    /// Returns the session itself, for the layers above.
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

/// The place that a lasting stub refers to.
pub(crate) trait Place: Send + Sync {
    /// Returns the import that calls go to, if they need nothing else.
    fn import(&self) -> Option<Arc<Import>>;

    /// Returns the content and its session, if there is any.
    fn content_and_peer(&self) -> Option<(Hook, Arc<dyn Peer>)>;

    /// Handles an operation.
    fn enter(self: Arc<Self>, path: &Path, operation: Operation, origin: &Origin) -> Entered;

    /// Makes an idempotent call, which may be retried.
    fn repeat(self: Arc<Self>, path: &Path, operation: Operation) -> Hook;

    /// Registers a callback for the closing. Returns the error if the place is closed.
    fn add_on_broken(&self, registration: &Arc<dyn OnEnd>) -> Option<Error>;

    /// Removes a callback for the closing.
    fn remove_on_broken(&self, number: u64);

    /// Waits until there is a content, and returns its session.
    fn poll_filled(&self, cx: &Context<'_>) -> Poll<Result<Arc<dyn Peer>>>;
}

/// The promise of a call that the place of a lasting stub tends.
pub(crate) trait GuardedCall: Send + Sync {
    /// Returns the outcome, if it has settled.
    fn outcome(&self) -> Option<Hook>;

    /// Returns the promise of the current attempt.
    fn sent_promise(&self) -> Option<Hook>;

    /// Registers `waiter` and requests the outcome. Returns false if the outcome is available.
    fn wait(&self, waiter: &mut Option<Waiter>) -> bool;

    /// Registers `waiter` without requesting the outcome. Returns false if the outcome is
    /// available.
    fn watch(&self, waiter: Waiter) -> bool;

    /// Handles an operation on the result.
    fn enter(self: Arc<Self>, path: &Path, operation: Operation, origin: &Origin) -> Entered;

    /// Returns whether the call is retried if it is lost.
    fn is_repeated(&self) -> bool;

    /// Makes an idempotent call on the result.
    fn repeat(self: Arc<Self>, path: &Path, operation: Operation) -> Hook;

    /// Lets the call run although nobody waits for the result.
    fn detach(self: Arc<Self>);
}

/// The result of passing an operation to a lasting stub.
pub(crate) enum Entered {
    /// The operation has this result.
    Done(Hook),
    /// The operation must continue at this hook.
    Onward(Hook, Operation),
}

/// A waiter for a promise.
pub(crate) trait Notify: Send + Sync {
    /// Notifies the waiter that the promise registered under `token` has settled.
    fn notify(self: Arc<Self>, token: u64);

    /// Returns whether the waiter still waits.
    fn is_alive(&self) -> bool {
        true
    }
}

/// A callback for the end of a session.
pub(crate) trait OnEnd: Send + Sync {
    /// Returns the position among all callbacks.
    fn number(&self) -> u64;

    /// Runs the callback, once.
    fn ended(&self, reason: &Error);
}

/// A receiver of one outcome, called from the work queue.
pub(crate) trait TakeOutcome: Send + Sync {
    /// Receives the outcome.
    fn take_outcome(self: Box<Self>, outcome: &Hook);
}
