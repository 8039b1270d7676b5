//! Messages as lines of a byte stream.

use std::{
    fmt,
    ops::Range,
    task::{Context, Poll, ready},
};

use memchr::{memchr, memrchr};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{
    graph::error::Error,
    limits::{LimitExceeded, Limits},
    outgoing::Outgoing,
    transport::{
        Encoding, Progress, Received, Transport,
        byte_io::{ByteIo, READ_SIZE, abort, closed, cut_off},
        whole_lines::WholeLines,
    },
    util::{
        buffer_pool::BufferPool,
        byte_budget::{ByteBudget, ByteCharge},
        invariant::Invariant,
        long_bytes::{LongBytes, Utf8Check},
    },
};

/// A transport over any byte stream, with one message per line. The stream can be a TCP or Unix
/// socket, the standard input and output of a process, or a QUIC stream.
///
/// Join two halves with `tokio::io::join`. Each message is written as one line that ends with `\n`.
/// Reading is lenient: lines may end with `\r\n`, blank lines are skipped, and the last line needs
/// no newline.
///
/// ```
/// use capnweb::{Limits, Object, Session, SessionOptions, transport::LinesTransport};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> capnweb::Result<()> {
/// // The stream is a pipe in memory.
/// let (left, right) = tokio::io::duplex(4096);
/// let (_, mut server) = Session::server(SessionOptions::new());
/// server.set_main(Object::new().method("add", async |a: f64, b: f64| Ok(a + b)).into_stub());
/// tokio::spawn(server.drive(LinesTransport::new(left, &Limits::default())));
///
/// let (session, client) = Session::client(SessionOptions::new());
/// tokio::spawn(client.drive(LinesTransport::new(right, &Limits::default())));
/// assert_eq!(session.main().call("add", (1, 2)).fetch::<f64>().await?, 3.0);
/// # Ok(()) }
/// ```
///
/// # The end
///
/// When the session is over, the stream is shut down for writing. It is then read until the peer
/// has shut it down too, for at most five seconds. When the peer ends the stream, the session ends
/// with the reason "the peer closed the connection", or with another one that describes how the
/// connection was lost.
pub struct LinesTransport<S> {
    io: ByteIo<S>,
    /// Complete lines of UTF-8. They precede the ones in `lines`.
    whole: WholeLines,
    /// All other bytes that have been read.
    lines: Lines,
    /// The share of a server's budget that the buffer takes.
    charge: ByteCharge,
}

/// A line, or its position.
enum Line {
    Whole(Range<usize>),
    Other(Range<usize>),
    Long(LongLine),
}

impl<S> LinesTransport<S> {
    /// Creates a transport over `io`. `limits` bounds the length of the peer's messages.
    pub fn new(io: S, limits: &Limits) -> Self {
        Self {
            io: ByteIo::new(io),
            whole: WholeLines::default(),
            lines: Lines::new(limits.max_message_bytes()),
            charge: ByteCharge::default(),
        }
    }

    /// Bounds the bytes of unfinished messages, together with other transports on the same budget.
    /// A message that exceeds the budget ends the session.
    #[must_use]
    pub fn budget(mut self, unfinished: &ByteBudget) -> Self {
        self.charge = unfinished.charge();
        self
    }

    /// Returns the byte stream.
    pub fn get_ref(&self) -> &S {
        self.io.get_ref()
    }
}

fn not_utf8() -> Error {
    Error::protocol("a line is not valid UTF-8")
}

/// Ends the session for a violation by the peer, and reports it to the peer.
fn fault<S>(io: &mut ByteIo<S>, reason: Error) -> Received<'static> {
    let mut line = abort(&reason);
    line.push(b'\n');
    io.write(line.into());
    Received::Closed(reason)
}

