//! Messages on their way out.

use std::collections::VecDeque;

use bytes::{Buf, Bytes};
use memchr::memchr_iter;

use super::limits::utf16_len;

/// Messages that wait to be sent, first in first out, in one buffer.
#[derive(Debug, Default)]
pub struct Outgoing {
    /// What has been written, end to end, each message followed by a newline.
    text: Vec<u8>,
    /// Where each message of `text` ends, its newline included.
    ends: VecDeque<usize>,
    /// Earlier text, being taken message by message, and how much of it is gone.
    frozen: Bytes,
    taken: usize,
    frozen_ends: VecDeque<usize>,
}

impl Outgoing {
    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty() && self.frozen_ends.is_empty()
    }

    /// How many messages there are.
    pub fn len(&self) -> usize {
        self.ends.len() + self.frozen_ends.len()
    }

    /// How many bytes they have, a newline each included.
    pub fn bytes(&self) -> usize {
        self.text.len() + self.frozen.len()
    }

    /// Takes the next message. It is always valid UTF-8.
    pub fn pop(&mut self) -> Option<Bytes> {
        self.freeze();
        let end = self.frozen_ends.pop_front()?;
        let mut message = self
            .frozen
            .split_to((end - self.taken).min(self.frozen.remaining()));
        self.taken = end;
        message.truncate(message.len().saturating_sub(1));
        Some(message)
    }

    /// Takes messages as lines: each is followed by a newline and holds none. They are not copied.
    ///
    /// It is not certain that these are all messages that there are.
    pub fn pop_lines(&mut self) -> Option<Bytes> {
        self.freeze();
        let messages = std::mem::take(&mut self.frozen_ends);
        if messages.is_empty() {
            return None;
        }
        let lines = std::mem::take(&mut self.frozen);
        if memchr_iter(b'\n', &lines).count() == messages.len() {
            return Some(lines);
        }
        // A peer whose messages may hold newlines has sent some, and they were passed on. In JSON they
        // can only be white space.
        let mut text = Vec::from(lines);
        let mut start = 0;
        for end in messages.into_iter().map(|end| end - self.taken) {
            let message = text.get_mut(start..end.saturating_sub(1));
            for byte in message.into_iter().flatten() {
                if *byte == b'\n' {
                    *byte = b' ';
                }
            }
            start = end;
        }
        Some(text.into())
    }

    /// Turns to what was written last, when all that came before it has been taken.
    fn freeze(&mut self) {
        if self.frozen_ends.is_empty() {
            self.frozen = Bytes::from(std::mem::take(&mut self.text));
            self.frozen_ends = std::mem::take(&mut self.ends);
            self.taken = 0;
        }
    }

    /// The length of the last message that was written, in UTF-16 code units.
    pub(super) fn last_len_utf16(&self) -> usize {
        let mut ends = self.ends.iter().rev();
        let end = ends.next().copied().unwrap_or_default();
        let start = ends.next().copied().unwrap_or_default();
        utf16_len(self.text.get(start..end).unwrap_or_default())
    }

    /// Writes one message.
    pub(crate) fn message<R>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        let result = write(&mut self.text);
        self.text.push(b'\n');
        self.ends.push_back(self.text.len());
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_out_one_by_one() {
        let mut out = Outgoing::default();
        assert!(out.pop().is_none());
        out.message(|text| text.extend_from_slice(b"one"));
        out.message(|text| text.extend_from_slice(b"two"));
        assert_eq!((out.len(), out.bytes()), (2, 8));
        assert_eq!(out.pop().as_deref(), Some(&b"one"[..]));
        out.message(|text| text.extend_from_slice(b"three"));
        assert_eq!(out.pop().as_deref(), Some(&b"two"[..]));
        assert_eq!(out.pop().as_deref(), Some(&b"three"[..]));
        assert!(out.is_empty() && out.pop().is_none());
    }

    #[test]
    fn messages_come_out_as_lines() {
        let mut out = Outgoing::default();
        assert!(out.pop_lines().is_none());
        for message in ["one", "two", "[\n3\n]", "four"] {
            out.message(|text| text.extend_from_slice(message.as_bytes()));
        }
        assert_eq!(out.pop().as_deref(), Some(&b"one"[..]));
        out.message(|text| text.extend_from_slice(b"five"));
        assert_eq!(out.pop_lines().as_deref(), Some(&b"two\n[ 3 ]\nfour\n"[..]));
        assert_eq!((out.len(), out.bytes()), (1, 5));
        assert_eq!(out.pop_lines().as_deref(), Some(&b"five\n"[..]));
        assert!(out.is_empty() && out.pop_lines().is_none());
    }
}
