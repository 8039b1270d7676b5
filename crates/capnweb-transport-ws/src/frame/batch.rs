//! Many short messages at once.

use super::{Role, mask::Mask};

/// Short messages of one read, end to end, to be lent one by one.
///
/// What has to be done for each frame, whatever its size, is most of what a short one costs: to check that it is UTF-8,
/// and to look for newlines. Here both are done once for all of them. Only what nearly all frames are is taken, whole
/// messages of one line; anything else is left to the reader, which knows it all.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    text: String,
    /// Where each message ends.
    ends: Vec<usize>,
    /// Which one is lent next, and where it starts.
    next: usize,
    start: usize,
    /// Where the one starts that is lent.
    current: usize,
}

/// The longest message that is taken, in bytes. For longer ones there is nothing to gain.
const MAX_LEN: usize = 1024;

/// A whole message as text, in its first byte.
const TEXT: u8 = 0x81;

/// In the second byte.
const MASKED: u8 = 0x80;

/// In place of a length: it follows, in two bytes.
const IN_TWO: u8 = 126;

impl Batch {
    /// Takes what short messages `bytes` begin with, sent to one of this role and none of them longer than `max_len`;
    /// says how many of the bytes they are. The batch must be empty.
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
            let unmasked = text.get_mut(start..).unwrap_or_default();
            if let Some(mask) = mask {
                mask.apply(unmasked);
            }
            // So does every message. It cannot be blank then, and is no part of a character.
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

    /// Turns to the next message. False if there is none.
    pub(crate) fn advance(&mut self) -> bool {
        let Some(end) = self.ends.get(self.next) else {
            return false;
        };
        self.next += 1;
        self.current = self.start;
        self.start = *end;
        true
    }

    /// The message that was turned to.
    pub(crate) fn message(&self) -> &str {
        self.text.get(self.current..self.start).unwrap_or_default()
    }

    /// Gives the memory back.
    pub(crate) fn give_back(&mut self) {
        if self.next == self.ends.len() {
            *self = Self::default();
        }
    }
}

/// The mask and payload of the short message that `bytes` begin with, and what follows it. `None` if it is not all there,
/// or anything else.
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

    /// What is taken of these frames, and how many bytes are left.
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
    fn anything_else_is_left() {
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
    fn what_has_to_be_looked_at_one_by_one_is_left_whole() {
        let mut not_utf8 = frame("[1]");
        *not_utf8.last_mut().unwrap() = 0xff;
        for other in [not_utf8, frame("[1]\n[2]"), frame("[1]\r")] {
            let (messages, left) = take(&[frame("[1]"), other.clone()]);
            assert_eq!((messages.len(), left), (0, 5 + other.len()));
        }
    }
}
