//! Which calls are run again.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use capnweb_core::lasting::{LostCall, RetryPolicy};

/// The retries that may be made beyond the budget, so that the first losses of a quiet client count.
const RESERVE: f64 = 10.0;

/// Decides which calls are run again after the session was lost on which they had been sent.
///
/// Only calls of methods that are marked `#[rpc(idempotent)]` can be: the server may have run the
/// first one. A budget bounds the retries of all calls together, so that a server in trouble does
/// not get more calls than it had before.
///
/// ```
/// use capnweb_client::Retry;
///
/// // At most three attempts at each call, and one retry for five calls that were answered.
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
    /// Runs idempotent calls again: three attempts at each, and one retry for five calls that were
    /// answered.
    #[must_use]
    pub fn idempotent() -> Self {
        Self {
            attempts: 3,
            budget: 0.2,
            within: Duration::MAX,
        }
    }

    /// Runs no call again.
    #[must_use]
    pub fn never() -> Self {
        Self::idempotent().attempts(1)
    }

    /// Sets how many attempts are made at one call, the first included.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// Sets how many retries a call that is answered pays for: 0.2 is one retry for five calls. Ten
    /// retries are there from the start, and a hundred are the most that can be saved up. Infinity
    /// is no bound at all.
    #[must_use]
    pub fn budget(mut self, retries: f64) -> Self {
        self.budget = retries.max(0.0);
        self
    }

    /// Sets how long after its first attempt a call may be run again. By default there is no bound
    /// but that of [`call_timeout`](crate::ClientBuilder::call_timeout).
    #[must_use]
    pub fn within(mut self, time: Duration) -> Self {
        self.within = time;
        self
    }

    /// Returns whether a call may have another attempt, as far as it alone decides.
    fn allows(&self, attempts: u32, passed: Duration) -> bool {
        attempts < self.attempts && passed < self.within
    }
}

/// The policy and its account.
pub(crate) struct Budget {
    retry: Retry,
    /// The retries that may be made.
    left: Mutex<f64>,
}

impl Budget {
    pub(crate) fn new(retry: Retry) -> Self {
        Self {
            retry,
            left: Mutex::new(RESERVE),
        }
    }

    /// Returns whether a call may have another attempt, which it then pays for.
    pub(crate) fn grants(&self, attempts: u32, passed: Duration) -> bool {
        self.retry.allows(attempts, passed) && self.spend()
    }

    /// Takes one retry out of the account. Returns whether there was one.
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

    /// Pays in for a call that was answered.
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
