//! Masking of everything that a client sends.

/// A key for masking bytes. Masking them again unmasks them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mask([u8; 4]);

impl Mask {
    pub(super) fn new(key: [u8; 4]) -> Self {
        Self(key)
    }

    /// Creates an unpredictable key. With a predictable one, an application could choose the bytes
    /// on the wire, and make a proxy that does not know WebSocket treat them as a request.
    pub(super) fn random() -> Self {
        Self(rand::random())
    }

    pub(super) fn key(self) -> [u8; 4] {
        self.0
    }

    /// Returns the key for the bytes after the first `len`.
    pub(super) fn after(self, bytes: usize) -> Self {
        let Self(mut key) = self;
        key.rotate_left(bytes % 4);
        Self(key)
    }

    pub(super) fn apply(self, bytes: &mut [u8]) {
        let [a, b, c, d] = self.0;
        let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
        let (words, rest) = bytes.as_chunks_mut();
        for word in words {
            *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
        }
        for (byte, key) in rest.iter_mut().zip([a, b, c, d, a, b, c]) {
            *byte ^= key;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_masked() {
        let key = [0x12, 0x34, 0x56, 0x78];
        for len in 0..70 {
            let plain: Vec<u8> = (0..len).collect();
            let mut masked = plain.clone();
            Mask::new(key).apply(&mut masked);
            for (i, (masked, plain)) in masked.iter().zip(&plain).enumerate() {
                assert_eq!(*masked, plain ^ key[i % 4]);
            }
            // Mask in two pieces.
            let (first, second) = masked.split_at_mut(usize::from(len) / 3);
            Mask::new(key).apply(first);
            Mask::new(key).after(first.len()).apply(second);
            assert_eq!(masked, plain);
        }
    }

    #[test]
    fn keys_differ() {
        let keys: Vec<_> = (0..8).map(|_| Mask::random()).collect();
        assert!(keys.iter().any(|key| *key != keys[0]));
    }
}
