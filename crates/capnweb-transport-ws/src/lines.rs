//! Several messages in a frame, as lines.

use std::ops::Range;

use memchr::memchr;

/// An iteration over the non-blank lines of a text.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lines {
    /// The start of the next line.
    next: usize,
    /// The length of the text.
    len: usize,
    /// True if the text contains newlines.
    several: bool,
}

impl Lines {
    pub(crate) fn of(text: &[u8]) -> Self {
        Self {
            next: 0,
            len: text.len(),
            several: memchr(b'\n', text).is_some(),
        }
    }

    /// Returns whether the text has more than one line.
    pub(crate) fn are_several(&self) -> bool {
        self.several
    }

    /// Returns the next line of `text` that is not blank.
    pub(crate) fn next(&mut self, text: &[u8]) -> Option<Range<usize>> {
        while self.next < self.len {
            let start = self.next;
            let rest = text.get(start..)?;
            let newline = if self.several {
                memchr(b'\n', rest)
            } else {
                None
            };
            let line = rest.get(..newline.unwrap_or(rest.len()))?;
            self.next = start + line.len() + 1;
            let message = line.strip_suffix(b"\r").unwrap_or(line);
            // Almost every message starts with a visible character.
            let visible = message.first().is_some_and(u8::is_ascii_graphic);
            if visible || !message.trim_ascii().is_empty() {
                return Some(start..start + message.len());
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(text: &str) -> Vec<&str> {
        let mut lines = Lines::of(text.as_bytes());
        std::iter::from_fn(|| lines.next(text.as_bytes()).map(|line| &text[line])).collect()
    }

    #[test]
    fn a_frame_is_a_message() {
        assert_eq!(messages(r#"["pull",1]"#), [r#"["pull",1]"#]);
    }

    #[test]
    fn a_frame_may_hold_a_message_a_line() {
        assert_eq!(
            messages("[1]\n[2]\r\n\r\n\n [3]\r\n"),
            ["[1]", "[2]", " [3]"]
        );
    }

    #[test]
    fn a_blank_frame_holds_none() {
        assert_eq!(messages(""), [""; 0]);
        assert_eq!(messages("\r\n \n"), [""; 0]);
        assert_eq!(messages("\r"), [""; 0]);
    }
}
