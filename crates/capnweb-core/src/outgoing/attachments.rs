//! Attachments of messages that wait to be sent: long byte strings alongside their text.

use std::{collections::VecDeque, ops::Range};

use crate::{Attachment, util::invariant::Invariant};

/// The attachments of outgoing messages.
#[derive(Debug, Default)]
pub(crate) struct Attachments {
    /// All attachments, in order. Their positions are relative to the start of their message.
    all: Vec<Attachment>,
    /// The messages with attachments: the position of each, and the index behind its last
    /// attachment.
    of: VecDeque<(Range<usize>, usize)>,
    /// The index of the first attachment that has not been taken.
    first: usize,
    /// The number of bytes that the attachments which have not been taken would add to their
    /// messages, as base64.
    bytes: usize,
    piece: Piece,
}

/// Base64 digits of the first attachment, which is being taken. Only a part is encoded at a time,
/// so that it stays in the processor's cache and memory use is bounded.
#[derive(Debug, Default)]
struct Piece {
    digits: Vec<u8>,
    /// The number of digits that have been taken.
    taken: usize,
    /// The number of the attachment's bytes that have been encoded.
    written: usize,
}

/// The number of bytes that are encoded at a time. Three bytes take four digits.
const PIECE: usize = 48 * 1024;

impl Attachments {
    pub(crate) fn is_empty(&self) -> bool {
        self.of.is_empty() && self.piece.digits.is_empty()
    }

    /// Returns the number of bytes that remain, as base64.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds the attachments of the message that was written last.
    pub(crate) fn push(&mut self, message: Range<usize>, attachments: Vec<Attachment>) {
        if !attachments.is_empty() {
            self.bytes += text_len(&attachments);
            self.all.extend(attachments);
            self.of.push_back((message, self.all.len()));
        }
    }

    /// Returns the number of bytes that attachments add to the last message, which ends at `end`.
    pub(crate) fn last_len(&self, end: usize) -> usize {
        let mut of = self.of.iter().rev();
        match of.next() {
            Some((message, past)) if message.end == end => {
                let first = of.next().map_or(self.first, |(_, past)| *past);
                text_len(
                    self.all
                        .get(first..*past)
                        .or_bug("attachments of messages are in order"),
                )
            }
            _ => 0,
        }
    }

    /// Returns the number of bytes that attachments add to the message that ends at `end`.
    pub(crate) fn len_of(&self, end: usize) -> usize {
        let Ok(at) = self
            .of
            .binary_search_by_key(&end, |(message, _)| message.end)
        else {
            return 0;
        };
        let past = |at| self.of.get(at).map(|(_, past): &(_, usize)| *past);
        let first = at.checked_sub(1).and_then(past).unwrap_or(self.first);
        let attachments = past(at).and_then(|past| self.all.get(first..past));
        text_len(attachments.unwrap_or_default())
    }

    /// Returns the attachments of the next message, which ends at `end`.
    pub(crate) fn next(&self, end: usize) -> &[Attachment] {
        match self.of.front() {
            Some((message, past)) if message.end == end => self
                .all
                .get(self.first..*past)
                .or_bug("attachments of messages are in order"),
            _ => &[],
        }
    }

    /// Takes the attachments of the next message, which ends at `end`.
    pub(crate) fn advance(&mut self, end: usize) {
        self.bytes -= text_len(self.next(end));
        if let Some((message, past)) = self.of.front()
            && message.end == end
        {
            self.first = *past;
            self.of.pop_front();
        }
    }

    /// Returns the position at which the digits of the first attachment belong.
    pub(crate) fn place(&self) -> Option<usize> {
        let (message, _) = self.of.front()?;
        let first = self.all.get(self.first)?;
        Some(message.start + first.digits_at())
    }

    /// Encodes the next part of the first attachment.
    pub(crate) fn write_piece(&mut self) {
        let Some(attachment) = self.all.get(self.first) else {
            return;
        };
        let piece = &mut self.piece;
        let end = (piece.written + PIECE).min(attachment.bytes.len());
        let bytes = attachment
            .bytes
            .get(piece.written..end)
            .or_bug("pieces are within the bytes");
        capnweb_wire::write_base64(&mut piece.digits, bytes);
        piece.written = end;
        if end == attachment.bytes.len() {
            piece.written = 0;
            self.first += 1;
            if let Some((_, past)) = self.of.front()
                && *past == self.first
            {
                self.of.pop_front();
            }
        }
    }

    /// Returns the digits that have been encoded but not taken, if there are any.
    pub(crate) fn piece(&self) -> Option<&[u8]> {
        let Piece { digits, taken, .. } = &self.piece;
        digits.get(*taken..).filter(|rest| !rest.is_empty())
    }

    /// Takes `len` of those digits.
    pub(crate) fn advance_piece(&mut self, len: usize) {
        let piece = &mut self.piece;
        let len = len.min(piece.digits.len() - piece.taken);
        self.bytes -= len;
        piece.taken += len;
        if piece.taken == piece.digits.len() {
            piece.digits.clear();
            piece.taken = 0;
        }
    }

    /// Removes all attachments. Frees the buffer if it is larger than `keep` bytes.
    pub(crate) fn clear(&mut self, keep: usize) {
        let mut digits = std::mem::take(&mut self.piece.digits);
        digits.clear();
        *self = Self::default();
        if digits.capacity() <= keep {
            self.piece.digits = digits;
        }
    }
}

fn text_len(attachments: &[Attachment]) -> usize {
    attachments.iter().map(Attachment::text_len).sum()
}
