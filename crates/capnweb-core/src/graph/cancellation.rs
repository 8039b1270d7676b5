//! Tracking of whether the result of a call is still needed.

use std::{
    any::Any,
    future::poll_fn,
    sync::{Mutex, MutexGuard, OnceLock, Weak},
    task::{Poll, Waker},
};

use crate::{
    graph::peer_call::PeerCall,
    util::{lock::LockExt, wakers},
};

/// Tracks whether a handler's result is still needed.
///
/// It is created when a handler first asks for its context, so a handler that does not use it pays
/// nothing. The result of a handler that takes time is a promise. The result is needed until the
/// last reference to that promise is gone: the peer's, that of a call with the promise among its
/// arguments, or that of a call made on it. The result of a handler that was ready at once is
/// needed for as long as the peer keeps it.
#[derive(Default)]
pub(crate) struct Cancellation {
    result: OnceLock<Weak<dyn Any + Send + Sync>>,
    wakers: Mutex<Vec<Waker>>,
}

impl Cancellation {
    /// Sets the promise that will receive the handler's result, because the handler is not ready at
    /// once.
    pub(crate) fn is_in(&self, result: Weak<dyn Any + Send + Sync>) {
        let first = self.result.set(result).is_ok();
        debug_assert!(first, "there is one handler, and one result");
    }

    /// Wakes the waiting tasks, because the promise of the result is gone.
    pub(crate) fn is_over(&self) {
        let wakers = std::mem::take(&mut *self.wakers());
        wakers.into_iter().for_each(Waker::wake);
    }

    fn wakers(&self) -> MutexGuard<'_, Vec<Waker>> {
        self.wakers.acquire()
    }

    /// Returns whether the result is no longer needed. `call` is the peer's call, if there is one.
    pub(crate) fn is_canceled(&self, call: Option<&PeerCall>) -> bool {
        match self.result.get() {
            Some(result) => result.strong_count() == 0,
            None => call.is_some_and(PeerCall::is_released),
        }
    }

    /// Waits until the result is no longer needed.
    pub(crate) async fn canceled(&self, call: Option<&PeerCall>) {
        poll_fn(|cx| {
            let Some(result) = self.result.get() else {
                // The release wakes this task. If a promise of the result was created, the release
                // comes later.
                return match call {
                    Some(call) => call.poll_released(cx),
                    None => Poll::Pending,
                };
            };
            // Register the waker before checking: if the promise is dropped in between, the drop
            // wakes this task.
            let mut waker = Some(cx.waker().clone());
            wakers::register(&mut self.wakers(), &mut waker);
            match result.strong_count() {
                0 => Poll::Ready(()),
                _ => Poll::Pending,
            }
        })
        .await;
    }
}
