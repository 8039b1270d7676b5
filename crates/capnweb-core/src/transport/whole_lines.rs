//! Complete lines that arrived together.

use std::ops::Range;

use memchr::memchr;

use crate::util::invariant::Invariant;

/// The complete lines of one read, to be lent one by one.
///
/// They are validated as UTF-8 together. For a short message, a validation of its own would be a
/// substantial part of the cost.
#[derive(Default)]
pub(super) struct WholeLines {
    text: String,
    next: usize,
}

/// The number of bytes above which lines are examined one by one. Long lines should not be copied,
/// and the cost of a validation is small for their length.
const MAX: usize = 64 * 1024;

impl WholeLines {
    /// Takes these lines, which must be complete. Returns false if they are too long or not UTF-8.
    /// All earlier lines must have been lent.
    pub(super) fn take(&mut self, lines: &[u8]) -> bool {
        if lines.len() > MAX {
            return false;
        }
        let mut text = std::mem::take(&mut self.text).into_bytes();
        text.clear();
        text.extend_from_slice(lines);
        self.next = 0;
        match String::from_utf8(text) {
            Ok(text) => {
                self.text = text;
                true
            }
            Err(_) => false,
        }
    }

    /// Returns the position of the next line that is not blank.
    pub(super) fn next(&mut self) -> Option<Range<usize>> {
        loop {
            let rest = self.text.get(self.next..)?;
            let line = rest.get(..memchr(b'\n', rest.as_bytes())?)?;
            let trimmed = line.trim_ascii_start();
            let start = self.next + (line.len() - trimmed.len());
            let len = trimmed.trim_ascii_end().len();
            self.next += line.len() + 1;
            if len > 0 {
                return Some(start..start + len);
            }
        }
    }

    pub(super) fn text(&self, line: Range<usize>) -> &str {
        self.text.get(line).or_bug("lines are within the text")
    }

    /// Frees the memory once all lines have been lent.
    pub(super) fn give_back(&mut self) {
        if self.next == self.text.len() {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_lines_are_taken() {
        let mut lines = WholeLines::default();
        assert!(lines.take(b"[1]\n\n \r\n [2]\t\r\n"));
        let found: Vec<_> = std::iter::from_fn(|| lines.next()).collect();
        let found: Vec<_> = found.into_iter().map(|line| lines.text(line)).collect();
        assert_eq!(found, ["[1]", "[2]"]);
        lines.give_back();
        assert_eq!(lines.text.capacity(), 0);
    }

    #[test]
    fn what_has_to_be_looked_at_is_left() {
        let mut lines = WholeLines::default();
        for bytes in [&b"[1]\n\xff\n"[..], &[b'\n'; MAX + 1]] {
            assert!(!lines.take(bytes));
            assert_eq!(lines.next(), None);
        }
    }
}