impl<S: AsyncRead + Unpin> LinesTransport<S> {
    /// Reads until there is a line, and returns its position.
    fn poll_line(&mut self, cx: &mut Context<'_>) -> Poll<Result<Line, Error>> {
        loop {
            if let Some(line) = self.whole.next() {
                return Poll::Ready(Ok(Line::Whole(line)));
            }
            if self.lines.take_whole(&mut self.whole) {
                continue;
            }
            if let Some(long) = self.lines.next_long()? {
                // Shrinking a charge always succeeds.
                let _ = self.charge.set(self.lines.capacity());
                return Poll::Ready(Ok(Line::Long(long)));
            }
            if let Some(line) = self.lines.next() {
                return Poll::Ready(Ok(Line::Other(line)));
            }
            if self.io.has_read_ended() {
                if let Some(long) = self.lines.rest_of_long()? {
                    return Poll::Ready(Ok(Line::Long(long)));
                }
                return Poll::Ready(self.lines.rest().map(Line::Other));
            }
            if self.lines.take_turn() && !self.io.has_write_failed() {
                // There may be more to read, but answer what was read first.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let space = self.lines.space();
            let read = self.io.poll_read(cx, space)?;
            match read {
                Poll::Ready(len) => {
                    self.lines.filled(len);
                    if !self.charge.set(self.lines.capacity()) {
                        return Poll::Ready(Err(LimitExceeded::unfinished().into()));
                    }
                }
                Poll::Pending => {
                    self.whole.give_back();
                    self.lines.rest_until_read();
                    // Shrinking a charge always succeeds.
                    let _ = self.charge.set(self.lines.capacity());
                    return Poll::Pending;
                }
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Transport for LinesTransport<S> {
    fn poll_receive<'a>(&'a mut self, cx: &mut Context<'_>) -> Poll<Received<'a>> {
        let line = match ready!(self.poll_line(cx)) {
            Ok(Line::Whole(line)) => {
                return Poll::Ready(Received::Message(self.whole.text(line)));
            }
            Ok(Line::Other(line)) => line,
            Ok(Line::Long(line)) if line.is_utf8() => {
                return Poll::Ready(Received::Encoded(Encoding::Json, line.bytes.into_parts()));
            }
            Ok(Line::Long(_)) => return Poll::Ready(fault(&mut self.io, not_utf8())),
            Err(reason) if reason.is_limit() => return Poll::Ready(fault(&mut self.io, reason)),
            Err(reason) => return Poll::Ready(Received::Closed(reason)),
        };
        Poll::Ready(match std::str::from_utf8(self.lines.text(line)) {
            Ok(message) => Received::Message(message),
            Err(_) => fault(&mut self.io, not_utf8()),
        })
    }

    fn takes_attachments(&self) -> bool {
        // A line contains them as base64.
        true
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        outgoing: &mut Outgoing,
    ) -> Poll<Result<(), Error>> {
        while !outgoing.is_empty() {
            let len = ready!(self.io.poll_write_some(cx, outgoing.lines()))?;
            outgoing.advance_lines(len);
        }
        self.io.poll_flush(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, _: Option<&Error>) -> Poll<()> {
        self.io.poll_close(cx)
    }

    fn progress(&self) -> Progress {
        self.io.progress()
    }

    fn is_in_message(&self) -> bool {
        self.lines.is_partial()
    }
}

impl<S> fmt::Debug for LinesTransport<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinesTransport")
            .field("io", &self.io)
            .finish_non_exhaustive()
    }
}

/// Bytes that have been read and not been lent yet.
struct Lines {
    /// The pool of large buffers.
    spare: &'static BufferPool,
    /// The buffer. Bytes beyond `end` are zero.
    buffer: Vec<u8>,
    /// The start of the next line.
    start: usize,
    /// The position up to which there is no newline.
    searched: usize,
    /// The end of the bytes that have been read.
    end: usize,
    /// The longest line, in bytes.
    max_len: usize,
    /// True if the last read filled its buffer.
    full: bool,
    /// True if a line was lent since the last turn of the other direction.
    lent: bool,
    /// True if bytes were read that have not been searched.
    fresh: bool,
    /// A line that is collected in parts. What follows is in the buffer.
    long: Option<LongLine>,
    /// The number of bytes of the long line since the last turn of the other direction.
    in_turn: usize,
}

/// The length from which a line is collected in parts, since it would take long to move and
/// validate it as a whole.
const LONG: usize = 1 << 20;

/// The number of bytes of a long line after which it is the other direction's turn.
const TURN: usize = 1 << 20;

/// A long line so far.
#[derive(Default)]
struct LongLine {
    bytes: LongBytes,
    utf8: Utf8Check,
    is_invalid: bool,
    /// True if the last byte is the end of an array.
    ends_message: bool,
}

impl LongLine {
    fn push(&mut self, piece: &[u8]) {
        self.bytes.push(piece);
        self.is_invalid |= !self.utf8.check(piece);
        if let Some(last) = piece.trim_ascii_end().last() {
            self.ends_message = *last == b']';
        }
    }

    fn is_utf8(&self) -> bool {
        !self.is_invalid && self.utf8.is_complete()
    }
}

impl Lines {
    fn new(max_len: usize) -> Self {
        Self {
            spare: BufferPool::shared(),
            buffer: Vec::new(),
            start: 0,
            searched: 0,
            end: 0,
            max_len,
            full: false,
            lent: false,
            fresh: false,
            long: None,
            in_turn: 0,
        }
    }

    /// Returns the line that is collected in parts if it is complete now.
    ///
    /// # Errors
    ///
    /// Returns an error if the line is too long.
    fn next_long(&mut self) -> Result<Option<LongLine>, Error> {
        if self.long.is_none() && self.end - self.start < LONG {
            return Ok(None);
        }
        if self.long.is_none() {
            let begun = self.searched.max(self.start);
            let begun = self.buffer.get(begun..self.end).unwrap_or_default();
            if memchr(b'\n', begun).is_some() {
                return Ok(None);
            }
        }
        let mut long = self.long.take().unwrap_or_default();
        let searched = self.searched.max(self.start);
        let rest = self.buffer.get(searched..self.end).unwrap_or_default();
        let newline = memchr(b'\n', rest).map(|newline| searched + newline);
        let end = newline.unwrap_or(self.end);
        long.push(self.text(self.start..end));
        self.in_turn += end - self.start;
        self.start = (end + 1).min(self.end);
        self.searched = self.start;
        if long.bytes.len() > self.max_len {
            return Err(LimitExceeded::message_bytes(self.max_len).into());
        }
        if newline.is_some() {
            self.lent = true;
            return Ok(Some(long));
        }
        self.long = Some(long);
        Ok(None)
    }

    /// Returns the line that is collected in parts once the stream has ended.
    ///
    /// # Errors
    ///
    /// Returns an error if the stream ended in the middle of a message.
    fn rest_of_long(&mut self) -> Result<Option<LongLine>, Error> {
        match self.long.take() {
            Some(long) if long.ends_message => Ok(Some(long)),
            Some(_) => Err(cut_off()),
            None => Ok(None),
        }
    }

    /// Moves all complete lines to `whole`, once for each read. The remaining ones are for
    /// [`next`](Self::next).
    fn take_whole(&mut self, whole: &mut WholeLines) -> bool {
        if self.long.is_some() || !std::mem::take(&mut self.fresh) {
            return false;
        }
        // The start of a long line is not searched again.
        let Some(last) = memrchr(b'\n', self.text(self.searched..self.end)) else {
            self.searched = self.end;
            return false;
        };
        let end = self.searched + last + 1;
        if !whole.take(self.text(self.start..end)) {
            return false;
        }
        self.start = end;
        self.searched = self.end;
        self.lent = true;
        true
    }

    fn text(&self, line: Range<usize>) -> &[u8] {
        self.buffer.get(line).or_bug("lines are within the buffer")
    }

    /// Returns the next complete line that is not blank. If a line is too long, it returns a part
    /// that already exceeds the limit, since the session knows how to report that.
    fn next(&mut self) -> Option<Range<usize>> {
        loop {
            let rest = self.buffer.get(self.searched..self.end)?;
            let Some(newline) = memchr(b'\n', rest) else {
                self.searched = self.end;
                break;
            };
            let line = self.start..self.searched + newline;
            self.start = line.end + 1;
            self.searched = self.start;
            if let Some(line) = self.trimmed(line) {
                self.lent = true;
                return Some(line);
            }
        }
        if self.end - self.start > self.max_len {
            let part = self.start..self.end;
            self.start = self.end;
            return Some(self.whole_characters(part));
        }
        None
    }

    /// Returns whether a line has begun that has not ended.
    fn is_partial(&self) -> bool {
        if self.long.is_some() {
            return true;
        }
        let rest = self.buffer.get(self.start..self.end).unwrap_or_default();
        rest.iter().any(|byte| !byte.is_ascii_whitespace())
    }

    /// Returns the last line once the stream has ended.
    fn rest(&mut self) -> Result<Range<usize>, Error> {
        let rest = self.start..self.end;
        self.start = self.end;
        self.searched = self.end;
        match self.trimmed(rest) {
            None => Err(closed()),
            // A message is an array, so it ends with a bracket.
            Some(line) if self.text(line.clone()).ends_with(b"]") => Ok(line),
            Some(_) => Err(cut_off()),
        }
    }

    /// Returns the line without surrounding white space, or `None` if nothing remains.
    fn trimmed(&self, line: Range<usize>) -> Option<Range<usize>> {
        let text = self.text(line.clone());
        let start = line.start + (text.len() - text.trim_ascii_start().len());
        let len = text.trim_ascii().len();
        (len > 0).then_some(start..start + len)
    }

    /// Returns the part without an incomplete character at its end.
    fn whole_characters(&self, part: Range<usize>) -> Range<usize> {
        match std::str::from_utf8(self.text(part.clone())) {
            Err(error) if error.error_len().is_none() => {
                part.start..part.start + error.valid_up_to()
            }
            _ => part,
        }
    }

    /// Returns whether it is the other direction's turn: once for each full read with a line in it,
    /// or after a while in a long line.
    fn take_turn(&mut self) -> bool {
        let turn = self.full && self.lent || self.in_turn >= TURN;
        if turn {
            self.in_turn = 0;
        }
        self.full = false;
        self.lent = false;
        turn
    }

    /// Returns the space to read into.
    fn space(&mut self) -> &mut [u8] {
        let partial = self.end - self.start;
        if partial == 0 && self.buffer.len() != READ_SIZE {
            // This is the first read, or the first one after a long line.
            let long = std::mem::replace(&mut self.buffer, vec![0; READ_SIZE]);
            self.spare.give(long);
        } else if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
        }
        self.searched -= self.start;
        self.start = 0;
        self.end = partial;
        if self.end == self.buffer.len() {
            self.grow();
        }
        self.buffer
            .get_mut(self.end..)
            .or_bug("the free part is behind what was read")
    }

    /// Doubles the buffer, or takes a larger one from the pool if there is one.
    fn grow(&mut self) {
        let len = self.buffer.len();
        let spare = [8, 4, 2]
            .into_iter()
            .find_map(|times| self.spare.find(times * len));
        match spare {
            Some(mut spare) => {
                spare.extend_from_slice(&self.buffer);
                spare.resize(spare.capacity(), 0);
                self.spare.give(std::mem::replace(&mut self.buffer, spare));
            }
            None => {
                let more = len.min(self.max_len.saturating_add(1)).max(READ_SIZE);
                self.buffer.resize(len + more, 0);
            }
        }
    }

    /// Frees memory while the stream is idle. There can be a great many idle connections.
    fn rest_until_read(&mut self) {
        if self.start == self.end {
            self.spare.give(std::mem::take(&mut self.buffer));
            *self = Self {
                full: self.full,
                lent: self.lent,
                long: self.long.take(),
                spare: self.spare,
                ..Self::new(self.max_len)
            };
        }
    }

    fn capacity(&self) -> usize {
        let long = self.long.as_ref();
        self.buffer.capacity() + long.map_or(0, |long| long.bytes.capacity())
    }

    fn filled(&mut self, len: usize) {
        self.end = (self.end + len).min(self.buffer.len());
        self.full = self.end == self.buffer.len();
        self.fresh = true;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns the lines of `text` when it arrives in pieces of these sizes, and how the stream
    /// ended.
    fn read(text: &[u8], pieces: &[usize], max_len: usize) -> (Vec<Vec<u8>>, String) {
        let mut lines = Lines::new(max_len);
        let mut found = Vec::new();
        let mut rest = text;
        let mut sizes = pieces.iter().copied().cycle();
        loop {
            while let Some(line) = lines.next() {
                found.push(lines.text(line).to_vec());
            }
            lines.take_turn();
            let space = lines.space();
            let len = sizes.next().unwrap_or(1).min(space.len()).min(rest.len());
            if len == 0 {
                break;
            }
            space[..len].copy_from_slice(&rest[..len]);
            rest = &rest[len..];
            lines.filled(len);
        }
        let end = loop {
            match lines.rest() {
                Ok(line) => found.push(lines.text(line).to_vec()),
                Err(error) => break error.message().to_owned(),
            }
        };
        (found, end)
    }

    fn texts(text: &str, piece: usize) -> (Vec<String>, String) {
        let (lines, end) = read(text.as_bytes(), &[piece], 1000);
        let lines = lines
            .into_iter()
            .map(|line| String::from_utf8(line).unwrap());
        (lines.collect(), end)
    }

    #[test]
    fn lines_are_read_leniently() {
        for piece in [1, 2, 3, 100] {
            let (lines, end) = texts("\r\n[1]\n [2] \r\n\n\n\t\n[3]\n[4]", piece);
            assert_eq!(lines, ["[1]", "[2]", "[3]", "[4]"], "{piece}");
            assert_eq!(end, "the peer closed the connection");
        }
    }

    #[test]
    fn half_a_message_is_none() {
        for piece in [1, 100] {
            let (lines, end) = texts("[1]\n[\"pul", piece);
            assert_eq!(lines, ["[1]"]);
            assert_eq!(end, "the connection was lost in the middle of a message");
        }
    }

    #[test]
    fn a_long_line_is_lent_in_part() {
        let text = "é".repeat(40_000);
        for pieces in [[1], [7], [16_384]] {
            let (lines, _) = read(text.as_bytes(), &pieces, 20_001);
            let first = std::str::from_utf8(&lines[0]).unwrap();
            assert!(first.len() > 20_000, "{}", first.len());
            assert!(first.chars().all(|c| c == 'é'));
        }
    }

    #[test]
    fn the_buffer_does_not_stay_large() {
        let mut lines = Lines::new(1 << 20);
        let long = "x".repeat(100_000);
        let mut rest = long.as_bytes();
        while !rest.is_empty() {
            let space = lines.space();
            let len = space.len().min(rest.len());
            space[..len].copy_from_slice(&rest[..len]);
            rest = &rest[len..];
            lines.filled(len);
            assert_eq!(lines.next(), None);
        }
        lines.space()[0] = b'\n';
        lines.filled(1);
        assert_eq!(lines.next().map(|line| line.len()), Some(100_000));
        assert_eq!(lines.space().len(), READ_SIZE);
        // The next long line takes it.
        lines.filled(READ_SIZE);
        lines.spare = Box::leak(Box::default());
        assert_eq!((lines.next(), lines.space().len()), (None, READ_SIZE));
        lines.spare.give(Vec::with_capacity(100_000));
        lines.filled(READ_SIZE);
        assert_eq!(lines.next(), None);
        assert!(lines.space().len() >= 100_000 - 2 * READ_SIZE);
    }

    #[test]
    fn what_has_been_searched_is_not_searched_again() {
        let mut lines = Lines::new(1 << 20);
        let mut whole = WholeLines::default();
        for _ in 0..10 {
            let space = lines.space();
            space[0] = b'x';
            lines.filled(1);
            assert!(!lines.take_whole(&mut whole));
            assert_eq!(lines.searched, lines.end);
            assert_eq!(lines.next(), None);
            // Searching this byte again would find a newline.
            lines.buffer[0] = b'\n';
        }
        lines.buffer[0] = b'x';
        lines.space()[..4].copy_from_slice(b"y\nab");
        lines.filled(4);
        assert!(lines.take_whole(&mut whole));
        let line = whole.next().unwrap();
        assert_eq!(whole.text(line), "xxxxxxxxxxy");
        assert_eq!(lines.text(lines.start..lines.end), b"ab");
        assert_eq!(lines.searched, lines.end);
    }

    proptest! {
        #[test]
        fn the_pieces_do_not_matter(
            text in proptest::collection::vec(prop_oneof![Just("\n"), Just("\r\n"), Just("[1]"), Just("x]"), Just(" ")], 0..60),
            pieces in proptest::collection::vec(1_usize..9, 1..5),
        ) {
            let text = text.concat();
            let expected: Vec<_> = text
                .split('\n')
                .map(|line| line.trim_ascii().as_bytes().to_vec())
                .filter(|line| !line.is_empty())
                .collect();
            prop_assert_eq!(read(text.as_bytes(), &pieces, 1000).0, expected);
        }
    }
}
