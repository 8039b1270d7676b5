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
        Progress, Received, Transport,
        byte_io::{ByteIo, READ_SIZE, abort, closed, cut_off},
        whole_lines::WholeLines,
    },
    util::{
        buffer_pool::BufferPool,
        byte_budget::{ByteBudget, ByteCharge},
        invariant::Invariant,
    },
};

/// Carries a session over any byte stream, a message a line: a TCP or Unix socket, the standard input
/// and output of a process, a stream of QUIC.
///
/// Two halves are joined with `tokio::io::join`. What is written is one line a message, each ended by
/// `\n`. Reading is lenient: lines may end with `\r\n`, blank ones are passed over, and the last one
/// needs no newline.
///
/// ```
/// use capnweb::{Limits, LinesTransport, Object, Session, SessionOptions};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> capnweb::Result<()> {
/// // Here: a pipe in memory.
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
/// When the session is over, the stream is shut down for writing, and read until the peer has done so
/// as well, or for five seconds. When the peer ends the stream, the session is over with the reason
/// "the peer closed the connection", or another that says how it was lost.
pub struct LinesTransport<S> {
    io: ByteIo<S>,
    /// Lines that have been read together, which come before …
    whole: WholeLines,
    /// … what else has been read.
    lines: Lines,
    /// The part that the buffer takes of a server's budget.
    charge: ByteCharge,
}

/// Where a line is.
enum Line {
    Whole(Range<usize>),
    Other(Range<usize>),
}

impl<S> LinesTransport<S> {
    /// A transport over `io`. Messages from the peer may be as long as `limits` says.
    pub fn new(io: S, limits: &Limits) -> Self {
        Self {
            io: ByteIo::new(io),
            whole: WholeLines::default(),
            lines: Lines::new(limits.max_message_bytes()),
            charge: ByteCharge::default(),
        }
    }

    /// Bounds the bytes of unfinished messages here and in other transports with the same budget.
    /// A message for which there is no room ends the session.
    #[must_use]
    pub fn budget(mut self, unfinished: &ByteBudget) -> Self {
        self.charge = unfinished.charge();
        self
    }

    /// The byte stream.
    pub fn get_ref(&self) -> &S {
        self.io.get_ref()
    }
}

/// Ends the session for a reason that the peer is told.
fn fault<S>(io: &mut ByteIo<S>, reason: Error) -> Received<'static> {
    let mut line = abort(&reason);
    line.push(b'\n');
    io.write(line.into());
    Received::Closed(reason)
}

impl<S: AsyncRead + Unpin> LinesTransport<S> {
    /// Reads until there is a line, and says where.
    fn poll_line(&mut self, cx: &mut Context<'_>) -> Poll<Result<Line, Error>> {
        loop {
            if let Some(line) = self.whole.next() {
                return Poll::Ready(Ok(Line::Whole(line)));
            }
            if self.lines.take_whole(&mut self.whole) {
                continue;
            }
            if let Some(line) = self.lines.next() {
                return Poll::Ready(Ok(Line::Other(line)));
            }
            if self.io.is_over() {
                return Poll::Ready(self.lines.rest().map(Line::Other));
            }
            if self.lines.take_turn() && !self.io.is_deaf() {
                // There may be more to read, but first what was read is to be answered.
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
                    // It may have become less, which always fits.
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
            Err(reason) if reason.is_limit() => return Poll::Ready(fault(&mut self.io, reason)),
            Err(reason) => return Poll::Ready(Received::Closed(reason)),
        };
        Poll::Ready(match std::str::from_utf8(self.lines.text(line)) {
            Ok(message) => Received::Message(message),
            Err(_) => {
                let reason = Error::protocol("a line is not valid UTF-8");
                fault(&mut self.io, reason)
            }
        })
    }

    fn takes_attachments(&self) -> bool {
        // As lines they are base64.
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

/// What has been read and not been lent yet.
struct Lines {
    /// Where large buffers come from and go to.
    spare: &'static BufferPool,
    /// Zeros beyond `end`.
    buffer: Vec<u8>,
    /// Where the next line starts, …
    start: usize,
    /// … up to where there is no newline, …
    searched: usize,
    /// … and where what has been read ends.
    end: usize,
    /// The longest line, in bytes.
    max_len: usize,
    /// The last read was as large as could be.
    full: bool,
    /// A line was lent since.
    lent: bool,
    /// Something was read that has not been looked at.
    fresh: bool,
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
        }
    }

    /// Hands over all whole lines that there are, once for each read. What is left is for [`next`](Self::next).
    fn take_whole(&mut self, whole: &mut WholeLines) -> bool {
        if !std::mem::take(&mut self.fresh) {
            return false;
        }
        // Of a long line, what came before is not looked at again.
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

    /// The next whole line that is not blank, and so much of one that is too long that the session
    /// will not have it either: it knows how to say so.
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
        let rest = self.buffer.get(self.start..self.end).unwrap_or_default();
        rest.iter().any(|byte| !byte.is_ascii_whitespace())
    }

    /// What is left when nothing more comes.
    fn rest(&mut self) -> Result<Range<usize>, Error> {
        let rest = self.start..self.end;
        self.start = self.end;
        self.searched = self.end;
        match self.trimmed(rest) {
            None => Err(closed()),
            // A message is an array.
            Some(line) if self.text(line.clone()).ends_with(b"]") => Ok(line),
            Some(_) => Err(cut_off()),
        }
    }

    /// The line without the white space around it; `None` if there is nothing else.
    fn trimmed(&self, line: Range<usize>) -> Option<Range<usize>> {
        let text = self.text(line.clone());
        let start = line.start + (text.len() - text.trim_ascii_start().len());
        let len = text.trim_ascii().len();
        (len > 0).then_some(start..start + len)
    }

    /// The part without a character at its end that is not whole.
    fn whole_characters(&self, part: Range<usize>) -> Range<usize> {
        match std::str::from_utf8(self.text(part.clone())) {
            Err(error) if error.error_len().is_none() => {
                part.start..part.start + error.valid_up_to()
            }
            _ => part,
        }
    }

    /// Whether it is the other direction's turn, which it is once for each full read.
    fn take_turn(&mut self) -> bool {
        let turn = self.full && self.lent;
        self.full = false;
        self.lent = false;
        turn
    }

    /// Where to read to.
    fn space(&mut self) -> &mut [u8] {
        let partial = self.end - self.start;
        if partial == 0 && self.buffer.len() != READ_SIZE {
            // The first time, or after a long line.
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

    /// Makes room for as much again as has come of the line, or more if there is a buffer of that size anyway.
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

    /// Gives memory back while nothing comes: there can be very many of those who wait.
    fn rest_until_read(&mut self) {
        if self.start == self.end {
            self.spare.give(std::mem::take(&mut self.buffer));
            *self = Self {
                full: self.full,
                lent: self.lent,
                spare: self.spare,
                ..Self::new(self.max_len)
            };
        }
    }

    fn capacity(&self) -> usize {
        self.buffer.capacity()
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

    /// The lines of `text` when it comes in pieces of these sizes, and how it ended.
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
        // The next one has it.
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
            // Whoever looked here again would find it.
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
