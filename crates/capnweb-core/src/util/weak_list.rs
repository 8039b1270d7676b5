//! Lists of weak pointers.

use std::sync::{Arc, Weak};

/// Weak pointers in the order in which they were added. Dead pointers are pruned now and then. So
/// the list stays proportional to the number of live objects, at a constant cost per addition.
pub(crate) struct WeakList<T> {
    all: Vec<Weak<T>>,
    /// The length at which the list is pruned.
    prune_at: usize,
}

/// The length below which a list is not pruned.
const MIN_LEN: usize = 32;

impl<T> Default for WeakList<T> {
    fn default() -> Self {
        Self {
            all: Vec::new(),
            prune_at: MIN_LEN,
        }
    }
}

impl<T> WeakList<T> {
    pub(crate) fn push(&mut self, new: &Arc<T>) {
        if self.all.len() >= self.prune_at {
            self.prune();
            self.prune_at = (self.all.len() * 2).max(MIN_LEN);
            self.all.shrink_to(self.prune_at);
        }
        self.all.push(Arc::downgrade(new));
    }

    fn prune(&mut self) {
        self.all.retain(|pointer| pointer.strong_count() > 0);
    }

    /// Returns whether no object in the list is alive.
    pub(crate) fn is_empty(&mut self) -> bool {
        self.prune();
        self.all.is_empty()
    }

    /// Returns the length of the list, including entries that are gone.
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// Returns the live objects.
    pub(crate) fn alive(&self) -> Vec<Arc<T>> {
        self.all.iter().filter_map(Weak::upgrade).collect()
    }

    /// Empties the list and returns the live objects.
    pub(crate) fn take(&mut self) -> Vec<Arc<T>> {
        let alive = self.alive();
        self.all = Vec::new();
        alive
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gone_is_forgotten() {
        let mut list = WeakList::default();
        let kept = Arc::new(0);
        list.push(&kept);
        for number in 1..1000 {
            list.push(&Arc::new(number));
            assert!(list.all.len() <= MIN_LEN + 1);
        }
        assert!(list.alive() == [kept.clone()] && !list.is_empty());
        assert_eq!(list.take(), [kept]);
        assert!(list.is_empty());
    }
}
