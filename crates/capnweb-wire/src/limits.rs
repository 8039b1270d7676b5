//! Bounds on what a peer may send.

/// Bounds on one message, checked while it is scanned.
///
/// They are a receiver's own decision and never negotiated. The defaults are those of the
/// TypeScript implementation and far above anything an honest peer sends.
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
    /// The longest message, in UTF-16 code units (what JavaScript calls a string's length).
    /// Default: 32 Mi.
    pub max_message_size: usize,
    /// The number of levels that values may be nested: a value at the top is at depth 0, and a
    /// value at this depth is refused. Arguments of calls count on from where the call stands.
    /// Default: 256. More than 512 means 512, which is safe on the stack of any thread.
    pub max_depth: usize,
    /// The longest text of a `["bigint", "…"]`, sign included. Default: 16,384.
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
    /// The most bytes of UTF-8 that a message within [`max_message_size`](Self::max_message_size)
    /// can take.
    ///
    /// Transports that count bytes use this as their own bound: it lets every legal message
    /// through, and the scanner then counts exactly.
    #[must_use]
    pub fn max_message_bytes(&self) -> usize {
        // A code unit takes at most three bytes: astral characters are two units and four bytes.
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
