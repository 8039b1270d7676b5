//! The graph's view of what lies beyond it: three traits that sessions implement.
//!
//! The graph knows no session. An [`Import`] holds a [`Peer`], a call that arrived holds a
//! [`CallScope`], and whoever waits for a promise is told through [`Notify`].

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

/// The place that a lasting stub refers to.
pub(crate) trait Place: Send + Sync {
    /// Returns the import that calls go to, if nothing else has to be done about them.
    fn import(&self) -> Option<Arc<Import>>;

    /// Returns what is there with its session, if there is something.
    fn content_and_peer(&self) -> Option<(Hook, Arc<dyn Peer>)>;

    /// Takes in an operation.
    fn enter(self: Arc<Self>, path: &Path, operation: Operation, origin: &Origin) -> Entered;

    /// Makes an idempotent call, which may be made again.
    fn repeat(self: Arc<Self>, path: &Path, operation: Operation) -> Hook;

    /// Registers a callback for the closing. Returns the error if the place is closed.
    fn add_on_broken(&self, registration: &Arc<dyn OnEnd>) -> Option<Error>;

    /// Removes such a callback.
    fn remove_on_broken(&self, number: u64);

    /// Waits until there is something, and returns its session.
    fn poll_filled(&self, cx: &Context<'_>) -> Poll<Result<Arc<dyn Peer>>>;
}

/// The promise of a call that a lasting stub's place looks after.
pub(crate) trait GuardedCall: Send + Sync {
    /// Returns what it has settled to.
    fn outcome(&self) -> Option<Hook>;

    /// Returns the promise of the attempt that is under way.
    fn sent_promise(&self) -> Option<Hook>;

    /// Registers `waiter` and asks for the outcome. Returns false if it is there.
    fn wait(&self, waiter: &mut Option<Waiter>) -> bool;

    /// Registers `waiter` without asking for the outcome. Returns false if it is there.
    fn watch(&self, waiter: Waiter) -> bool;

    /// Takes in an operation on the result.
    fn enter(self: Arc<Self>, path: &Path, operation: Operation, origin: &Origin) -> Entered;

    /// Returns whether it is made again if it is lost.
    fn is_repeated(&self) -> bool;

    /// Makes an idempotent call on the result.
    fn repeat(self: Arc<Self>, path: &Path, operation: Operation) -> Hook;

    /// Has it made although nobody waits for the result.
    fn detach(self: Arc<Self>);
}

/// What became of an operation on its way through a lasting stub.
pub(crate) enum Entered {
    /// It has this result.
    Done(Hook),
    /// It is for this, to which the way has led.
    Onward(Hook, Operation),
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
