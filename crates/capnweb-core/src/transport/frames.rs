//! Messages as length-prefixed frames of a byte stream.

use std::{
    fmt,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{
    Attachment,
    graph::error::Error,
    limits::{LimitExceeded, Limits},
    outgoing::Outgoing,
    transport::{
        Encoding, Progress, Received, Transport,
        byte_io::{ByteIo, READ_SIZE, abort, closed, cut_off},
    },
    util::{
        byte_budget::{ByteBudget, ByteCharge},
        invariant::Invariant,
    },
};

/// A transport over any byte stream, for encodings that are not text. A frame is the length of its
/// message, as four bytes in big-endian order, followed by the message.
///
/// For JSON, use [`LinesTransport`](crate::LinesTransport), which more peers support. Both
/// transports end in the same way.
///
/// ```
/// use capnweb::{Encoding, Limits, Object, Session, SessionOptions, transport::FramesTransport};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> capnweb::Result<()> {
/// let (left, right) = tokio::io::duplex(4096);
/// # let encoding = Encoding::Json;
/// # #[cfg(feature = "message-pack")]
/// let encoding = Encoding::MessagePack;
/// let (_, mut server) = Session::server(SessionOptions::new());
/// server.set_main(Object::new().method("add", async |a: f64, b: f64| Ok(a + b)).into_stub());
/// tokio::spawn(server.drive(FramesTransport::new(left, encoding, &Limits::default())));
///
/// let (session, client) = Session::client(SessionOptions::new());
/// tokio::spawn(client.drive(FramesTransport::new(right, encoding, &Limits::default())));
/// assert_eq!(session.main().call("add", (1, 2)).fetch::<f64>().await?, 3.0);
/// # Ok(()) }
/// ```
pub struct FramesTransport<S> {
    io: ByteIo<S>,
    encoding: Encoding,
    limits: Limits,
    frames: Frames,
    /// The text of the message that is lent to the session.
    current: String,
    /// The attachments of that message.
    attachments: Vec<Attachment>,
    /// True if the last read filled its buffer.
    full: bool,
    /// True if a message was lent since the last turn of the other direction.
    lent: bool,
    /// The share of a server's budget that the buffer takes.
    charge: ByteCharge,
}

/// Bytes that have been read and not been lent yet.
#[derive(Default)]
struct Frames {
    /// The buffer. Bytes beyond `end` are zero.
    buffer: Vec<u8>,
    /// The start of the next frame.
    start: usize,
    /// The end of the bytes that have been read.
    end: usize,
}

/// A complete frame.
enum Frame<'a> {
    /// A part of the buffer, which may hold other frames as well.
    InBuffer(&'a [u8]),
    /// A large frame in a buffer of its own, which can be kept.
    Own(Bytes),
}

/// The length from which a frame is read into a buffer of its own.
const LARGE: usize = 64 * 1024;

impl Frames {
    fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Returns the bytes of the next frame so far, and anything behind them.
    fn partial(&self) -> &[u8] {
        self.buffer
            .get(self.start..self.end)
            .or_bug("what was read is within the buffer")
    }

    /// Returns the length of the next frame's message, once it is known.
    fn len(&self) -> Option<usize> {
        let head = self.partial().first_chunk::<HEAD>()?;
        Some(usize::try_from(u32::from_be_bytes(*head)).unwrap_or(usize::MAX))
    }

    /// Returns the next frame, if it is complete.
    fn next(&mut self, limit: usize) -> Result<Option<Frame<'_>>, Error> {
        let Some(len) = self.len() else {
            return Ok(None);
        };
        if len > limit {
            return Err(LimitExceeded::message_bytes(limit).into());
        }
        let start = self.start + HEAD;
        let end = start.saturating_add(len);
        if end > self.end {
            return Ok(None);
        }
        if len >= LARGE && end == self.end {
            let frame = Bytes::from(std::mem::take(self).buffer);
            return Ok(Some(Frame::Own(frame.slice(start..end))));
        }
        self.start = end;
        let frame = self
            .buffer
            .get(start..end)
            .or_bug("a whole frame is within the buffer");
        Ok(Some(Frame::InBuffer(frame)))
    }

    /// Returns the space to read into. For a large frame, the space ends where the frame does. The
    /// peer's claim about the length is not trusted before half of the frame has arrived.
    fn space(&mut self) -> &mut [u8] {
        let partial = self.end - self.start;
        let wanted = self.len().unwrap_or_default().saturating_add(HEAD);
        let wanted = wanted.max(READ_SIZE);
        if partial == 0 && self.buffer.len() > KEEP {
            self.buffer = Vec::new();
        } else if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
        }
        (self.start, self.end) = (0, partial);
        // Use up existing space for a large frame first, so that it is not moved on each read.
        if self.buffer.len() < wanted.min(LARGE) || self.buffer.len() == partial {
            let len = wanted.min(LARGE.max(2 * partial));
            self.buffer
                .reserve_exact(len.saturating_sub(self.buffer.len()));
            self.buffer.resize(len, 0);
        }
        let end = wanted.min(self.buffer.len());
        self.buffer
            .get_mut(partial..end)
            .or_bug("a frame that is being read is within the buffer")
    }

    fn filled(&mut self, len: usize) {
        self.end = (self.end + len).min(self.buffer.len());
    }

    /// Frees memory while the stream is idle.
    fn rest_until_read(&mut self) {
        if self.is_empty() {
            *self = Self::default();
        }
    }
}

