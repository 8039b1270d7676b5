//! Positions in a text.

/// A range of byte offsets into a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// The offset of the first byte.
    pub start: u32,
    /// The offset after the last byte.
    pub end: u32,
}

impl Span {
    /// Returns the part of `text` that the span covers, or `""` if it is outside the text or splits
    /// a character.
    ///
    /// ```
    /// # use capnweb_wire::Span;
    /// assert_eq!(Span { start: 1, end: 3 }.of("[42]"), "42");
    /// assert_eq!(Span { start: 1, end: 9 }.of("[42]"), "");
    /// ```
    #[must_use]
    #[inline]
    pub fn of(self, text: &str) -> &str {
        text.get(self.start as usize..self.end as usize)
            .unwrap_or("")
    }

    /// Returns the length in bytes.
    #[must_use]
    #[inline]
    pub fn len(self) -> usize {
        self.end.saturating_sub(self.start) as usize
    }

    /// Returns whether the span is empty.
    #[must_use]
    #[inline]
    pub fn is_empty(self) -> bool {
        self.end <= self.start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_panics() {
        let text = "aéb";
        assert_eq!(Span { start: 1, end: 3 }.of(text), "é");
        assert_eq!(Span { start: 2, end: 3 }.of(text), "");
        assert_eq!(Span { start: 3, end: 1 }.of(text), "");
        assert_eq!(Span { start: 3, end: 1 }.len(), 0);
        assert!(Span { start: 3, end: 1 }.is_empty());
        assert_eq!(
            Span {
                start: 0,
                end: u32::MAX
            }
            .of(text),
            ""
        );
    }
}
