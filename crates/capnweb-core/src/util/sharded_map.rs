//! Hash maps that grow in small steps.

use rustc_hash::FxHashMap;

use super::{invariant::Invariant, seq_table::shrunk};

/// A map with integer keys that moves at most a few thousand entries at a time.
///
/// A hash map copies all of its entries when it grows. For the tables of a session this happens
/// under the session's lock, which would be held for tens of milliseconds if there are millions of
/// entries. So this map consists of shards. A new entry that makes it too full causes one shard to
/// be split in two, and a removal can merge two of them (linear hashing).
///
/// A peer that chooses the keys can have all entries in one shard. The map then behaves like a
/// single hash map.
pub(crate) struct ShardedMap<T> {
    /// The first shard. Most maps have no other one.
    first: Shard<T>,
    others: Vec<Shard<T>>,
    /// The number of entries in all shards.
    len: usize,
}

type Shard<T> = FxHashMap<u64, T>;

/// The average number of entries in a shard above which one is split.
const FULL: usize = 1024;

/// The average number of entries in a shard below which two are merged.
const SPARSE: usize = FULL / 8;

/// Returns the index of the shard for `key` among `shards`.
fn place(key: u64, shards: usize) -> usize {
    /// The golden ratio, for Fibonacci hashing.
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let hash = usize::try_from(key.wrapping_mul(FACTOR) >> 40).or_bug("24 bits fit");
    let mask = shards.next_power_of_two() - 1;
    match hash & mask {
        index if index < shards => index,
        // This shard has not been split off yet.
        index => index & (mask >> 1),
    }
}

/// Returns the index of the shard from which shard `index` is split off.
fn parent(index: usize) -> usize {
    index - (1 << index.ilog2())
}

impl<T> Default for ShardedMap<T> {
    fn default() -> Self {
        Self {
            first: Shard::default(),
            others: Vec::new(),
            len: 0,
        }
    }
}

impl<T> ShardedMap<T> {
    /// Returns the number of entries.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    fn shard(&self, key: u64) -> &Shard<T> {
        if self.others.is_empty() {
            return &self.first;
        }
        let other = place(key, self.others.len() + 1).checked_sub(1);
        other
            .and_then(|other| self.others.get(other))
            .unwrap_or(&self.first)
    }

    fn shard_mut(&mut self, key: u64) -> &mut Shard<T> {
        if self.others.is_empty() {
            return &mut self.first;
        }
        let index = place(key, self.others.len() + 1);
        self.shard_at(index)
    }

    fn shard_at(&mut self, index: usize) -> &mut Shard<T> {
        let other = index.checked_sub(1);
        other
            .and_then(|other| self.others.get_mut(other))
            .unwrap_or(&mut self.first)
    }

    pub(crate) fn get(&self, key: u64) -> Option<&T> {
        self.shard(key).get(&key)
    }

    pub(crate) fn get_mut(&mut self, key: u64) -> Option<&mut T> {
        self.shard_mut(key).get_mut(&key)
    }

    /// Adds an entry, and returns the one that it replaces.
    pub(crate) fn insert(&mut self, key: u64, value: T) -> Option<T> {
        let replaced = self.shard_mut(key).insert(key, value);
        if replaced.is_none() {
            self.len += 1;
            if self.len > FULL * (self.others.len() + 1) {
                self.split();
            }
        }
        replaced
    }

    pub(crate) fn remove(&mut self, key: u64) -> Option<T> {
        let shard = self.shard_mut(key);
        let value = shard.remove(&key)?;
        if let Some(room) = shrunk(shard.len(), shard.capacity()) {
            shard.shrink_to(room);
        }
        self.len -= 1;
        if self.len < SPARSE * self.others.len() {
            self.merge();
        }
        Some(value)
    }

    /// Splits one shard in two.
    #[cold]
    fn split(&mut self) {
        let new = self.others.len() + 1;
        let full = self.shard_at(parent(new));
        let moves = |key: &u64, _: &mut T| place(*key, new + 1) == new;
        let moved = full.extract_if(moves).collect();
        self.others.push(moved);
    }

    /// Merges the last shard with the one from which it was split off.
    #[cold]
    fn merge(&mut self) {
        let last = self.others.len();
        if let Some(entries) = self.others.pop() {
            self.shard_at(parent(last)).extend(entries);
        }
        if self.others.is_empty() {
            self.others = Vec::new();
        }
    }

    /// Iterates over all entries in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        let others = self.others.iter().flatten();
        self.first
            .iter()
            .chain(others)
            .map(|(key, value)| (*key, value))
    }

    /// Removes all entries and returns them in the order of their keys.
    pub(crate) fn take_all(&mut self) -> Vec<(u64, T)> {
        let Self { first, others, len } = std::mem::take(self);
        let mut entries = Vec::with_capacity(len);
        entries.extend(first);
        for shard in others {
            entries.extend(shard);
        }
        capnweb_wire::sort_by_key(&mut entries, |(key, _)| *key);
        entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the length of the longest shard.
    fn longest<T>(map: &ShardedMap<T>) -> usize {
        let others = map.others.iter().map(Shard::len);
        others.max().unwrap_or_default().max(map.first.len())
    }

    #[test]
    fn entries_are_found_while_the_map_grows_and_shrinks() {
        /// Larger than several powers of two times the size of a shard.
        const MANY: u64 = 100_000;
        for step in [1, 2, 1024, 999_983] {
            let mut map = ShardedMap::default();
            for n in 1..=MANY {
                assert_eq!(map.insert(n * step, n), None);
                assert_eq!(map.get(n * step), Some(&n));
            }
            assert_eq!(map.insert(step, 7), Some(1));
            assert_eq!(map.insert(step, 1), Some(7));
            assert_eq!((map.len() as u64, map.iter().count() as u64), (MANY, MANY));
            assert!(map.others.len() + 1 >= map.len() / FULL);
            assert!(longest(&map) <= 4 * FULL, "{}", longest(&map));
            for n in 1..=MANY {
                let value = map.get_mut(n * step).unwrap();
                assert_eq!(*value, n);
                *value += 1;
            }
            assert_eq!(map.get(step * (MANY + 1)), None);
            for n in (1..=MANY).rev() {
                assert_eq!(map.remove(n * step), Some(n + 1));
                assert_eq!(map.remove(n * step), None);
                if n > 1 {
                    assert!(map.get(step).is_some());
                }
            }
            assert_eq!(map.len(), 0);
            assert!(map.others.is_empty() && map.first.capacity() <= 2 * FULL);
        }
    }

    #[test]
    fn keys_of_one_shard_are_kept_as_well() {
        let keys = (1..).filter(|key| place(*key, 1 << 10) == 0).take(10_000);
        let keys: Vec<u64> = keys.collect();
        let mut map = ShardedMap::default();
        for key in &keys {
            map.insert(*key, ());
        }
        assert!(keys.iter().all(|key| map.get(*key).is_some()));
        assert!(keys.iter().all(|key| map.remove(*key).is_some()));
        assert_eq!((map.len(), map.others.len()), (0, 0));
    }

    #[test]
    fn everything_comes_out_in_order() {
        let mut map = ShardedMap::default();
        for n in (1..=10_000_u64).rev() {
            map.insert(n, n);
        }
        let expected: Vec<_> = (1..=10_000).map(|n| (n, n)).collect();
        assert_eq!(map.take_all(), expected);
        assert_eq!((map.len(), map.others.len()), (0, 0));
    }
}
