//! Messages in the bytes of a WebSocket.

use bytes::{Buf, BytesMut};
use capnweb_inspect::{Body, lines};

/// The longest message that is looked into, in bytes. Longer ones pass by.
const MAX_MESSAGE: usize = 100 * 1024 * 1024;

/// A find in the bytes of a WebSocket.
#[derive(Debug, PartialEq)]
pub(crate) enum Found {
    Message(Body),
    /// A message that is too long to be looked into, with its length.
    TooLong(u64),
    /// A close frame.
    Close(String),
}

/// Finds messages in the bytes that one side sends. It only looks: whatever it does not understand
/// passes by.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    buffer: BytesMut,
    /// The message so far, of frames that are not the last.
    message: Vec<u8>,
    is_binary: bool,
    /// The bytes of a frame that is too long, which are still to come.
    skip: u64,
    too_long: u64,
    /// Bytes came that are no frames of WebSocket.
    is_lost: bool,
}

struct Head {
    is_last: bool,
    opcode: u8,
    mask: Option<[u8; 4]>,
    len: u64,
    size: usize,
}

impl Frames {
    /// Takes bytes in, and returns what they complete.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Vec<Found> {
        let mut found = Vec::new();
        if self.is_lost {
            return found;
        }
        self.buffer.extend_from_slice(bytes);
        loop {
            if self.skip > 0 {
                let skipped = self
                    .buffer
                    .len()
                    .min(usize::try_from(self.skip).unwrap_or(usize::MAX));
                self.buffer.advance(skipped);
                self.skip -= skipped as u64;
                if self.skip > 0 {
                    return found;
                }
            }
            let Some(head) = head(&self.buffer) else {
                return found;
            };
            let Some(len) = usize::try_from(head.len)
                .ok()
                .filter(|len| *len <= MAX_MESSAGE)
            else {
                self.buffer.advance(head.size);
                self.skip = head.len;
                self.too_long = self.too_long.saturating_add(head.len);
                self.end(&head, &mut found);
                continue;
            };
            if self.buffer.len() < head.size + len {
                return found;
            }
            self.buffer.advance(head.size);
            let mut payload = self.buffer.split_to(len);
            if let Some(mask) = head.mask {
                for (byte, key) in payload.iter_mut().zip(mask.iter().cycle()) {
                    *byte ^= key;
                }
            }
            match head.opcode {
                0..=2 => {
                    if head.opcode > 0 {
                        self.is_binary = head.opcode == 2;
                        self.message.clear();
                    }
                    if self.message.len() + len > MAX_MESSAGE || self.too_long > 0 {
                        self.too_long = self
                            .too_long
                            .saturating_add((self.message.len() + len) as u64);
                        self.message.clear();
                    } else {
                        self.message.extend_from_slice(&payload);
                    }
                    self.end(&head, &mut found);
                }
                8 => found.push(Found::Close(close_reason(&payload))),
                9 | 10 => {}
                _ => {
                    self.is_lost = true;
                    self.buffer.clear();
                    return found;
                }
            }
        }
    }

    /// Completes a message with its last frame.
    fn end(&mut self, head: &Head, found: &mut Vec<Found>) {
        if !head.is_last || head.opcode > 2 {
            return;
        }
        let message = std::mem::take(&mut self.message);
        let too_long = std::mem::take(&mut self.too_long);
        if too_long > 0 {
            found.push(Found::TooLong(too_long));
            return;
        }
        let bodies = match (self.is_binary, String::from_utf8(message)) {
            (false, Ok(text)) => texts(text),
            (true, Ok(text)) => Body::of_binary(text.as_bytes()),
            (_, Err(error)) => Body::of_binary(error.as_bytes()),
        };
        found.extend(bodies.into_iter().map(Found::Message));
    }
}

/// Returns the messages in a text: one, unless each line begins like one.
fn texts(text: String) -> Vec<Body> {
    let all: Vec<_> = lines(&text).collect();
    if all.len() > 1 && all.iter().all(|line| line.starts_with("[\"")) {
        return all
            .into_iter()
            .map(|line| Body::Text(line.to_owned()))
            .collect();
    }
    vec![Body::Text(text)]
}

