//! What the owner of slots decides.

use std::{fmt, sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::graph::error::Error;

/// Decides what happens to calls on a lasting stub while its slot is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhileDown {
    /// They fail at once. An idempotent call that was lost fails too.
    FailFast,
    /// They wait for the next session, in order. All slots of a group share the bounds.
    Queue {
        /// The number of calls that may wait. One more fails with the code `resource_exhausted`.
        calls: usize,
        /// The number of bytes that their arguments may take together, likewise.
        bytes: usize,
        /// The time that a call may wait. After it the call fails with the code `unavailable`, and is
        /// never sent.
        wait: Duration,
    },
}

impl Default for WhileDown {
    /// 1024 calls, a mebibyte and five seconds.
    fn default() -> Self {
        Self::Queue {
            calls: 1024,
            bytes: 1 << 20,
            wait: Duration::from_secs(5),
        }
    }
}

/// Decides which idempotent calls are made again after their session was lost.
///
/// A closure that takes a [`LostCall`] is one.
pub trait RetryPolicy: Send + Sync + 'static {
    /// Returns whether the call is to be made again, on the next session.
    ///
    /// It is asked once for each loss, and never about a call that is not idempotent.
    fn may_retry(&self, call: &LostCall<'_>) -> bool;

    /// Notes that an idempotent call was answered: for budgets that refill.
    fn answered(&self) {}
}

impl<F: Fn(&LostCall<'_>) -> bool + Send + Sync + 'static> RetryPolicy for F {
    fn may_retry(&self, call: &LostCall<'_>) -> bool {
        self(call)
    }
}

/// An idempotent call that was lost with its session.
#[derive(Debug)]
#[non_exhaustive]
pub struct LostCall<'a> {
    /// The number of attempts so far, this one included.
    pub attempts: u32,
    /// The time of the call, before its first attempt.
    pub called: Instant,
    /// The reason of the session's end.
    pub error: &'a Error,
}

/// The settings of a [`SlotGroup`](crate::lasting::SlotGroup).
#[derive(Clone, Default)]
pub struct SlotOptions {
    pub(super) while_down: WhileDown,
    pub(super) retry: Option<Arc<dyn RetryPolicy>>,
    pub(super) call_timeout: Option<Duration>,
}

impl SlotOptions {
    /// Creates settings with the default [`WhileDown`], no retries and no timeout.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets what happens to calls while there is no session.
    #[must_use]
    pub fn while_down(mut self, while_down: WhileDown) -> Self {
        self.while_down = while_down;
        self
    }

    /// Has idempotent calls made again that were lost with their session. Without a policy they fail
    /// like any other.
    #[must_use]
    pub fn retry(mut self, policy: impl RetryPolicy) -> Self {
        self.retry = Some(Arc::new(policy));
        self
    }

    /// Sets the time in which each call has to be answered, its wait for a session included. A call
    /// that is late fails with the code `deadline_exceeded`; its promise is dropped, so a call that
    /// was not sent never is.
    ///
    /// The time begins when the call is made. It needs a Tokio runtime, and an allocation for each
    /// call.
    #[must_use]
    pub fn call_timeout(mut self, timeout: Duration) -> Self {
        self.call_timeout = Some(timeout);
        self
    }
}

impl fmt::Debug for SlotOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlotOptions")
            .field("while_down", &self.while_down)
            .field("retry", &self.retry.is_some())
            .field("call_timeout", &self.call_timeout)
            .finish()
    }
}
