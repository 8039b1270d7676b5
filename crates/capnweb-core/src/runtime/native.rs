//! Tokio's runtime.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Waker},
};

/// The system's clock, which keeps running when a test pauses Tokio's clock.
pub(crate) use std::time::Instant as SystemInstant;
pub use std::time::SystemTime;
pub use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout_at};
pub(crate) use tokio::{
    runtime::{Handle, Id},
    task::AbortHandle,
};

/// True if a task may work for sessions other than the one that it was spawned for.
pub(crate) const SHARES_TASKS: bool = true;

/// The group of tasks that a session belongs to. Any task may do I/O for any other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope;

impl Scope {
    pub(crate) fn current() -> Self {
        Self
    }

    /// Returns whether the code that is running may do this scope's I/O.
    #[inline]
    pub(crate) fn allows_current(self) -> bool {
        true
    }
}

/// Spawns a task.
///
/// # Panics
///
/// Panics outside a Tokio runtime.
pub fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(task);
}

/// True if there are threads that may be occupied.
pub(crate) const HAS_BLOCKING_POOL: bool = true;

/// Runs `work` on a thread that may be occupied. Returns false if it panics there. It is dropped
/// without being run if the runtime is shut down.
pub(crate) async fn run_blocking(runtime: Handle, work: impl FnOnce() + Send + 'static) -> bool {
    let done = runtime.spawn_blocking(work).await;
    !done.is_err_and(|error| error.is_panic())
}

/// Schedules the current task to be polled again, after the runtime has looked at its sockets. A
/// task that wakes itself would be polled before that.
pub(crate) fn yield_now(cx: &mut Context<'_>) -> bool {
    pin!(tokio::task::yield_now()).poll(cx).is_pending()
}

/// Returns true if the current runtime has one thread, so that a task that stays awake keeps the
/// runtime from sleeping.
pub(crate) fn has_one_thread() -> bool {
    Handle::try_current().is_ok_and(|runtime| {
        runtime.runtime_flavor() == tokio::runtime::RuntimeFlavor::CurrentThread
    })
}

/// Fills a buffer with random bytes. Returns false if the system has no source of them.
pub fn fill_random(bytes: &mut [u8]) -> bool {
    getrandom::fill(bytes).is_ok()
}

/// A waker for a future that is polled once before it becomes a task.
///
/// The task polls the future again when it starts, so no wake-up is lost although this waker
/// ignores them.
#[derive(Debug)]
pub(crate) struct InlineWaker;

impl InlineWaker {
    pub(crate) fn new() -> Self {
        Self
    }

    pub(crate) fn waker(&self) -> &Waker {
        Waker::noop()
    }

    /// Wakes the task of `cx` if the first waker is woken.
    #[inline]
    pub(crate) fn forward_to(&self, _: &Context<'_>) {}
}
