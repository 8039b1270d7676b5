//! The queue of outgoing messages.

use bytes::Bytes;
use memchr::memchr_iter;

use crate::{
    Attachment, graph::offload, limits::utf16_len, outgoing::attachments::Attachments,
    util::invariant::Invariant,
};

/// A first-in, first-out queue of messages to send, in one buffer.
///
/// A transport can look at the next message with [`peek`](Self::peek), send it, and remove it with
/// [`advance`](Self::advance). Or it can send any number of messages as [`lines`](Self::lines).
/// Once all are taken, the buffer goes back to the session to be filled again.
#[derive(Debug, Default)]
pub struct Outgoing {
    /// The messages, end to end, each followed by a newline.
    text: Vec<u8>,
    /// The number of bytes of the text that have been taken.
    taken: usize,
    /// The end of each message, including its newline.
    ends: Vec<usize>,
    /// The number of ends before `taken`.
    gone: usize,
    /// The number of bytes of the text that are known to contain no other newlines.
    folded: usize,
    /// The attachments of the messages.
    attached: Attachments,
}

/// The capacity in bytes that an empty buffer may keep while its session sleeps, since there can be
/// very many such sessions.
const KEEP_IDLE: usize = 1024;

/// The capacity in bytes that the buffer may keep while it is in use.
const KEEP_BUSY: usize = 64 * 1024;

/// The length from which a message is long, in bytes.
const LONG: usize = 256 * 1024;

/// The initial capacity in bytes.
const FIRST: usize = 512;

/// Frees memory, on another thread if it is very much.
#[inline]
fn forget_if_much<T: Send + 'static>(buffer: &mut Vec<T>) {
    const MUCH: usize = 4 << 20;
    if buffer.capacity() * size_of::<T>() > MUCH {
        forget(std::mem::take(buffer));
    }
}

#[cold]
fn forget<T: Send + 'static>(buffer: Vec<T>) {
    offload::drop_elsewhere(buffer);
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        forget_if_much(&mut self.text);
        forget_if_much(&mut self.ends);
    }
}

impl Outgoing {
    /// Returns whether there are no messages.
    pub fn is_empty(&self) -> bool {
        self.taken == self.text.len()
    }

    /// Returns the number of messages.
    pub fn len(&self) -> usize {
        self.ends.len() - self.gone
    }

    /// Returns the length of all messages as JSON in bytes, including a newline for each.
    pub fn bytes(&self) -> usize {
        self.text.len() - self.taken + self.attached.bytes()
    }

    /// Returns the number of bytes that the index of the messages takes.
    pub(crate) fn index_bytes(&self) -> usize {
        self.ends.len() * size_of::<usize>()
    }

    /// Returns the attachments of the next message. There are only some for transports that
    /// [support them](crate::Transport::takes_attachments).
    pub fn attachments(&self) -> &[Attachment] {
        match self.ends.get(self.gone) {
            Some(end) => self.attached.next(*end),
            None => &[],
        }
    }

    /// Returns the next message without removing it. It is always valid UTF-8.
    pub fn peek(&self) -> Option<&[u8]> {
        let end = *self.ends.get(self.gone)?;
        self.text.get(self.taken..end.saturating_sub(1))
    }

