//! The settings of slots.

use std::{fmt, sync::Arc, time::Duration};

use crate::{graph::error::Error, runtime::Instant};

/// Decides what happens to calls on a lasting stub while its slot is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhileDown {
    /// Calls fail at once. An idempotent call that was lost fails too.
    FailFast,
    /// Calls wait for the next session, in order. All slots of a group share the limits.
    Queue {
        /// The maximum number of waiting calls. Further calls fail with the code
        /// `resource_exhausted`.
        calls: usize,
        /// The maximum number of bytes of their arguments together. Further calls fail with the
        /// code `resource_exhausted`.
        bytes: usize,
        /// The maximum time that a call may wait. After it, the call fails with the code
        /// `unavailable` and is never sent.
        wait: Duration,
    },
}

impl Default for WhileDown {
    /// Lets up to 1024 calls of together one mebibyte wait for five seconds.
    fn default() -> Self {
        Self::Queue {
            calls: 1024,
            bytes: 1 << 20,
            wait: Duration::from_secs(5),
        }
    }
}

/// Decides which idempotent calls are retried after their session was lost.
///
/// A closure that takes a [`LostCall`] is a policy.
pub trait RetryPolicy: Send + Sync + 'static {
    /// Returns whether to retry the call on the next session.
    ///
    /// It is called once per loss, and only for idempotent calls.
    fn may_retry(&self, call: &LostCall<'_>) -> bool;

    /// Called when an idempotent call was answered, for budgets that refill.
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
    /// The number of attempts so far, including this one.
    pub attempts: u32,
    /// The time at which the call was made, before its first attempt.
    pub called: Instant,
    /// The reason for the session's end.
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

    /// Sets the policy for retrying idempotent calls that were lost with their session. Without a
    /// policy, they fail like any other call.
    #[must_use]
    pub fn retry(mut self, policy: impl RetryPolicy) -> Self {
        self.retry = Some(Arc::new(policy));
        self
    }

    /// Sets the time limit for each call, including its wait for a session. A call over the limit
    /// fails with the code `deadline_exceeded`. Its promise is dropped, so a call that was not sent
    /// never will be.
    ///
    /// The time starts when the call is made. This setting requires a Tokio runtime, and one
    /// allocation per call.
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
