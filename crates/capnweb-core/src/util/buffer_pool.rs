//! A pool of large buffers.

use std::sync::Mutex;

use bytes::Bytes;

use crate::util::lock::LockExt;

/// A pool of large reusable buffers.
///
/// Allocating a large buffer for each message and freeing it afterwards costs more than processing
/// the message, so free buffers are kept for a while. They do not stay with a session, because
/// there can be a great many idle sessions. The pool holds a few megabytes at most.
///
/// Buffers of less than 64 KiB are just allocated and freed.
#[derive(Debug, Default)]
pub struct BufferPool {
    /// The buffers, ordered by capacity.
    buffers: Mutex<Vec<Vec<u8>>>,
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
            buffers: Mutex::new(Vec::new()),
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
        let mut buffers = self.buffers.acquire();
        let at = buffers.partition_point(|buffer| buffer.capacity() < capacity);
        let fits = buffers.get(at)?.capacity() / 2 <= capacity;
        fits.then(|| buffers.remove(at))
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
        let mut buffers = self.buffers.acquire();
        let at = buffers.partition_point(|other| other.capacity() < capacity);
        buffers.insert(at, buffer);
        let mut kept: usize = buffers.iter().map(Vec::capacity).sum();
        // Free buffers from the middle: if there are many of one size, one of these is freed.
        let mut freed = Vec::new();
        while kept > KEEP && !buffers.is_empty() {
            let middle = buffers.len() / 2;
            let buffer = buffers.remove(middle);
            kept -= buffer.capacity();
            freed.push(buffer);
        }
        drop(buffers);
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
            let buffers = spare.buffers.lock().unwrap();
            buffers.iter().map(Vec::capacity).sum::<usize>()
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
        let sizes = spare.buffers.lock().unwrap();
        assert!(sizes.is_sorted_by_key(Vec::capacity));
    }
}
