//! Messages on their way out.

use std::collections::VecDeque;

use bytes::{Buf, Bytes};

use super::limits::utf16_len;

/// Messages that wait to be sent, first in first out, in one buffer.
#[derive(Debug, Default)]
pub struct Outgoing {
    /// What has been written, end to end.
    text: Vec<u8>,
    /// Where each message of `text` ends.
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

    /// How many bytes they have.
    pub fn bytes(&self) -> usize {
        self.text.len() + self.frozen.len()
    }

    /// Takes the next message. It is always valid UTF-8.
    pub fn pop(&mut self) -> Option<Bytes> {
        if self.frozen_ends.is_empty() {
            self.frozen = Bytes::from(std::mem::take(&mut self.text));
            self.frozen_ends = std::mem::take(&mut self.ends);
            self.taken = 0;
        }
        let end = self.frozen_ends.pop_front()?;
        let message = self
            .frozen
            .split_to((end - self.taken).min(self.frozen.remaining()));
        self.taken = end;
        Some(message)
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
        assert_eq!((out.len(), out.bytes()), (2, 6));
        assert_eq!(out.pop().as_deref(), Some(&b"one"[..]));
        out.message(|text| text.extend_from_slice(b"three"));
        assert_eq!(out.pop().as_deref(), Some(&b"two"[..]));
        assert_eq!(out.pop().as_deref(), Some(&b"three"[..]));
        assert!(out.is_empty() && out.pop().is_none());
    }
}
