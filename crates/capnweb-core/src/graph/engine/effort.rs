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

/// The amount of work for peers in one poll before other tasks get their turn, in units.
pub(crate) const MAX_IN_POLL: usize = 1_000_000;

/// The remaining work while nothing is counted, which no thread can use up in its lifetime.
const UNCOUNTED: isize = isize::MAX;

thread_local! {
    /// The remaining amount of work, in units.
    static LEFT: Cell<isize> = const { Cell::new(UNCOUNTED) };
}

/// Counts `units` of work.
#[inline]
pub(crate) fn spend(units: usize) {
    // Work beyond the maximum counts as the maximum.
    let units = units.min(MAX_IN_POLL).cast_signed();
    LEFT.set(LEFT.get().wrapping_sub(units));
}

/// Counts the maximum amount of work, so that nothing more is begun in this poll.
pub(crate) fn exhaust() {
    if LEFT.get() <= MAX_IN_POLL.cast_signed() {
        LEFT.set(0);
    }
}

/// Returns whether the maximum amount of work was done since counting began.
#[inline]
pub(crate) fn is_exhausted() -> bool {
    LEFT.get() <= 0
}

/// Counts the work of this thread until it is dropped, in a poll or in a list of steps. Inside
/// another count, it changes nothing.
pub(crate) struct Counting {
    /// The remaining work of the outer count.
    before: isize,
}

impl Counting {
    #[inline]
    pub(crate) fn start() -> Self {
        Self::start_from(0)
    }

    /// Starts counting at `spent`.
    #[inline]
    pub(crate) fn start_from(spent: usize) -> Self {
        let before = LEFT.get();
        let left = MAX_IN_POLL.cast_signed().saturating_sub_unsigned(spent);
        LEFT.set(before.min(left));
        Self { before }
    }

    /// Returns the amount of work that was done.
    pub(crate) fn spent(&self) -> usize {
        let spent = MAX_IN_POLL.cast_signed().saturating_sub(LEFT.get());
        usize::try_from(spent).unwrap_or_default()
    }
}

/// Counts the work of this thread until it is dropped, in a poll that is not part of another one.
/// So no outer count has to be stored.
pub(crate) struct CountingPoll(());

impl CountingPoll {
    #[inline]
    pub(crate) fn start() -> Self {
        LEFT.set(MAX_IN_POLL.cast_signed());
        Self(())
    }
}

impl Drop for CountingPoll {
    #[inline]
    fn drop(&mut self) {
        LEFT.set(UNCOUNTED);
    }
}

impl Drop for Counting {
    #[inline]
    fn drop(&mut self) {
        if self.before > MAX_IN_POLL.cast_signed() {
            LEFT.set(UNCOUNTED);
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

    #[test]
    fn a_poll_goes_on_where_the_last_one_stopped() {
        let poll = Counting::start_from(MAX_IN_POLL - 10);
        spend(9);
        assert!(!is_exhausted());
        assert_eq!(poll.spent(), MAX_IN_POLL - 1);
        exhaust();
        assert!(is_exhausted());
        drop(poll);
        assert!(!is_exhausted());
    }

    #[test]
    fn work_outside_of_polls_uses_nothing_up() {
        for _ in 0..1000 {
            spend(usize::MAX);
        }
        exhaust();
        assert!(!is_exhausted());
        let poll = Counting::start();
        assert!(!is_exhausted());
        drop(poll);
    }
}
