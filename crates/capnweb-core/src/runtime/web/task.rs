//! Groups of tasks, and whether one of them has trapped.

use std::{
    cell::Cell,
    future::{Future, poll_fn},
    pin::pin,
};

thread_local! {
    /// The number of tasks that are being polled, inside one another.
    static POLLED: Cell<usize> = const { Cell::new(0) };
    /// The scope of the task that is being polled.
    static CURRENT: Cell<Scope> = const { Cell::new(Scope::NONE) };
    static LAST_ID: Cell<u64> = const { Cell::new(0) };
}

/// A group of tasks: a future, all tasks that it spawns, and all that these spawn.
///
/// A Worker's request is one. All requests share one instance, but none may do another's I/O.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    id: u64,
    is_isolated: bool,
}

impl Scope {
    const NONE: Self = Self {
        id: 0,
        is_isolated: false,
    };

    /// Creates a scope. If it is isolated, no other isolated scope may do its I/O.
    #[must_use]
    pub fn new(is_isolated: bool) -> Self {
        let id = LAST_ID.get() + 1;
        LAST_ID.set(id);
        Self { id, is_isolated }
    }

    /// Returns the scope of the code that is running.
    #[must_use]
    pub fn current() -> Self {
        CURRENT.get()
    }

    /// Returns whether no other isolated scope may do this one's I/O.
    #[must_use]
    pub fn is_isolated(self) -> bool {
        self.is_isolated
    }

    /// Returns the number of the scope, which is 0 outside of all scopes.
    pub(super) fn id(self) -> u64 {
        self.id
    }

    /// Returns whether the code that is running may do this scope's I/O.
    pub(crate) fn allows_current(self) -> bool {
        let current = Self::current();
        !self.is_isolated || !current.is_isolated || self.id == current.id
    }

    /// Runs a future in this scope.
    pub async fn run<F: Future>(self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|cx| {
            let outer = CURRENT.replace(self);
            let polled = future.as_mut().poll(cx);
            // A trap skips this, since nothing is unwound.
            CURRENT.set(outer);
            polled
        })
        .await
    }
}

/// Runs a task in a scope, and counts it while it is being polled.
pub(super) async fn watched(scope: Scope, task: impl Future<Output = ()>) {
    let mut task = pin!(scope.run(task));
    poll_fn(|cx| {
        POLLED.set(POLLED.get() + 1);
        let polled = task.as_mut().poll(cx);
        // A trap skips this too.
        POLLED.set(POLLED.get().saturating_sub(1));
        polled
    })
    .await;
}

/// Returns the scope of a task that has trapped since the last call, if there is one.
///
/// Call this from outside of all tasks, in a callback of the host.
pub fn take_trapped() -> Option<Scope> {
    let scope = CURRENT.replace(Scope::NONE);
    (POLLED.replace(0) > 0).then_some(scope)
}
