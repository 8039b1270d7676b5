//! Long byte strings beside the text of messages that wait to be sent.

use std::{collections::VecDeque, ops::Range};

use crate::{Attachment, util::invariant::Invariant};

/// The attachments of outgoing messages.
#[derive(Debug, Default)]
pub(crate) struct Attachments {
    /// All of them, in order. Their places count from the beginning of their message.
    all: Vec<Attachment>,
    /// Which messages have some, by where they are, and the number of the first that is not theirs any more.
    of: VecDeque<(Range<usize>, usize)>,
    /// The number of the first that has not been taken.
    first: usize,
    /// How many bytes more all messages would have with those that have not been taken, as base64.
    bytes: usize,
    piece: Piece,
}

/// Digits of the first attachment that are being taken: so many at once that they stay in the processor's cache, and are
/// never all in memory.
#[derive(Debug, Default)]
struct Piece {
    digits: Vec<u8>,
    /// How many of them have been taken.
    taken: usize,
    /// How many bytes of the attachment they and those before them say.
    written: usize,
}

/// How many bytes are turned to digits at once. Three of them are four digits.
const PIECE: usize = 48 * 1024;

impl Attachments {
    pub(crate) fn is_empty(&self) -> bool {
        self.of.is_empty() && self.piece.digits.is_empty()
    }

    /// How many bytes there are to come, as base64.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds those of the message that was written last.
    pub(crate) fn push(&mut self, message: Range<usize>, attachments: Vec<Attachment>) {
        if !attachments.is_empty() {
            self.bytes += text_len(&attachments);
            self.all.extend(attachments);
            self.of.push_back((message, self.all.len()));
        }
    }

    /// How many bytes more the message has that was written last and ends at `end`.
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

    /// Those of the message that ends at `end`, which is the next one.
    pub(crate) fn next(&self, end: usize) -> &[Attachment] {
        match self.of.front() {
            Some((message, past)) if message.end == end => self
                .all
                .get(self.first..*past)
                .or_bug("attachments of messages are in order"),
            _ => &[],
        }
    }

    /// Takes those of the message that ends at `end`, which is the next one.
    pub(crate) fn advance(&mut self, end: usize) {
        self.bytes -= text_len(self.next(end));
        if let Some((message, past)) = self.of.front()
            && message.end == end
        {
            self.first = *past;
            self.of.pop_front();
        }
    }

    /// Where the digits of the first one belong.
    pub(crate) fn place(&self) -> Option<usize> {
        let (message, _) = self.of.front()?;
        let first = self.all.get(self.first)?;
        Some(message.start + first.digits_at())
    }

    /// Writes the next digits of the first attachment.
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

    /// The digits that have been written and not been taken, if there are any.
    pub(crate) fn piece(&self) -> Option<&[u8]> {
        let Piece { digits, taken, .. } = &self.piece;
        digits.get(*taken..).filter(|rest| !rest.is_empty())
    }

    /// Takes so many of those digits.
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

    /// Forgets all. Memory beyond so many bytes is given back.
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
