//! Outgoing messages whose long byte strings are not copied.

use bytes::Bytes;

use super::Encoding;
#[cfg(feature = "message-pack")]
use super::encoding::failed;
use crate::{Attachment, graph::error::Result, util::invariant::Invariant};

/// A message as bytes, produced in pieces. Long byte strings are encoded only when it is their
/// turn, so the whole message is never in memory.
///
/// Use it in transports that must know the length of a message before sending it.
#[derive(Debug)]
pub struct MessageBody {
    /// The message without its long byte strings.
    around: Bytes,
    /// The byte strings, each with its position in `around`.
    beside: std::vec::IntoIter<(usize, Bytes)>,
    /// The rest of the byte string that is being written.
    current: Bytes,
    /// The number of bytes of `around` that have been taken.
    taken: usize,
    /// The number of bytes that remain.
    len: usize,
    /// True if the byte strings are written as base64.
    digits: bool,
}

impl MessageBody {
    pub(super) fn new(
        encoding: Encoding,
        message: &[u8],
        attachments: &[Attachment],
    ) -> Result<Self> {
        let mut around = Vec::new();
        let mut places = Vec::new();
        match encoding {
            Encoding::Json => {
                around.extend_from_slice(message);
                places.extend(attachments.iter().map(Attachment::digits_at));
            }
            #[cfg(feature = "message-pack")]
            Encoding::MessagePack => {
                let text = std::str::from_utf8(message).or_bug("our messages are UTF-8");
                capnweb_wire::message_pack::pack_around(
                    text,
                    attachments,
                    &mut around,
                    &mut places,
                )
                .map_err(failed)?;
            }
        }
        let digits = !encoding.has_bytes();
        let size = |attachment: &Attachment| match digits {
            true => attachment.text_len(),
            false => attachment.bytes.len(),
        };
        let len = around.len() + attachments.iter().map(size).sum::<usize>();
        let bytes = attachments.iter().map(|beside| beside.bytes.clone());
        let beside: Vec<_> = places.into_iter().zip(bytes).collect();
        Ok(Self {
            around: around.into(),
            beside: beside.into_iter(),
            current: Bytes::new(),
            taken: 0,
            len,
            digits,
        })
    }

    /// Creates the body of a JSON message that [`Outgoing::pop_long`](crate::Outgoing::pop_long)
    /// returned. Nothing is copied.
    #[must_use]
    pub fn of_text(message: Bytes) -> Self {
        Self {
            len: message.len(),
            around: message,
            beside: Vec::new().into_iter(),
            current: Bytes::new(),
            taken: 0,
            digits: true,
        }
    }

    /// Returns the number of bytes that remain.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns whether all bytes have been taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends the next bytes to `out`: at least one and at most `max`, which must be 4 or more.
    pub fn take(&mut self, max: usize, out: &mut Vec<u8>) {
        let start = out.len();
        if self.current.is_empty() {
            let place = self.beside.as_slice().first().map(|(place, _)| *place);
            let end = place.unwrap_or(self.around.len());
            let end = end.min(self.taken.saturating_add(max));
            out.extend_from_slice(
                self.around
                    .get(self.taken..end)
                    .or_bug("places of byte strings are in order, within the message"),
            );
            self.taken = end;
            if place == Some(end) {
                self.current = self
                    .beside
                    .next()
                    .map(|(_, bytes)| bytes)
                    .unwrap_or_default();
            }
        } else {
            // Three bytes take four digits.
            let max = if self.digits { max / 4 * 3 } else { max };
            let piece = self.current.split_to(max.min(self.current.len()));
            if self.digits {
                capnweb_wire::write_base64(out, &piece);
            } else {
                out.extend_from_slice(&piece);
            }
        }
        self.len = self.len.saturating_sub(out.len() - start);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Container;

    fn message(lens: &[usize]) -> (Vec<u8>, Vec<Attachment>) {
        let mut text = br#"["resolve",1,[["\u00e4""#.to_vec();
        let mut attachments = Vec::new();
        for (number, len) in lens.iter().enumerate() {
            let bytes: Bytes = (0..=255).cycle().skip(number).take(*len).collect();
            let container = match number {
                1 => Container::DataView,
                _ => Container::Uint8Array,
            };
            text.push(b',');
            attachments.extend(Attachment::write(&mut text, bytes, container));
        }
        text.extend_from_slice(b"]]]");
        (text, attachments)
    }

    #[test]
    fn pieces_are_the_whole_message() -> Result<()> {
        for encoding in [
            Encoding::Json,
            #[cfg(feature = "message-pack")]
            Encoding::MessagePack,
        ] {
            for lens in [&[][..], &[0], &[1000, 1], &[3, 10_000, 0, 5]] {
                let (text, attachments) = message(lens);
                let mut whole = Vec::new();
                encoding.encode_attached(&text, &attachments, &mut whole)?;
                for max in [4, 7, 4096, usize::MAX] {
                    let mut body = encoding.encode_body(&text, &attachments)?;
                    let mut pieces = Vec::new();
                    while !body.is_empty() {
                        assert_eq!(pieces.len() + body.len(), whole.len());
                        let before = pieces.len();
                        body.take(max, &mut pieces);
                        assert!(pieces.len() - before <= max);
                    }
                    assert!(pieces == whole, "{encoding:?} {lens:?} {max}");
                }
                let (mut text, mut pieces) =
                    (MessageBody::of_text(text.clone().into()), Vec::new());
                while !text.is_empty() {
                    text.take(5, &mut pieces);
                }
                assert_eq!(pieces, message(lens).0);
            }
        }
        Ok(())
    }
}