    /// Returns the messages in order, each with the number of attached bytes.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], usize)> {
        let ends = self
            .ends
            .get(self.gone..)
            .or_bug("no more is gone than there is");
        let starts = std::iter::once(&self.taken).chain(ends);
        starts.zip(ends).filter_map(|(start, end)| {
            let message = self.text.get(*start..end.saturating_sub(1))?;
            Some((message, self.attached.len_of(*end)))
        })
    }

    /// Removes the next message.
    pub fn advance(&mut self) {
        if let Some(end) = self.ends.get(self.gone) {
            self.attached.advance(*end);
            self.taken = *end;
            self.gone += 1;
            self.clear_if_empty();
        }
    }

    /// Removes and returns the next message, in a separate buffer. Its
    /// [attachments](Self::attachments) are dropped, so take them first.
    pub fn pop(&mut self) -> Option<Bytes> {
        let message = self.peek().map(Bytes::copy_from_slice)?;
        self.advance();
        Some(message)
    }

    /// Removes and returns the next message without copying it, if it is long, has no
    /// [attachments](Self::attachments), and is the only one left. A long message is never followed
    /// by many others.
    pub fn pop_long(&mut self) -> Option<Bytes> {
        let len = self.peek()?.len();
        if len < LONG || self.len() > 1 || !self.attachments().is_empty() {
            return None;
        }
        let text = std::mem::take(&mut self.text);
        let message = self.taken..self.taken + len;
        self.clear(KEEP_BUSY);
        Some(Bytes::from_owner(Taken(text)).slice(message))
    }

    /// Returns messages as lines, each followed by a newline and containing none. If the messages
    /// are long or contain long byte strings, this may be only a part of the lines. It is empty
    /// only if there are no messages.
    pub fn lines(&mut self) -> &[u8] {
        if self.folded <= self.taken {
            self.fold(LONG);
        }
        // Base64 digits are encoded in pieces, between the text before and after them.
        while self.attached.piece().is_none() && self.attached.place() == Some(self.taken) {
            self.attached.write_piece();
        }
        match (self.attached.piece(), self.attached.place()) {
            (Some(piece), _) => piece,
            (None, place) => self
                .text
                .get(self.taken..place.unwrap_or(self.folded).min(self.folded))
                .or_bug("attachments are in order, behind what was taken"),
        }
    }

    /// Removes `len` bytes of the [`lines`](Self::lines). If this ends in the middle of a message,
    /// the rest of that message comes next.
    pub fn advance_lines(&mut self, len: usize) {
        if self.attached.piece().is_some() {
            return self.attached.advance_piece(len);
        }
        self.taken = self.taken.saturating_add(len).min(self.text.len());
        let gone = self.ends.iter().skip(self.gone);
        self.gone += gone.take_while(|end| **end <= self.taken).count();
        self.clear_if_empty();
    }

    /// Removes and returns all messages as [`lines`](Self::lines), including long byte strings.
    /// Without any of those, nothing is copied.
    pub fn take_lines(&mut self) -> Bytes {
        if !self.attached.is_empty() {
            return self.copy_lines();
        }
        self.fold(usize::MAX);
        let mut taken = std::mem::take(self);
        let mut lines = Bytes::from(std::mem::take(&mut taken.text));
        bytes::Buf::advance(&mut lines, taken.taken);
        lines
    }

    /// Implements [`take_lines`](Self::take_lines) for messages with attachments. The first message
    /// may have been taken in part.
    fn copy_lines(&mut self) -> Bytes {
        let mut all = Vec::with_capacity(self.bytes());
        while !self.is_empty() {
            let lines = self.lines();
            all.extend_from_slice(lines);
            let len = lines.len();
            self.advance_lines(len);
        }
        all.into()
    }

    fn clear_if_empty(&mut self) {
        if self.is_empty() {
            self.clear(KEEP_BUSY);
        }
    }

    fn clear(&mut self, keep: usize) {
        (self.taken, self.gone, self.folded) = (0, 0, 0);
        self.text.clear();
        self.ends.clear();
        if self.text.capacity() > keep {
            forget_if_much(&mut self.text);
            self.text = Vec::new();
        }
        if self.ends.capacity() * size_of::<usize>() > keep {
            forget_if_much(&mut self.ends);
            self.ends = Vec::new();
        }
        self.attached.clear(keep);
    }

    /// Frees memory if there are no messages, before the session goes to sleep.
    pub(crate) fn rest(&mut self) {
        if self.is_empty() {
            self.clear(KEEP_IDLE);
        }
    }

    /// Returns the length of the last written message, in UTF-16 code units.
    pub(crate) fn last_len_utf16(&self) -> usize {
        let mut ends = self.ends.iter().rev();
        let end = ends.next().copied().or_bug("a message was written");
        let start = ends.next().copied().unwrap_or_default();
        utf16_len(
            self.text
                .get(start..end)
                .or_bug("messages are within the text"),
        ) + self.attached.last_len(end)
    }

    /// Writes one message.
    pub(crate) fn message<R>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        if self.text.capacity() == 0 {
            self.text.reserve(FIRST);
        }
        let result = write(&mut self.text);
        self.text.push(b'\n');
        self.ends.push(self.text.len());
        result
    }

    /// Attaches byte strings to the last written message.
    pub(crate) fn attach(&mut self, attachments: Vec<Attachment>) {
        let mut ends = self.ends.iter().rev();
        if let Some(end) = ends.next() {
            let start = ends.next().copied().unwrap_or_default();
            self.attached.push(start..*end, attachments);
        }
    }

    /// Inserts all attachments into the text of their messages.
    pub(crate) fn inline(&mut self) {
        if self.attached.is_empty() {
            return;
        }
        let mut whole = Self::default();
        whole.text.reserve(self.bytes());
        while let Some(message) = self.peek() {
            whole.message(|text| Attachment::inline(message, self.attachments(), text));
            self.advance();
        }
        *self = whole;
    }

    /// Removes newlines within messages, so that each is one line, in the next `len` bytes.
    fn fold(&mut self, len: usize) {
        let start = self.folded.max(self.taken);
        self.folded = start.saturating_add(len).min(self.text.len());
        let new = self
            .text
            .get(start..self.folded)
            .or_bug("messages are within the text");
        let ends = self.ends.get(self.gone..).or_bug("what is gone was there");
        let from = ends.partition_point(|end| *end <= start);
        let ends = ends.get(from..ends.partition_point(|end| *end <= self.folded));
        let ends = ends.or_bug("a partition point is within");
        if memchr_iter(b'\n', new).count() == ends.len() {
            return;
        }
        // If the encoding of another peer allows newlines in messages, forwarded messages may
        // contain some. In JSON they can only be white space.
        let mut from = start;
        for end in ends.iter().copied().chain([self.folded + 1]) {
            let message = self.text.get_mut(from..(end - 1).max(from));
            for byte in message.into_iter().flatten() {
                if *byte == b'\n' {
                    *byte = b' ';
                }
            }
            from = end;
        }
    }
}

