//! Reading many short messages at once.

use super::{Role, mask::Mask};
use capnweb_core::invariant::Invariant;

/// The short messages of one read, end to end, to be lent one by one.
///
/// Most of the cost of a short frame does not depend on its length, such as the validation of UTF-8
/// and the search for newlines. Here both are done once for all frames of a read. Only unfragmented
/// messages of one line are taken, which nearly all frames are. The reader handles everything else.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    text: String,
    /// The end of each message.
    ends: Vec<usize>,
    /// The index of the next message to lend, and its start.
    next: usize,
    start: usize,
    /// The start of the message that is lent.
    current: usize,
}

/// The longest message that is taken, in bytes. Longer ones would gain nothing.
const MAX_LEN: usize = 1024;

/// The first byte of an unfragmented text message.
const TEXT: u8 = 0x81;

/// The mask bit in the second byte.
const MASKED: u8 = 0x80;

/// The length field that means that the length follows in two bytes.
const IN_TWO: u8 = 126;

impl Batch {
    /// Takes the short messages at the start of `bytes`, which were sent to a peer of this role.
    /// Returns the number of bytes that they occupy. Messages longer than `max_len` are not taken.
    /// The batch must be empty.
    pub(super) fn take(&mut self, bytes: &[u8], role: Role, max_len: usize) -> usize {
        self.next = 0;
        self.start = 0;
        self.ends.clear();
        let mut text = std::mem::take(&mut self.text).into_bytes();
        text.clear();
        let mut rest = bytes;
        while let Some((mask, payload, after)) = short_message(rest, role) {
            if payload.len() > max_len {
                break;
            }
            let start = text.len();
            text.extend_from_slice(payload);
            let unmasked = text.get_mut(start..).or_bug("the text has just grown");
            if let Some(mask) = mask {
                mask.apply(unmasked);
            }
            // Every message starts with a bracket. So it cannot be blank, nor start within a
            // character.
            if unmasked.first() != Some(&b'[') {
                text.truncate(start);
                break;
            }
            self.ends.push(text.len());
            rest = after;
        }
        let one_line_each = memchr::memchr2(b'\n', b'\r', &text).is_none();
        match String::from_utf8(text) {
            Ok(text) if one_line_each => {
                self.text = text;
                bytes.len() - rest.len()
            }
            _ => {
                self.ends.clear();
                0
            }
        }
    }

    /// Advances to the next message. Returns false if there is none.
    pub(crate) fn advance(&mut self) -> bool {
        let Some(end) = self.ends.get(self.next) else {
            return false;
        };
        self.next += 1;
        self.current = self.start;
        self.start = *end;
        true
    }

    /// Returns the current message.
    pub(crate) fn message(&self) -> &str {
        self.text
            .get(self.current..self.start)
            .or_bug("a message is within the text")
    }

    /// Frees the memory, unless there are messages left to lend.
    pub(crate) fn give_back(&mut self) {
        if self.next == self.ends.len() {
            *self = Self::default();
        }
    }
}

/// Splits a short message off the start of `bytes`. Returns its mask, its payload and the bytes
/// behind it, or `None` if it is incomplete or not a short message.
#[inline]
fn short_message(bytes: &[u8], role: Role) -> Option<(Option<Mask>, &[u8], &[u8])> {
    let (&[first, second], rest) = bytes.split_first_chunk()?;
    let masked = second & MASKED != 0;
    if first != TEXT || masked != (role == Role::Server) {
        return None;
    }
    let (len, rest) = match second & !MASKED {
        IN_TWO => {
            let (len, rest) = rest.split_first_chunk()?;
            (usize::from(u16::from_be_bytes(*len)), rest)
        }
        len => (usize::from(len), rest),
    };
    if len > MAX_LEN || second & !MASKED > IN_TWO {
        return None;
    }
    let (mask, rest) = if masked {
        let (key, rest) = rest.split_first_chunk()?;
        (Some(Mask::new(*key)), rest)
    } else {
        (None, rest)
    };
    let (payload, after) = rest.split_at_checked(len)?;
    Some((mask, payload, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(text: &str) -> Vec<u8> {
        let mut frame = vec![TEXT];
        match u8::try_from(text.len()) {
            Ok(len @ 0..=125) => frame.push(len),
            _ => {
                frame.push(IN_TWO);
                frame.extend_from_slice(&u16::try_from(text.len()).unwrap().to_be_bytes());
            }
        }
        frame.extend_from_slice(text.as_bytes());
        frame
    }

    /// Returns the messages that are taken from these frames, and the number of bytes that are
    /// left.
    fn take(frames: &[Vec<u8>]) -> (Vec<String>, usize) {
        let bytes = frames.concat();
        let mut batch = Batch::default();
        let taken = batch.take(&bytes, Role::Client, 1000);
        let messages = std::iter::from_fn(|| batch.advance().then(|| batch.message().to_owned()));
        (messages.collect(), bytes.len() - taken)
    }

    #[test]
    fn short_messages_are_taken() {
        let long = format!("[\"{}\"]", "é".repeat(100));
        let (messages, left) = take(&[frame("[1]"), frame(&long), frame("[2]")]);
        assert_eq!(messages, ["[1]", &long, "[2]"]);
        assert_eq!(left, 0);
    }

    #[test]
    fn frames_of_other_kinds_are_left() {
        let ping = vec![0x89, 0];
        let fragment = vec![0x01, 1, b'['];
        let masked = vec![0x81, 0x81, 0, 0, 0, 0, b'['];
        let too_long = frame(&format!("[{}]", " ".repeat(1000)));
        let half = vec![0x81, 3, b'['];
        let none: Vec<u8> = Vec::new();
        for other in [
            ping,
            fragment,
            masked,
            too_long,
            half,
            none,
            frame(" [1]"),
            frame(""),
        ] {
            let (messages, left) = take(&[frame("[1]"), other.clone()]);
            assert_eq!(
                (&messages[..], left),
                (&["[1]".to_owned()][..], other.len())
            );
        }
    }

    #[test]
    fn frames_that_need_a_closer_look_are_left_whole() {
        let mut not_utf8 = frame("[1]");
        *not_utf8.last_mut().unwrap() = 0xff;
        for other in [not_utf8, frame("[1]\n[2]"), frame("[1]\r")] {
            let (messages, left) = take(&[frame("[1]"), other.clone()]);
            assert_eq!((messages.len(), left), (0, 5 + other.len()));
        }
    }
}
