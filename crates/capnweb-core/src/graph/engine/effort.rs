//! Counters of the work that a thread does for peers, so that a driver can yield to other tasks.
//!
//! A unit is about a nanosecond. The counts need not be exact. They bound the work that is done in
//! one poll before the thread's other sessions get their turn.

use std::cell::Cell;

/// The cost of evaluating one instruction of a `map`, in units.
pub(crate) const INSTRUCTION: usize = 256;

/// The cost of copying one capability, in units.
pub(crate) const CAPABILITY: usize = 64;

thread_local! {
    static SPENT: Cell<usize> = const { Cell::new(0) };
}

/// Counts `units` of work.
pub(crate) fn spend(units: usize) {
    SPENT.set(SPENT.get().saturating_add(units));
}

/// Returns the work that was counted on this thread since the last [`reset`].
pub(crate) fn spent() -> usize {
    SPENT.get()
}

/// Starts counting from zero.
pub(crate) fn reset() {
    SPENT.set(0);
}
