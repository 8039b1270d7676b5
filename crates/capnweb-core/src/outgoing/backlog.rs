//! The messages that a session has not passed to its driver.

use std::collections::VecDeque;

use crate::{Attachment, graph::offload, outgoing::Outgoing};

/// A first-in, first-out queue of messages that wait for the driver.
///
/// The messages are stored in several buffers of limited length. A single buffer would be copied
/// under the session's lock whenever it grows, and the driver would receive all of it at once.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    /// The full buffers, oldest first.
    full: VecDeque<Full>,
    /// The number of bytes in the full buffers.
    full_bytes: usize,
    /// The number of bytes of their indices.
    full_index_bytes: usize,
    /// The number of messages in them.
    full_len: usize,
    /// The messages after those in the full buffers.
    last: Outgoing,
    /// True if the length of buffers is limited. Without a driver it is not, since a batch is taken
    /// as a whole.
    is_bounded: bool,
}

#[derive(Debug)]
struct Full {
    messages: Outgoing,
    /// The ID of the first call that is neither in these messages nor in earlier ones.
    next_call: i64,
}

/// The length from which a buffer accepts no further message, in bytes.
const FULL_BYTES: usize = 1 << 20;

impl Backlog {
    /// Limits the length of buffers, since a driver takes one after another.
    pub(crate) fn bound(&mut self) {
        self.is_bounded = true;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.last.is_empty() && self.full.is_empty()
    }

    /// Returns the number of messages.
    pub(crate) fn len(&self) -> usize {
        self.full_len + self.last.len()
    }

    /// Returns the length of all messages as JSON in bytes, including a newline for each.
    pub(crate) fn bytes(&self) -> usize {
        self.full_bytes + self.last.bytes()
    }

    /// Returns the number of bytes that the index of the messages takes.
    pub(crate) fn index_bytes(&self) -> usize {
        self.full_index_bytes + self.last.index_bytes()
    }

    /// Writes one message. `next_call` is the ID of the first call that is not written yet.
    #[inline]
    pub(crate) fn message(&mut self, next_call: i64, write: impl FnOnce(&mut Vec<u8>)) {
        if self.last.bytes() >= FULL_BYTES && self.is_bounded {
            self.begin_another(next_call);
        }
        self.last.message(write);
    }

    #[cold]
    fn begin_another(&mut self, next_call: i64) {
        let messages = std::mem::take(&mut self.last);
        self.full_bytes += messages.bytes();
        self.full_index_bytes += messages.index_bytes();
        self.full_len += messages.len();
        self.full.push_back(Full {
            messages,
            next_call,
        });
    }

    /// Attaches byte strings to the last written message.
    pub(crate) fn attach(&mut self, attachments: Vec<Attachment>) {
        self.last.attach(attachments);
    }

    /// Returns the length of the last written message, in UTF-16 code units.
    pub(crate) fn last_len_utf16(&self) -> usize {
        self.last.last_len_utf16()
    }

    /// Exchanges the first buffer for an empty one. Returns the ID of the first call in a later
    /// buffer, if there is one.
    pub(crate) fn exchange(&mut self, empty: &mut Outgoing) -> Option<i64> {
        let Some(first) = self.full.pop_front() else {
            std::mem::swap(&mut self.last, empty);
            return None;
        };
        self.full_bytes -= first.messages.bytes();
        self.full_index_bytes -= first.messages.index_bytes();
        self.full_len -= first.messages.len();
        *empty = first.messages;
        Some(first.next_call)
    }

    /// Takes all messages of a session without a driver.
    pub(crate) fn take_all(&mut self) -> Outgoing {
        debug_assert!(self.full.is_empty(), "only a driver bounds the buffers");
        std::mem::take(&mut self.last)
    }

    /// Drops all messages.
    pub(crate) fn clear(&mut self) {
        let full = std::mem::take(&mut self.full);
        (self.full_bytes, self.full_index_bytes, self.full_len) = (0, 0, 0);
        self.last = Outgoing::default();
        if !full.is_empty() {
            offload::drop_elsewhere(full);
        }
    }

    /// Frees memory if there are no messages, before the session goes to sleep.
    #[inline]
    pub(crate) fn rest(&mut self) {
        if self.full.is_empty() {
            self.last.rest();
        }
    }
}

impl Drop for Backlog {
    fn drop(&mut self) {
        if !self.full.is_empty() {
            self.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(bounded: bool) -> Backlog {
        let mut backlog = Backlog::default();
        if bounded {
            backlog.bound();
        }
        for call in 1..=5 {
            backlog.message(call, |text| text.resize(text.len() + FULL_BYTES / 2, b'x'));
        }
        backlog
    }

    #[test]
    fn a_driver_gets_bounded_parts_in_order() {
        let mut backlog = written(true);
        assert_eq!(backlog.len(), 5);
        assert_eq!(backlog.bytes(), 5 * (FULL_BYTES / 2 + 1));
        assert_eq!(backlog.index_bytes(), 5 * size_of::<usize>());
        let mut taken = Vec::new();
        while !backlog.is_empty() {
            let mut out = Outgoing::default();
            taken.push((backlog.exchange(&mut out), out.len()));
        }
        assert_eq!(taken, [(Some(3), 2), (Some(5), 2), (None, 1)]);
        assert_eq!(
            (backlog.len(), backlog.bytes(), backlog.index_bytes()),
            (0, 0, 0)
        );
    }

    #[test]
    fn a_batch_is_taken_as_a_whole() {
        assert_eq!(written(false).take_all().len(), 5);
    }

    #[test]
    fn nothing_is_left_when_it_is_cleared() {
        let mut backlog = written(true);
        backlog.clear();
        assert!(backlog.is_empty());
        assert_eq!(
            (backlog.len(), backlog.bytes(), backlog.index_bytes()),
            (0, 0, 0)
        );
    }
}
