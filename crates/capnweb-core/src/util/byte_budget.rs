//! Bounds on the bytes that several holders hold together.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// A bound on the number of bytes that several holders share, such as the connections of a server.
///
/// Clones share the same budget. Each holder has a [`ByteCharge`], which counts the bytes that it
/// holds.
///
/// ```
/// use capnweb::transport::ByteBudget;
///
/// let budget = ByteBudget::new(1 << 20);
/// let (mut a, mut b) = (budget.charge(), budget.charge());
/// assert!(a.set(1 << 20));
/// assert!(!b.set(1 << 19));
/// drop(a);
/// assert!(b.set(1 << 19));
/// assert_eq!(budget.used(), 1 << 19);
/// ```
#[derive(Clone, Debug)]
pub struct ByteBudget(Arc<Budget>);

#[derive(Debug)]
struct Budget {
    used: AtomicUsize,
    max: usize,
}

impl ByteBudget {
    /// Creates a budget of `max` bytes.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self(Arc::new(Budget {
            used: AtomicUsize::new(0),
            max,
        }))
    }

    /// Returns the number of bytes that may be held.
    #[must_use]
    pub fn max(&self) -> usize {
        self.0.max
    }

    /// Returns the number of bytes that are held.
    #[must_use]
    pub fn used(&self) -> usize {
        self.0.used.load(Ordering::Relaxed)
    }

    /// Returns whether the budget is used up.
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        self.used() >= self.max()
    }

    /// Creates a charge of no bytes.
    #[must_use]
    pub fn charge(&self) -> ByteCharge {
        ByteCharge {
            budget: Some(self.clone()),
            charged: 0,
        }
    }
}

/// The share of a [`ByteBudget`] that one holder has in use. Dropping it returns the bytes.
#[derive(Default)]
pub struct ByteCharge {
    /// The budget. Without one, nothing is counted.
    budget: Option<ByteBudget>,
    charged: usize,
}

/// The number of bytes that a holder may hold uncounted. Most connections stay below it, so they
/// never touch the shared counter.
const FREE: usize = 64 * 1024;

impl ByteCharge {
    /// Sets the number of bytes that are held; up to 64 KiB count as none. If the number exceeds
    /// the budget, returns false and leaves the charge unchanged.
    #[inline]
    #[must_use = "the bytes may not be held if this is false"]
    pub fn set(&mut self, bytes: usize) -> bool {
        if bytes <= FREE && self.charged == 0 {
            return true;
        }
        self.change(bytes)
    }

    fn change(&mut self, bytes: usize) -> bool {
        let Some(ByteBudget(budget)) = &self.budget else {
            return true;
        };
        let bytes = if bytes > FREE { bytes } else { 0 };
        match bytes.checked_sub(self.charged) {
            Some(0) => return true,
            Some(more) => {
                let fits = |used: usize| used.checked_add(more).filter(|used| *used <= budget.max);
                let (ok, failed) = (Ordering::Relaxed, Ordering::Relaxed);
                if budget.used.fetch_update(ok, failed, fits).is_err() {
                    return false;
                }
            }
            None => {
                let less = self.charged - bytes;
                budget.used.fetch_sub(less, Ordering::Relaxed);
            }
        }
        self.charged = bytes;
        true
    }
}

impl Drop for ByteCharge {
    fn drop(&mut self) {
        if let Some(ByteBudget(budget)) = &self.budget
            && self.charged > 0
        {
            budget.used.fetch_sub(self.charged, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for ByteCharge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByteCharge")
            .field("charged", &self.charged)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_charge_follows_what_is_held() {
        let budget = ByteBudget::new(10 * FREE);
        let mut charge = budget.charge();
        for (bytes, used) in [
            (FREE, 0),
            (2 * FREE, 2 * FREE),
            (10 * FREE, 10 * FREE),
            (3 * FREE, 3 * FREE),
            (FREE, 0),
        ] {
            assert!(charge.set(bytes));
            assert_eq!(budget.used(), used);
        }
    }

    #[test]
    fn a_charge_that_does_not_fit_changes_nothing() {
        let budget = ByteBudget::new(10 * FREE);
        let (mut a, mut b) = (budget.charge(), budget.charge());
        assert!(a.set(6 * FREE) && b.set(4 * FREE) && budget.is_exhausted());
        assert!(!a.set(6 * FREE + 1) && !b.set(usize::MAX));
        assert_eq!(budget.used(), 10 * FREE);
        drop(a);
        assert_eq!(budget.used(), 4 * FREE);
        assert!(b.set(10 * FREE));
        drop(b);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn without_a_budget_nothing_is_counted() {
        assert!(ByteCharge::default().set(usize::MAX));
    }
}
