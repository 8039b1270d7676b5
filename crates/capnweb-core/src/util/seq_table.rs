//! Tables with sequential keys.

use std::collections::VecDeque;

use super::sharded_map::ShardedMap;

/// A table whose keys are 1, 2, 3 and so on, each used once.
///
/// Most entries are short-lived, so entries are stored in a ring that starts at the oldest one. Old
/// entries that would keep the ring long are moved to a map. So memory stays proportional to the
/// number of entries, whichever of them a peer keeps.
pub(crate) struct SeqTable<T> {
    /// The key of `ring[0]`.
    base: u64,
    ring: VecDeque<Option<T>>,
    /// The number of occupied slots in the ring.
    live: usize,
    old: ShardedMap<T>,
}

/// The length up to which a ring is never tidied.
const SHORT: usize = 64;

/// The capacity up to which a table never shrinks.
const SMALL: usize = 1024;

/// Returns the capacity to shrink to, for a table that is far too large for its entries.
pub(crate) fn shrunk(len: usize, capacity: usize) -> Option<usize> {
    (capacity > SMALL && len < capacity / 8).then_some(capacity / 4)
}

impl<T> Default for SeqTable<T> {
    fn default() -> Self {
        Self {
            base: 1,
            ring: VecDeque::new(),
            live: 0,
            old: ShardedMap::default(),
        }
    }
}

impl<T> SeqTable<T> {
    /// Returns the number of entries.
    pub(crate) fn len(&self) -> usize {
        self.live + self.old.len()
    }

    /// Returns the key of the next entry.
    pub(crate) fn next_key(&self) -> u64 {
        self.base + self.ring.len() as u64
    }

    /// Returns whether `key` was ever used, even if its entry is gone.
    pub(crate) fn was_given(&self, key: u64) -> bool {
        (1..self.next_key()).contains(&key)
    }

    /// Adds an entry under the next key.
    pub(crate) fn push(&mut self, value: T) -> u64 {
        if self.ring.len() >= SHORT && self.ring.len() > self.live.saturating_mul(4) {
            self.tidy();
        }
        let key = self.next_key();
        self.ring.push_back(Some(value));
        self.live += 1;
        key
    }

    /// Moves old entries to the map until most of the ring is occupied.
    fn tidy(&mut self) {
        while self.ring.len() > SHORT / 2 && self.ring.len() > self.live.saturating_mul(2) {
            if let Some(Some(value)) = self.ring.pop_front() {
                self.old.insert(self.base, value);
                self.live -= 1;
            }
            self.base += 1;
        }
    }

    fn slot(&self, key: u64) -> Option<usize> {
        usize::try_from(key.checked_sub(self.base)?).ok()
    }

    #[inline]
    pub(crate) fn get(&self, key: u64) -> Option<&T> {
        match self.slot(key) {
            Some(slot) => self.ring.get(slot)?.as_ref(),
            None => self.old.get(key),
        }
    }

    pub(crate) fn get_mut(&mut self, key: u64) -> Option<&mut T> {
        match self.slot(key) {
            Some(slot) => self.ring.get_mut(slot)?.as_mut(),
            None => self.old.get_mut(key),
        }
    }

    pub(crate) fn remove(&mut self, key: u64) -> Option<T> {
        let Some(slot) = self.slot(key) else {
            return self.old.remove(key);
        };
        let value = self.ring.get_mut(slot)?.take()?;
        self.shorten();
        Some(value)
    }

    /// Removes an entry if `check` allows it. Otherwise leaves the entry and returns the error.
    pub(crate) fn remove_checked<E>(
        &mut self,
        key: u64,
        check: impl FnOnce(&T) -> Result<(), E>,
    ) -> Result<Option<T>, E> {
        let Some(slot) = self.slot(key) else {
            self.old.get(key).map(check).transpose()?;
            return Ok(self.old.remove(key));
        };
        let Some(place) = self.ring.get_mut(slot) else {
            return Ok(None);
        };
        place.as_ref().map(check).transpose()?;
        let value = place.take();
        if value.is_some() {
            self.shorten();
        }
        Ok(value)
    }

    /// Updates the ring after the removal of an entry.
    fn shorten(&mut self) {
        self.live -= 1;
        while let Some(None) = self.ring.front() {
            self.ring.pop_front();
            self.base += 1;
        }
        if self.ring.capacity() > SMALL {
            self.shrink_ring();
        }
    }

    #[cold]
    fn shrink_ring(&mut self) {
        if let Some(room) = shrunk(self.ring.len(), self.ring.capacity()) {
            self.ring.shrink_to(room);
        }
    }

    /// Iterates over all entries in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        let ring = (self.base..)
            .zip(&self.ring)
            .filter_map(|(key, slot)| Some((key, slot.as_ref()?)));
        self.old.iter().chain(ring)
    }

    /// Removes all entries and returns them in the order of their keys. Later keys continue the
    /// sequence.
    pub(crate) fn take_all(&mut self) -> Vec<T> {
        let mut values = Vec::with_capacity(self.len());
        self.base = self.next_key();
        self.live = 0;
        for (_, value) in self.old.take_all() {
            values.push(value);
        }
        for slot in std::mem::take(&mut self.ring) {
            values.extend(slot);
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_given_once() {
        let mut table = SeqTable::default();
        assert_eq!((table.push('a'), table.push('b')), (1, 2));
        assert_eq!(table.remove_checked(2, |_| Err('c')), Err('c'));
        assert_eq!(table.remove_checked(2, |_| Ok::<_, ()>(())), Ok(Some('b')));
        assert_eq!(table.remove_checked(2, |_| Err('c')), Ok(None));
        assert_eq!(table.remove(2), None);
        assert_eq!(table.remove(1), Some('a'));
        assert_eq!(table.push('c'), 3);
        assert!(table.was_given(1) && table.was_given(3));
        assert!(!table.was_given(0) && !table.was_given(4));
        assert_eq!((table.get(3), table.len()), (Some(&'c'), 1));
    }

    #[test]
    fn one_old_entry_does_not_keep_the_ring() {
        let mut table = SeqTable::default();
        table.push(0);
        for n in 1..100_000 {
            let key = table.push(n);
            table.remove(key);
        }
        assert!(table.ring.len() <= SHORT + 1);
        assert_eq!((table.get(1), table.len()), (Some(&0), 1));
        assert_eq!(table.remove(1), Some(0));
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn room_is_given_back_after_a_flood() {
        for all_but in [0, 1] {
            let mut table = SeqTable::default();
            for n in 0..100_000 {
                table.push(n);
            }
            for key in (1 + all_but)..=100_000 {
                table.remove(key);
            }
            // Other entries come and go, and the old one does not keep the ring long.
            for n in 0..100_000 {
                let key = table.push(n);
                table.remove(key);
            }
            assert_eq!(table.len() as u64, all_but);
            assert!(table.ring.capacity() <= SMALL, "{}", table.ring.capacity());
            assert_eq!(table.old.len() as u64, all_but);
        }
    }

    #[test]
    fn everything_comes_out_in_order() {
        let mut table = SeqTable::default();
        for n in 1..=1000 {
            table.push(n);
        }
        for n in 1..=1000 {
            if n % 100 != 0 {
                table.remove(n);
            }
        }
        for n in 1001..=2000 {
            let key = table.push(n);
            if n % 100 != 0 {
                table.remove(key);
            }
        }
        let expected: Vec<u64> = (1..=20).map(|n| n * 100).collect();
        assert_eq!(table.take_all(), expected);
        assert_eq!((table.len(), table.next_key()), (0, 2001));
    }
}
