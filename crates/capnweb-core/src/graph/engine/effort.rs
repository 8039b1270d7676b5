//! Counters of the work that a thread does for peers, so that no poll takes long.
//!
//! A unit is about a nanosecond. The counts need not be exact. They bound the work that is done in
//! one poll before it continues in another poll, or on another thread.

use std::cell::Cell;

/// The cost of evaluating one instruction of a `map`, in units.
pub(crate) const INSTRUCTION: usize = 256;

/// The cost of copying one capability, in units.
pub(crate) const CAPABILITY: usize = 64;

/// The cost of starting or answering a call, in units.
pub(crate) const CALL: usize = 1024;

/// The work that is done for peers in one poll before other tasks have their turn, in units.
pub(crate) const MAX_IN_POLL: usize = 1_000_000;

/// The count while nothing is counted. It is so low that no work brings it to zero.
const IDLE: isize = isize::MIN / 2;

thread_local! {
    static SPENT: Cell<isize> = const { Cell::new(IDLE) };
}

/// Counts `units` of work.
#[inline]
pub(crate) fn spend(units: usize) {
    let units = isize::try_from(units).unwrap_or(isize::MAX);
    SPENT.set(SPENT.get().saturating_add(units));
}

/// Returns whether there has been as much work as there may be since the counting began. It is
/// false while nothing is counted.
#[inline]
pub(crate) fn is_exhausted() -> bool {
    SPENT.get() >= MAX_IN_POLL.cast_signed()
}

/// Counts from zero until it is dropped, unless that has begun already.
pub(crate) struct Counting {
    is_first: bool,
}

impl Counting {
    #[inline]
    pub(crate) fn start() -> Self {
        Self::start_from(0)
    }

    /// Counts from `spent` on.
    #[inline]
    pub(crate) fn start_from(spent: usize) -> Self {
        let is_first = SPENT.get() < 0;
        if is_first {
            SPENT.set(spent.cast_signed());
        }
        Self { is_first }
    }

    /// Returns what has been spent.
    pub(crate) fn spent(&self) -> usize {
        usize::try_from(SPENT.get()).unwrap_or_default()
    }
}

/// Counts from zero until it is dropped: in a poll, which is never part of another one.
pub(crate) struct CountingPoll(());

impl CountingPoll {
    #[inline]
    pub(crate) fn start() -> Self {
        SPENT.set(0);
        Self(())
    }
}

impl Drop for CountingPoll {
    #[inline]
    fn drop(&mut self) {
        SPENT.set(IDLE);
    }
}

impl Drop for Counting {
    #[inline]
    fn drop(&mut self) {
        if self.is_first {
            SPENT.set(IDLE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_counted_from_the_beginning_of_a_poll() {
        spend(MAX_IN_POLL);
        assert!(!is_exhausted(), "nothing is counted");
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
