//! Long messages that are being received.

use bytes::Bytes;

use super::buffer_pool::BufferPool;

/// The bytes of a long message so far, in parts.
///
/// A single buffer would have to be moved when it grows, and would stay idle for a long time while
/// it is moved.
#[derive(Debug, Default)]
pub struct LongBytes {
    /// The parts that have no room left.
    full: Vec<Vec<u8>>,
    /// The last part.
    last: Vec<u8>,
    /// The total length.
    len: usize,
}

/// The maximum capacity of a part, in bytes.
const PART: usize = 256 * 1024;

/// The capacity of the first part, so that the beginning of a message takes up little.
const FIRST_PART: usize = 16 * 1024;

impl LongBytes {
    /// Returns the number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the number of bytes that the parts have room for.
    #[must_use]
    pub fn capacity(&self) -> usize {
        let full: usize = self.full.iter().map(Vec::capacity).sum();
        full + self.last.capacity()
    }

    /// Appends bytes.
    pub fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = self.make_room();
            let (now, rest) = bytes.split_at(room.min(bytes.len()));
            self.last.extend_from_slice(now);
            self.len += now.len();
            bytes = rest;
        }
    }

    /// Passes the last part to `read`, which appends at most as many bytes as it is told. Returns
    /// these bytes and the result.
    pub fn fill<R>(&mut self, read: impl FnOnce(&mut Vec<u8>, usize) -> R) -> (&mut [u8], R) {
        let room = self.make_room();
        let before = self.last.len();
        let result = read(&mut self.last, room);
        let new = self.last.get_mut(before..).unwrap_or_default();
        self.len += new.len();
        (new, result)
    }

    /// Makes room in the last part, and returns the number of bytes that it has room for.
    fn make_room(&mut self) -> usize {
        if self.last.len() == self.last.capacity() {
            let capacity = self.len.clamp(FIRST_PART, PART);
            let next = BufferPool::shared().take(capacity);
            let full = std::mem::replace(&mut self.last, next);
            if !full.is_empty() {
                self.full.push(full);
            }
        }
        self.last.capacity() - self.last.len()
    }

    /// Returns the parts in order.
    #[must_use]
    pub fn into_parts(self) -> Vec<Bytes> {
        let Self { mut full, last, .. } = self;
        full.push(last);
        let pool = BufferPool::shared();
        full.into_iter().map(|part| pool.lend(part)).collect()
    }
}

/// A check that bytes are UTF-8 while they arrive in pieces.
#[derive(Clone, Debug, Default)]
pub struct Utf8Check {
    /// The beginning of a character whose other bytes are in the next piece.
    begun: [u8; 4],
    begun_len: usize,
}

impl Utf8Check {
    /// Checks the next piece. Returns false if it cannot be part of a text.
    #[must_use]
    pub fn check(&mut self, mut piece: &[u8]) -> bool {
        while self.begun_len > 0
            && let [first, rest @ ..] = piece
        {
            let Some(place) = self.begun.get_mut(self.begun_len) else {
                return false;
            };
            *place = *first;
            self.begun_len += 1;
            piece = rest;
            match std::str::from_utf8(self.begun.get(..self.begun_len).unwrap_or_default()) {
                Ok(_) => self.begun_len = 0,
                Err(error) if error.error_len().is_some() => return false,
                Err(_) => {}
            }
        }
        let Err(error) = std::str::from_utf8(piece) else {
            return true;
        };
        let rest = piece.get(error.valid_up_to()..).unwrap_or_default();
        if error.error_len().is_some() {
            return false;
        }
        for (place, byte) in self.begun.iter_mut().zip(rest) {
            *place = *byte;
        }
        self.begun_len = rest.len();
        true
    }

    /// Returns whether the text does not end in the middle of a character.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.begun_len == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parts_have_all_bytes_in_order() {
        let all: Vec<u8> = (0..3 * PART + 7)
            .map(|n| u8::try_from(n % 251).unwrap())
            .collect();
        let mut long = LongBytes::default();
        assert!(long.is_empty());
        for (i, piece) in all.chunks(PART / 3 + 11).enumerate() {
            if i % 2 == 0 {
                long.push(piece);
                continue;
            }
            let mut rest = piece;
            while !rest.is_empty() {
                let (new, len) = long.fill(|part, room| {
                    let len = room.min(rest.len());
                    part.extend_from_slice(&rest[..len]);
                    len
                });
                assert_eq!(new, &rest[..len]);
                rest = &rest[len..];
            }
        }
        assert_eq!(long.len(), all.len());
        assert!(long.capacity() <= all.len() + 3 * PART);
        let parts = long.into_parts();
        assert!(parts.len() >= 2);
        assert_eq!(parts.concat(), all);
    }

    fn is_utf8<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> bool {
        let mut check = Utf8Check::default();
        pieces.into_iter().all(|piece| check.check(piece)) && check.is_complete()
    }

    #[test]
    fn characters_may_be_cut_anywhere() {
        let text = "aé語😀".repeat(3);
        for size in 1..text.len() {
            assert!(is_utf8(text.as_bytes().chunks(size)), "{size}");
        }
        for wrong in [
            &b"\xff"[..],
            b"a\xc3",
            b"\xe8\xaa",
            b"\xe8\xaaa",
            b"\xed\xa0\x80",
            b"\x80",
        ] {
            for size in 1..=wrong.len() {
                assert!(!is_utf8(wrong.chunks(size)), "{wrong:?} {size}");
            }
        }
    }

    proptest! {
        #[test]
        fn the_pieces_do_not_matter(
            bytes in proptest::collection::vec(
                prop_oneof![any::<u8>(), Just(0xe8), Just(0xaa), Just(0x9e), Just(0xf0), Just(0x9f), Just(b'a')],
                0..12,
            ),
            size in 1_usize..5,
        ) {
            prop_assert_eq!(is_utf8(bytes.chunks(size)), std::str::from_utf8(&bytes).is_ok());
        }
    }
}