/// The text of a long message that was taken out.
struct Taken(Vec<u8>);

impl AsRef<[u8]> for Taken {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        forget_if_much(&mut self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outgoing(messages: &[&str]) -> Outgoing {
        let mut out = Outgoing::default();
        for message in messages {
            out.message(|text| text.extend_from_slice(message.as_bytes()));
        }
        out
    }

    #[test]
    fn messages_come_out_one_by_one() {
        let mut out = outgoing(&[]);
        assert!(out.pop().is_none() && out.peek().is_none());
        out.advance();
        out.message(|text| text.extend_from_slice(b"one"));
        out.message(|text| text.extend_from_slice(b"two"));
        assert_eq!((out.len(), out.bytes()), (2, 8));
        assert_eq!(out.pop().as_deref(), Some(&b"one"[..]));
        out.message(|text| text.extend_from_slice(b"three"));
        assert_eq!(out.peek(), Some(&b"two"[..]));
        assert_eq!((out.len(), out.bytes()), (2, 10));
        out.advance();
        assert_eq!(out.pop().as_deref(), Some(&b"three"[..]));
        assert!(out.is_empty() && out.pop().is_none());
        assert_eq!((out.len(), out.bytes()), (0, 0));
    }

    #[test]
    fn messages_come_out_as_lines() {
        let mut out = outgoing(&["one", "two", "[\n3\n\n]", "four"]);
        assert_eq!(out.pop().as_deref(), Some(&b"one"[..]));
        assert_eq!(out.lines(), b"two\n[ 3  ]\nfour\n");
        out.advance_lines(6);
        assert_eq!((out.len(), out.lines()), (2, &b"3  ]\nfour\n"[..]));
        out.advance_lines(5);
        out.message(|text| text.extend_from_slice(b"five"));
        assert_eq!((out.len(), out.bytes()), (2, 10));
        assert_eq!(&out.take_lines()[..], b"four\nfive\n");
        assert!(out.is_empty() && out.lines().is_empty());
        out.advance_lines(1);
        assert_eq!((out.len(), out.bytes()), (0, 0));
    }

    #[test]
    fn an_empty_buffer_keeps_little() {
        let mut out = outgoing(&[&"x".repeat(KEEP_BUSY + 1)]);
        out.advance();
        assert_eq!(out.text.capacity(), 0);
        out.message(|text| text.resize(KEEP_BUSY / 2, b'x'));
        out.rest();
        out.advance();
        assert!(out.text.capacity() >= KEEP_BUSY / 2);
        out.rest();
        assert_eq!(out.text.capacity(), 0);
    }

    #[test]
    fn a_long_message_is_taken_without_a_copy() {
        let long = "x".repeat(LONG);
        let mut out = outgoing(&["one", &long]);
        assert!(out.pop_long().is_none());
        out.advance();
        let text = out.peek().unwrap().as_ptr();
        let message = out.pop_long().unwrap();
        assert_eq!((message.as_ptr(), &message[..]), (text, long.as_bytes()));
        assert!(out.is_empty() && out.pop_long().is_none());
        out.message(|text| text.extend_from_slice(b"two"));
        assert_eq!((out.len(), out.lines()), (1, &b"two\n"[..]));
        assert!(out.pop_long().is_none());
    }

    #[test]
    fn long_lines_come_out_in_parts() {
        let long = format!("[\n{}\n]", "x\n".repeat(LONG));
        let whole = format!("{}\n[ 1]\n", long.replace('\n', " "));
        for at_once in [1000, LONG, LONG + 1, usize::MAX] {
            let mut out = outgoing(&[&long, "[\n1]"]);
            assert!(out.lines().len() <= LONG);
            assert_eq!(lines(out, at_once), whole);
        }
        assert_eq!(outgoing(&[&long, "[\n1]"]).take_lines(), whole);
    }

    fn attached(bytes: &[usize]) -> Outgoing {
        let mut out = outgoing(&["before"]);
        let mut attachments = Vec::new();
        out.message(|text| {
            // Use a separate buffer, since positions are relative to the start of the message.
            let mut message = b"[".to_vec();
            for len in bytes {
                let bytes: Bytes = (0..=255).cycle().take(*len).collect();
                let container = capnweb_wire::Container::DataView;
                attachments.extend(Attachment::write(&mut message, bytes, container));
            }
            message.push(b']');
            text.extend_from_slice(&message);
        });
        out.attach(attachments);
        out.message(|text| text.extend_from_slice(b"after"));
        out
    }

    /// Returns all messages, taken `at_once` bytes at a time.
    fn lines(mut out: Outgoing, at_once: usize) -> String {
        let mut lines = Vec::new();
        let bytes = out.bytes();
        while !out.is_empty() {
            let piece = out.lines();
            let len = piece.len().min(at_once);
            assert!(len > 0);
            lines.extend_from_slice(&piece[..len]);
            out.advance_lines(len);
            assert_eq!(out.bytes(), bytes - lines.len());
        }
        assert_eq!(out.bytes(), 0);
        String::from_utf8(lines).unwrap()
    }

    #[test]
    fn what_is_beside_the_text_comes_where_it_belongs() {
        for bytes in [&[][..], &[1], &[0, 3], &[100_000, 0, 24 * 1024, 7]] {
            let mut inlined = attached(bytes);
            let size = inlined.bytes();
            assert_eq!(
                inlined.attached.last_len(inlined.ends[1]) == 0,
                bytes.iter().sum::<usize>() == 0
            );
            let sizes = |out: &Outgoing| {
                out.iter()
                    .map(|(text, attached)| text.len() + attached)
                    .collect::<Vec<_>>()
            };
            let before = sizes(&inlined);
            assert_eq!(before.iter().sum::<usize>() + before.len(), size);
            inlined.inline();
            assert_eq!((sizes(&inlined), inlined.bytes()), (before, size));
            assert!(inlined.attachments().is_empty());
            let whole = String::from_utf8(inlined.take_lines().to_vec()).unwrap();
            assert_eq!(whole.matches("DataView").count(), bytes.len());
            for at_once in [1, 1000, usize::MAX] {
                assert_eq!(lines(attached(bytes), at_once), whole);
            }
            // Take all at once, also after some of it is gone.
            for gone in [0, 1, 300, 1000] {
                let (mut out, mut rest) = (attached(bytes), gone.min(whole.len()));
                let before = rest;
                while rest > 0 {
                    let len = out.lines().len().min(rest);
                    out.advance_lines(len);
                    rest -= len;
                }
                assert_eq!(out.take_lines(), whole.as_bytes()[before..]);
                assert_eq!((out.bytes(), out.len()), (0, 0));
            }
            // Take them one by one.
            let mut out = attached(bytes);
            assert!(out.attachments().is_empty());
            out.advance();
            assert_eq!(out.attachments().len(), bytes.len());
            out.advance();
            assert!(out.attachments().is_empty());
            assert_eq!(out.bytes(), b"after\n".len());
            out.advance();
            assert_eq!(out.bytes(), 0);
        }
    }

    #[test]
    fn a_message_is_as_long_as_it_is_with_what_is_beside_it() {
        let mut out = attached(&[3000]);
        out.attach(Vec::new());
        assert_eq!(out.last_len_utf16(), b"after\n".len());
        let mut out = outgoing(&["x"]);
        out.message(|text| text.extend_from_slice(br#"["bytes",""]"#));
        let attachment = Attachment::write(
            &mut Vec::new(),
            Bytes::from(vec![0; 3000]),
            capnweb_wire::Container::Uint8Array,
        );
        out.attach(attachment.into_iter().collect());
        assert_eq!(out.last_len_utf16(), 4000 + 13);
    }
}
