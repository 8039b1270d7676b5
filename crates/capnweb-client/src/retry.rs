//! Retries of calls.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use capnweb_core::lasting::{LostCall, RetryPolicy};

/// The initial balance of the budget, so that a client with few calls can retry its first losses.
const RESERVE: f64 = 10.0;

/// Decides which calls are retried after their session was lost.
///
/// Only calls of methods marked `#[rpc(idempotent)]` can be retried, since the server may already
/// have run them. A budget limits the retries of all calls together, so that retries do not flood a
/// server in trouble.
///
/// ```
/// use capnweb_client::Retry;
///
/// // At most three attempts per call, and one retry for every five answered calls.
/// let retry = Retry::idempotent().attempts(3).budget(0.2);
/// assert_eq!(retry, Retry::default());
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retry {
    attempts: u32,
    budget: f64,
    within: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self::idempotent()
    }
}

impl Retry {
    /// Retries idempotent calls, with at most three attempts per call and one retry for every five
    /// answered calls.
    #[must_use]
    pub fn idempotent() -> Self {
        Self {
            attempts: 3,
            budget: 0.2,
            within: Duration::MAX,
        }
    }

    /// Retries nothing.
    #[must_use]
    pub fn never() -> Self {
        Self::idempotent().attempts(1)
    }

    /// Sets the maximum number of attempts at one call, including the first.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// Sets how many retries each answered call adds to the budget. For example, 0.2 allows one
    /// retry for every five calls. The budget starts with ten retries and holds at most a hundred.
    /// `f64::INFINITY` removes the limit.
    #[must_use]
    pub fn budget(mut self, retries: f64) -> Self {
        self.budget = retries.max(0.0);
        self
    }

    /// Sets how long after its first attempt a call may be retried. By default only
    /// [`call_timeout`](crate::ClientBuilder::call_timeout) limits this time.
    #[must_use]
    pub fn within(mut self, time: Duration) -> Self {
        self.within = time;
        self
    }

    /// Returns whether the policy allows a call another attempt, regardless of the budget.
    fn allows(&self, attempts: u32, passed: Duration) -> bool {
        attempts < self.attempts && passed < self.within
    }
}

/// A retry policy and the balance of its budget.
pub(crate) struct Budget {
    retry: Retry,
    /// The number of retries that are left.
    left: Mutex<f64>,
}

impl Budget {
    pub(crate) fn new(retry: Retry) -> Self {
        Self {
            retry,
            left: Mutex::new(RESERVE),
        }
    }

    /// Returns whether a call may be retried. If so, the retry is taken from the budget.
    pub(crate) fn grants(&self, attempts: u32, passed: Duration) -> bool {
        self.retry.allows(attempts, passed) && self.spend()
    }

    /// Takes one retry from the budget. Returns whether there was one.
    fn spend(&self) -> bool {
        if self.retry.budget == f64::INFINITY {
            return true;
        }
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let has_one = *left >= 1.0;
        if has_one {
            *left -= 1.0;
        }
        has_one
    }

    /// Adds to the budget for an answered call.
    pub(crate) fn earn(&self) {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        *left = (*left + self.retry.budget).min(RESERVE * 10.0);
    }
}

impl RetryPolicy for Budget {
    fn may_retry(&self, call: &LostCall<'_>) -> bool {
        self.grants(call.attempts, call.called.elapsed())
    }

    fn answered(&self) {
        self.earn();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_and_time_are_bounded() {
        let second = Duration::from_secs(1);
        let retry = Retry::idempotent().attempts(3).within(second);
        assert!(retry.allows(1, Duration::ZERO) && retry.allows(2, second / 2));
        assert!(!retry.allows(3, Duration::ZERO) && !retry.allows(1, second));
        assert!(!Retry::never().allows(1, Duration::ZERO));
    }

    #[test]
    fn answers_pay_for_retries() {
        let budget = Budget::new(Retry::idempotent().budget(0.25));
        let spent = (0..100).filter(|_| budget.spend()).count();
        assert_eq!(spent, 10);
        (0..8).for_each(|_| budget.earn());
        assert!(budget.spend() && budget.spend() && !budget.spend());
        (0..10_000).for_each(|_| budget.earn());
        let spent = (0..1000).filter(|_| budget.spend()).count();
        assert_eq!(spent, 100);
        let budget = Budget::new(Retry::idempotent().budget(f64::INFINITY));
        assert!((0..1000).all(|_| budget.spend()));
    }
}