fn head(bytes: &[u8]) -> Option<Head> {
    let [first, second, rest @ ..] = bytes else {
        return None;
    };
    let (len, more) = match second & 0x7f {
        126 => (
            u64::from(u16::from_be_bytes(rest.get(..2)?.try_into().ok()?)),
            2,
        ),
        127 => (u64::from_be_bytes(rest.get(..8)?.try_into().ok()?), 8),
        len => (u64::from(len), 0),
    };
    let mask = match second & 0x80 {
        0 => None,
        _ => Some(rest.get(more..more + 4)?.try_into().ok()?),
    };
    Some(Head {
        is_last: first & 0x80 != 0,
        opcode: first & 0x0f,
        mask,
        len,
        size: 2 + more + if mask.is_some() { 4 } else { 0 },
    })
}

fn close_reason(payload: &[u8]) -> String {
    match payload {
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            let reason = String::from_utf8_lossy(reason);
            match reason.is_empty() {
                true => format!("closed with {code}"),
                false => format!("closed with {code}: {reason}"),
            }
        }
        _ => "closed without a code".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first: u8, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
        let bit = if mask.is_some() { 0x80 } else { 0 };
        let mut out = vec![first];
        match payload.len() {
            len @ 0..=125 => out.push(bit | u8::try_from(len).unwrap()),
            len @ 126..=65_535 => {
                out.push(bit | 126);
                out.extend(u16::try_from(len).unwrap().to_be_bytes());
            }
            len => {
                out.push(bit | 127);
                out.extend(u64::try_from(len).unwrap().to_be_bytes());
            }
        }
        let key = mask.unwrap_or_default();
        out.extend(mask.into_iter().flatten());
        out.extend(
            payload
                .iter()
                .zip(key.iter().cycle())
                .map(|(byte, key)| byte ^ key),
        );
        out
    }

    #[test]
    fn messages_are_found_in_any_pieces() {
        let long = format!("[\"push\",\"{}\"]", "x".repeat(70_000));
        let mut bytes = frame(0x81, b"[\"pipe\"]", Some([1, 2, 3, 4]));
        bytes.extend(frame(0x01, b"[\"pu", None));
        bytes.extend(frame(0x89, b"ping", None));
        bytes.extend(frame(0x80, b"ll\",1]", Some([9, 8, 7, 6])));
        bytes.extend(frame(0x82, long.as_bytes(), Some([0; 4])));
        bytes.extend(frame(0x88, b"\x03\xe8bye", None));
        let expected = [
            Found::Message(Body::Text("[\"pipe\"]".into())),
            Found::Message(Body::Text("[\"pull\",1]".into())),
            Found::Message(Body::BinaryText(long)),
            Found::Close("closed with 1000: bye".into()),
        ];
        for piece in [1, 7, 1000, bytes.len()] {
            let mut frames = Frames::default();
            let found: Vec<_> = bytes
                .chunks(piece)
                .flat_map(|chunk| frames.feed(chunk))
                .collect();
            assert_eq!(found, expected, "in pieces of {piece}");
        }
    }

    #[test]
    fn a_message_that_is_too_long_passes_by() {
        let mut frames = Frames::default();
        let mut head = vec![0x81, 127];
        let len = MAX_MESSAGE as u64 + 1;
        head.extend(len.to_be_bytes());
        assert_eq!(frames.feed(&head), [Found::TooLong(len)]);
        let chunk = vec![b'x'; 1024 * 1024];
        let mut left = len;
        while left > 0 {
            let some = usize::try_from(left.min(chunk.len() as u64)).unwrap();
            assert!(frames.feed(&chunk[..some]).is_empty());
            left -= some as u64;
        }
        let next = frames.feed(&frame(0x81, b"[\"pipe\"]", None));
        assert_eq!(next, [Found::Message(Body::Text("[\"pipe\"]".into()))]);
    }

    #[test]
    fn other_bytes_are_given_up() {
        let mut frames = Frames::default();
        assert!(frames.feed(b"\x8fHTTP").is_empty());
        assert!(frames.feed(&frame(0x81, b"[\"pipe\"]", None)).is_empty());
    }
}
