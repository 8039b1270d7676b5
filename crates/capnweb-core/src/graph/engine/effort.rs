//! Counts the work that a thread does for peers, so that no poll takes long.
//!
//! A unit is about a nanosecond. The counts need not be exact: they bound how much work is done in
//! one poll before it goes on in another one, or on another thread.

use std::cell::Cell;

/// The cost of evaluating one instruction of a `map`, in units.
pub(crate) const INSTRUCTION: usize = 256;

/// The cost of copying one capability, in units.
pub(crate) const CAPABILITY: usize = 64;

/// The cost of starting or answering a call, in units.
pub(crate) const CALL: usize = 1024;

/// The work that is done for peers in one poll before other tasks have their turn, in units.
pub(crate) const MAX_IN_POLL: usize = 1_000_000;

thread_local! {
    static SPENT: Cell<usize> = const { Cell::new(0) };
    /// Whether it is known when the counting began: in a poll, or in a run of the work queue.
    static COUNTING: Cell<bool> = const { Cell::new(false) };
}

/// Counts `units` of work.
#[inline]
pub(crate) fn spend(units: usize) {
    SPENT.set(SPENT.get().saturating_add(units));
}

/// Returns whether there has been as much work in this poll as there may be.
#[inline]
pub(crate) fn is_exhausted() -> bool {
    SPENT.get() >= MAX_IN_POLL
}

/// Counts from zero until it is dropped, unless that has begun already.
pub(crate) struct Counting {
    is_first: bool,
}

impl Counting {
    pub(crate) fn start() -> Self {
        let is_first = !COUNTING.replace(true);
        if is_first {
            SPENT.set(0);
        }
        Self { is_first }
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        if self.is_first {
            COUNTING.set(false);
            SPENT.set(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_counted_from_the_beginning_of_a_poll() {
        spend(MAX_IN_POLL);
        let poll = Counting::start();
        assert!(!is_exhausted());
        spend(MAX_IN_POLL - 1);
        let inside = Counting::start();
        assert!(!is_exhausted());
        spend(1);
        drop(inside);
        assert!(is_exhausted());
        spend(usize::MAX);
        assert!(is_exhausted());
        drop(poll);
        assert!(!is_exhausted());
    }
}
