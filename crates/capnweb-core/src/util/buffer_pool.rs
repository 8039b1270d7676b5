//! A pool of large buffers.

use std::sync::Mutex;

use bytes::Bytes;

use crate::util::lock::LockExt;

/// A pool of large reusable buffers.
///
/// Allocating a large buffer for each message and freeing it afterwards costs more than processing
/// the message, so free buffers are kept for a while. They do not stay with a session, because
/// there can be a great many idle sessions. The pool holds a few megabytes at most, and
/// [`free_idle`](Self::free_idle) frees the buffers that nobody has taken for a while.
///
/// Buffers of less than 64 KiB are just allocated and freed.
#[derive(Debug, Default)]
pub struct BufferPool {
    /// The buffers, ordered by capacity.
    kept: Mutex<Vec<Kept>>,
}

/// A buffer in the pool.
#[derive(Debug)]
struct Kept {
    buffer: Vec<u8>,
    /// True if the buffer was already here when idle buffers were last freed.
    is_idle: bool,
}

impl Kept {
    fn capacity(&self) -> usize {
        self.buffer.capacity()
    }
}

/// The smallest capacity that is worth keeping.
const SMALLEST: usize = 64 * 1024;

/// The maximum total capacity of the pool, in bytes.
const KEEP: usize = 8 * 1024 * 1024;

impl BufferPool {
    /// Creates an empty pool.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            kept: Mutex::new(Vec::new()),
        }
    }

    /// Returns the pool of this process.
    #[must_use]
    pub fn shared() -> &'static Self {
        static SHARED: BufferPool = BufferPool::new();
        &SHARED
    }

    /// Takes an empty buffer with room for `capacity` bytes and not much more, if there is one.
    pub fn find(&self, capacity: usize) -> Option<Vec<u8>> {
        if capacity < SMALLEST {
            return None;
        }
        let mut kept = self.kept.acquire();
        let at = kept.partition_point(|buffer| buffer.capacity() < capacity);
        let fits = kept.get(at)?.capacity() / 2 <= capacity;
        fits.then(|| kept.remove(at).buffer)
    }

    /// Takes an empty buffer with room for `capacity` bytes, or allocates one.
    pub fn take(&self, capacity: usize) -> Vec<u8> {
        self.find(capacity)
            .unwrap_or_else(|| Vec::with_capacity(capacity))
    }

    /// Returns a buffer to the pool. If the pool is full, a buffer is freed.
    pub fn give(&self, mut buffer: Vec<u8>) {
        let capacity = buffer.capacity();
        if !(SMALLEST..=KEEP / 2).contains(&capacity) {
            return;
        }
        buffer.clear();
        let mut kept = self.kept.acquire();
        let at = kept.partition_point(|other| other.capacity() < capacity);
        let is_idle = false;
        kept.insert(at, Kept { buffer, is_idle });
        let mut total: usize = kept.iter().map(Kept::capacity).sum();
        // Free buffers from the middle: if there are many of one size, one of these is freed.
        let mut freed = Vec::new();
        while total > KEEP && !kept.is_empty() {
            let middle = kept.len() / 2;
            let buffer = kept.remove(middle);
            total -= buffer.capacity();
            freed.push(buffer);
        }
        drop(kept);
    }

    /// Frees the buffers that were here at the last call and have not been taken since.
    pub fn free_idle(&self) {
        let idle: Vec<Kept> = {
            let mut kept = self.kept.acquire();
            let idle = kept.extract_if(.., |buffer| std::mem::replace(&mut buffer.is_idle, true));
            idle.collect()
        };
        drop(idle);
    }

    /// Converts a buffer into `Bytes`. It returns to the pool when the last of them is dropped.
    pub fn lend(&'static self, buffer: Vec<u8>) -> Bytes {
        if buffer.capacity() < SMALLEST {
            return buffer.into();
        }
        Bytes::from_owner(Lent {
            buffer,
            spare: self,
        })
    }
}

struct Lent {
    buffer: Vec<u8>,
    spare: &'static BufferPool,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.spare.give(std::mem::take(&mut self.buffer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spare() -> &'static BufferPool {
        Box::leak(Box::default())
    }

    #[test]
    fn a_buffer_is_used_again() {
        let spare = spare();
        let buffer = spare.take(100_000);
        let memory = buffer.as_ptr();
        spare.give(buffer);
        assert!(spare.find(30_000).is_none() && spare.find(100_001).is_none());
        let mut buffer = spare.take(90_000);
        assert_eq!((buffer.as_ptr(), buffer.len()), (memory, 0));
        assert!(spare.find(90_000).is_none());
        // Another owner keeps a part of it for a while.
        buffer.extend_from_slice(b"content");
        let lent = spare.lend(buffer);
        let part = lent.slice(3..);
        drop(lent);
        assert!(spare.find(90_000).is_none());
        assert_eq!(&part[..], b"tent");
        drop(part);
        let buffer = spare.find(90_000).unwrap();
        assert_eq!((buffer.as_ptr(), buffer.len()), (memory, 0));
    }

    #[test]
    fn little_is_kept() {
        let spare = spare();
        let kept = |spare: &BufferPool| {
            let buffers = spare.kept.lock().unwrap();
            buffers.iter().map(Kept::capacity).sum::<usize>()
        };
        spare.give(Vec::with_capacity(SMALLEST - 1));
        spare.give(Vec::with_capacity(KEEP / 2 + 1));
        assert_eq!(kept(spare), 0);
        for _ in 0..3 {
            for capacity in [SMALLEST, KEEP / 4, KEEP / 2, 5 * SMALLEST, KEEP / 3] {
                spare.give(Vec::with_capacity(capacity));
                assert!((SMALLEST..=KEEP).contains(&kept(spare)));
            }
        }
        let sizes = spare.kept.lock().unwrap();
        assert!(sizes.is_sorted_by_key(Kept::capacity));
    }

    #[test]
    fn buffers_that_nobody_takes_are_freed() {
        let spare = spare();
        for capacity in [SMALLEST, 2 * SMALLEST, 4 * SMALLEST] {
            spare.give(Vec::with_capacity(capacity));
        }
        spare.free_idle();
        // One is used in between, and one is new.
        let used = spare.find(2 * SMALLEST).unwrap();
        spare.give(used);
        spare.give(Vec::with_capacity(8 * SMALLEST));
        spare.free_idle();
        let sizes: Vec<usize> = (spare.kept.lock().unwrap().iter().map(Kept::capacity)).collect();
        assert_eq!(sizes, [2 * SMALLEST, 8 * SMALLEST]);
        spare.free_idle();
        assert!(spare.kept.lock().unwrap().is_empty());
    }
}