/// The number of bytes of a frame's length.
const HEAD: usize = 4;

/// The capacity above which a buffer is not kept for the next message.
const KEEP: usize = 4 * READ_SIZE;

/// The number of bytes that are collected for one write.
const WRITE_SIZE: usize = 16 * 1024;

impl<S> FramesTransport<S> {
    /// Creates a transport over `io`. `limits` bounds the length of the peer's messages.
    pub fn new(io: S, encoding: Encoding, limits: &Limits) -> Self {
        Self {
            io: ByteIo::new(io),
            encoding,
            limits: limits.clone(),
            frames: Frames::default(),
            current: String::new(),
            attachments: Vec::new(),
            full: false,
            lent: false,
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

    /// Takes the next message, if it is complete.
    fn next(&mut self) -> Result<bool, Error> {
        let Some(frame) = self.frames.next(self.limits.max_message_bytes())? else {
            return Ok(false);
        };
        self.current.clear();
        self.current.shrink_to(KEEP);
        self.attachments.clear();
        let (text, attachments) = (&mut self.current, &mut self.attachments);
        match frame {
            Frame::InBuffer(frame) => {
                (self.encoding).decode_attached(frame, &self.limits, text, attachments)?;
            }
            Frame::Own(frame) => {
                (self.encoding).decode_owned(&frame, &self.limits, text, attachments)?;
            }
        }
        Ok(true)
    }

    /// Returns whether it is the other direction's turn: once for each full read with a message in
    /// it.
    fn take_turn(&mut self) -> bool {
        let turn = self.full && self.lent;
        self.full = false;
        self.lent = false;
        turn
    }

    /// Frees memory while the stream is idle. There can be a great many idle connections.
    fn rest_until_read(&mut self) {
        self.frames.rest_until_read();
        self.current = String::new();
        self.attachments = Vec::new();
    }

    /// Ends the session for a violation by the peer, and reports it to the peer.
    fn fault(&mut self, reason: Error) -> Received<'_> {
        let mut last_words = Vec::new();
        // Encoding cannot fail: the message consists of strings only.
        if frame(&abort(&reason), &[], self.encoding, &mut last_words).is_ok() {
            self.io.write(last_words.into());
        }
        Received::Closed(reason)
    }
}

/// Appends a message as a frame.
fn frame(
    message: &[u8],
    attachments: &[Attachment],
    encoding: Encoding,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let start = out.len();
    out.extend_from_slice(&[0; HEAD]);
    encoding.encode_attached(message, attachments, out)?;
    let len = u32::try_from(out.len() - start - HEAD).map_err(|_| LimitExceeded::beyond_spans())?;
    if let Some(head) = out.get_mut(start..start + HEAD) {
        head.copy_from_slice(&len.to_be_bytes());
    }
    Ok(())
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Transport for FramesTransport<S> {
    fn poll_receive<'a>(&'a mut self, cx: &mut Context<'_>) -> Poll<Received<'a>> {
        loop {
            match self.next() {
                Ok(true) => {
                    self.lent = true;
                    return Poll::Ready(Received::Attached(&self.current, &self.attachments));
                }
                Ok(false) => {}
                Err(reason) => return Poll::Ready(self.fault(reason)),
            }
            if self.io.has_read_ended() {
                let whole = self.frames.is_empty();
                let reason = if whole { closed() } else { cut_off() };
                return Poll::Ready(Received::Closed(reason));
            }
            if self.take_turn() && !self.io.has_write_failed() {
                // There may be more to read, but answer what was read first.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let space = self.frames.space();
            let room = space.len();
            match self.io.poll_read(cx, space) {
                Poll::Ready(Ok(len)) => {
                    self.full = len == room;
                    self.frames.filled(len);
                    if !self.charge.set(self.frames.buffer.capacity()) {
                        return Poll::Ready(self.fault(LimitExceeded::unfinished().into()));
                    }
                }
                Poll::Ready(Err(reason)) => return Poll::Ready(Received::Closed(reason)),
                Poll::Pending => {
                    self.rest_until_read();
                    // Shrinking a charge always succeeds.
                    let _ = self.charge.set(self.frames.buffer.capacity());
                    return Poll::Pending;
                }
            }
        }
    }

    fn takes_attachments(&self) -> bool {
        self.encoding.has_bytes()
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        outgoing: &mut Outgoing,
    ) -> Poll<Result<(), Error>> {
        loop {
            ready!(self.io.poll_write(cx))?;
            let mut frames = Vec::new();
            while frames.len() < WRITE_SIZE
                && let Some(message) = outgoing.peek()
            {
                let attachments = outgoing.attachments();
                frame(message, attachments, self.encoding, &mut frames)?;
                outgoing.advance();
            }
            if frames.is_empty() {
                return self.io.poll_flush(cx);
            }
            self.io.write(frames.into());
        }
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, _: Option<&Error>) -> Poll<()> {
        self.io.poll_close(cx)
    }

    fn progress(&self) -> Progress {
        self.io.progress()
    }

    fn is_in_message(&self) -> bool {
        !self.frames.is_empty()
    }
}

impl<S> fmt::Debug for FramesTransport<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FramesTransport")
            .field("encoding", &self.encoding)
            .field("io", &self.io)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use tokio::io::AsyncReadExt;
    #[cfg(feature = "message-pack")]
    use tokio::io::AsyncWriteExt;

    use super::*;

    /// Returns the contents of frames that arrive in pieces of `piece` bytes, and the number of
    /// frames with a buffer of their own.
    fn read(bytes: &[u8], piece: usize) -> (Vec<Vec<u8>>, usize) {
        let mut frames = Frames::default();
        let (mut found, mut own) = (Vec::new(), 0);
        let mut rest = bytes;
        loop {
            while let Some(frame) = frames.next(1 << 20).unwrap() {
                found.push(match frame {
                    Frame::InBuffer(frame) => frame.to_vec(),
                    Frame::Own(frame) => {
                        own += 1;
                        frame.to_vec()
                    }
                });
            }
            if piece == 3 {
                frames.rest_until_read();
            }
            let held = frames.end - frames.start;
            let space = frames.space();
            // The space is at most twice what has arrived.
            assert!(space.len() <= LARGE.max(held));
            let len = piece.min(space.len()).min(rest.len());
            if len == 0 {
                assert!(frames.is_empty());
                return (found, own);
            }
            space[..len].copy_from_slice(&rest[..len]);
            rest = &rest[len..];
            frames.filled(len);
        }
    }

    #[test]
    fn frames_are_found_however_they_come() {
        let contents: Vec<Vec<u8>> = [0, 1, 5, LARGE - 1, LARGE, 0, KEEP + 1, 3 * LARGE + 1, 7]
            .iter()
            .zip(1..)
            .map(|(len, byte)| vec![byte; *len])
            .collect();
        let mut bytes = Vec::new();
        for content in &contents {
            let content = std::str::from_utf8(content).unwrap().as_bytes();
            frame(content, &[], Encoding::Json, &mut bytes).unwrap();
        }
        for piece in [1, 3, 1000, usize::MAX] {
            let (found, own) = read(&bytes, piece);
            assert!(found == contents, "{piece}");
            assert_eq!(own, 2, "{piece}");
        }
    }

    #[test]
    fn a_long_frame_in_small_pieces_is_moved_seldom() {
        let mut frames = Frames::default();
        let mut bytes = Vec::new();
        frame(&vec![b'x'; 1 << 20], &[], Encoding::Json, &mut bytes).unwrap();
        let (mut capacity, mut moves) = (0, 0);
        for piece in bytes.chunks(1000) {
            assert!(frames.next(1 << 20).unwrap().is_none());
            let mut rest = piece;
            while !rest.is_empty() {
                let space = frames.space();
                let len = space.len().min(rest.len());
                space[..len].copy_from_slice(&rest[..len]);
                rest = &rest[len..];
                frames.filled(len);
                moves += usize::from(frames.buffer.capacity() != capacity);
                capacity = frames.buffer.capacity();
            }
        }
        assert!(matches!(frames.next(1 << 20), Ok(Some(Frame::Own(_)))));
        assert!(moves <= 8, "{moves}");
    }

    fn transport<S>(io: S, encoding: Encoding) -> FramesTransport<S> {
        FramesTransport::new(io, encoding, &Limits::default())
    }

    /// Returns the next message: the length of its text, and its attachments.
    fn receive<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
        transport: &mut FramesTransport<S>,
    ) -> Poll<(usize, Vec<Bytes>)> {
        let mut cx = Context::from_waker(Waker::noop());
        transport
            .poll_receive(&mut cx)
            .map(|received| match received {
                Received::Attached(text, attachments) => {
                    let bytes = attachments
                        .iter()
                        .map(|attachment| attachment.bytes.clone());
                    (text.len(), bytes.collect())
                }
                other => panic!("{other:?}"),
            })
    }

    #[test]
    fn the_other_direction_has_no_turn_for_what_came_before() {
        let mut bytes = Vec::new();
        frame(b"[1]", &[], Encoding::Json, &mut bytes).unwrap();
        let short = bytes.len();
        frame(&[b'x'; 20_000], &[], Encoding::Json, &mut bytes).unwrap();
        let bytes: &'static [u8] = bytes.leak();
        let (first, second) = bytes.split_at(short);
        let io = tokio::io::join(first.chain(second), tokio::io::sink());
        let mut transport = transport(io, Encoding::Json);
        assert_eq!(receive(&mut transport), Poll::Ready((3, Vec::new())));
        // Its first read is full but contains nothing that could be answered.
        assert_eq!(receive(&mut transport), Poll::Ready((20_000, Vec::new())));
    }

    #[cfg(feature = "message-pack")]
    mod packed {
        use crate::Container;

        use super::*;

        /// Encodes a message with byte strings of these lengths, and a string of `filler` bytes.
        fn message(lengths: &[usize], filler: usize) -> Vec<u8> {
            let mut text = br#"["push","#.to_vec();
            let attachments: Vec<_> = (lengths.iter())
                .map(|len| {
                    let bytes = Bytes::from(vec![7; *len]);
                    let attachment = Attachment::write(&mut text, bytes, Container::Uint8Array);
                    text.push(b',');
                    attachment.unwrap()
                })
                .collect();
            text.push(b'"');
            text.resize(text.len() + filler, b'x');
            text.extend_from_slice(b"\"]");
            let mut packed = Vec::new();
            frame(&text, &attachments, Encoding::MessagePack, &mut packed).unwrap();
            packed
        }

        /// Returns the memory that each byte string of such a message holds.
        fn held(lengths: &[usize], filler: usize) -> Vec<usize> {
            let bytes: &'static [u8] = message(lengths, filler).leak();
            let io = tokio::io::join(bytes, tokio::io::sink());
            let mut transport = transport(io, Encoding::MessagePack);
            let Poll::Ready((_, found)) = receive(&mut transport) else {
                panic!("it is all there");
            };
            drop(transport);
            assert!(found.iter().map(Bytes::len).eq(lengths.iter().copied()));
            (found.into_iter())
                .map(|bytes| match bytes.try_into_mut() {
                    Ok(own) => own.capacity(),
                    Err(_) => usize::MAX,
                })
                .collect()
        }

        #[test]
        fn little_of_a_large_frame_does_not_keep_all_of_it() {
            assert_eq!(held(&[1024], 1 << 20), [1024]);
            assert_eq!(held(&[100_000, 100_000, 5000], 0), [100_000, 100_000, 5000]);
            // The byte string is most of the message, so it is not copied.
            let [held] = held(&[300_000], 100_000)[..] else {
                panic!("there is one");
            };
            assert!((400_000..410_000).contains(&held), "{held}");
        }

        #[tokio::test]
        async fn what_waits_holds_no_message() {
            let (mut ours, theirs) = tokio::io::duplex(1 << 20);
            let mut transport = transport(theirs, Encoding::MessagePack);
            ours.write_all(&message(&[2000, 3000], 5000)).await.unwrap();
            while receive(&mut transport).is_pending() {}
            assert!(transport.current.capacity() > 0 && transport.attachments.len() == 2);
            // The other direction has its turn first; then there is nothing to read.
            assert!(receive(&mut transport).is_pending());
            assert!(receive(&mut transport).is_pending());
            assert_eq!(transport.current.capacity(), 0);
            assert_eq!(transport.attachments.capacity(), 0);
        }
    }
}
