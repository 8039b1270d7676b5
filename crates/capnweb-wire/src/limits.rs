//! Bounds on a peer's messages.

/// Bounds on a message, which are checked while it is scanned.
///
/// The receiver alone decides on them; they are not negotiated. The defaults are those of the
/// TypeScript implementation, and far above anything that an honest peer sends.
///
/// ```
/// use capnweb_wire::{Limits, WireError, scan_frame};
///
/// let limits = Limits { max_depth: 3, ..Limits::default() };
/// let deep = r#"["push",[[[[[[1]]]]]]]"#;
/// assert!(scan_frame(deep, &limits, &mut Vec::new()).unwrap_err().is_limit());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest message, in UTF-16 code units like JavaScript's string lengths. Default: 32 Mi.
    pub max_message_size: usize,
    /// The number of levels to which values may be nested. A value at the top is at depth 0, and a
    /// value at this depth is rejected. The depth of call arguments continues from the call's own
    /// depth. Default: 256. The maximum is 512, which is safe on the stack of any thread.
    pub max_depth: usize,
    /// The longest text of a `["bigint", "…"]`, including the sign. Default: 16,384.
    pub max_bigint_digits: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_message_size: 32 * 1024 * 1024,
            max_depth: 256,
            max_bigint_digits: 16_384,
        }
    }
}

impl Limits {
    /// Returns the maximum number of UTF-8 bytes of a message within
    /// [`max_message_size`](Self::max_message_size).
    ///
    /// Transports that count bytes use this bound. It accepts every legal message, and the scanner
    /// then counts exactly.
    #[must_use]
    pub fn max_message_bytes(&self) -> usize {
        // A code unit takes at most three bytes: characters beyond 16 bits are two units and four
        // bytes.
        self.max_message_size.saturating_mul(3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_bound_does_not_overflow() {
        assert_eq!(Limits::default().max_message_bytes(), 3 * 32 * 1024 * 1024);
        let unbounded = Limits {
            max_message_size: usize::MAX,
            ..Limits::default()
        };
        assert_eq!(unbounded.max_message_bytes(), usize::MAX);
    }
}
