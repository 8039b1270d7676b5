//! Whether anybody wants the result of a call.

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

/// What a handler asks whether it is still wanted.
///
/// Made when it first asks for its context, so that a handler that does not care costs nothing. A
/// handler that is not ready has the promise of its result: that is wanted until the last of those who
/// refer to it is gone, whoever they are: the peer, a call that has it among its arguments, one that was
/// made on it. One that was ready at once is wanted for as long as the peer keeps the result.
#[derive(Default)]
pub(crate) struct Cancellation {
    result: OnceLock<Weak<dyn Any + Send + Sync>>,
    wakers: Mutex<Vec<Waker>>,
}

impl Cancellation {
    /// The handler is not ready: its result will come to `result`.
    pub(crate) fn is_in(&self, result: Weak<dyn Any + Send + Sync>) {
        let first = self.result.set(result).is_ok();
        debug_assert!(first, "there is one handler, and one result");
    }

    /// The promise of the result is gone.
    pub(crate) fn is_over(&self) {
        let wakers = std::mem::take(&mut *self.wakers());
        wakers.into_iter().for_each(Waker::wake);
    }

    fn wakers(&self) -> MutexGuard<'_, Vec<Waker>> {
        self.wakers.acquire()
    }

    /// Whether nobody wants the result. `call` is the peer's, if it came from one.
    pub(crate) fn is_canceled(&self, call: Option<&PeerCall>) -> bool {
        match self.result.get() {
            Some(result) => result.strong_count() == 0,
            None => call.is_some_and(PeerCall::is_released),
        }
    }

    /// Waits until nobody wants the result.
    pub(crate) async fn canceled(&self, call: Option<&PeerCall>) {
        poll_fn(|cx| {
            let Some(result) = self.result.get() else {
                // Woken by the release, which comes after the promise of the result was made if there
                // is one.
                return match call {
                    Some(call) => call.poll_released(cx),
                    None => Poll::Pending,
                };
            };
            // First the waker, then the look: if the promise goes in between, it wakes.
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
