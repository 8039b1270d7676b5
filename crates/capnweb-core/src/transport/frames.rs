//! Messages in frames of a byte stream.

use std::{
    fmt,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    Encoding, Received, Transport,
    byte_io::{ByteIo, READ_SIZE, abort, closed, cut_off},
};
use crate::{
    error::Error,
    session::{Limits, Outgoing},
};

/// Carries a session over any byte stream in an encoding that is no text: each message has its length before it, four
/// bytes, the most significant first.
///
/// For JSON there is [`LinesTransport`](super::LinesTransport), which more peers know. The end is as described there.
///
/// ```
/// use capnweb_core::{Encoding, FramesTransport, Limits, Object, Session, SessionOptions};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> capnweb_core::Result<()> {
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
    /// What has been read and not been lent.
    received: BytesMut,
    space: Box<[u8]>,
    /// The message that is lent.
    current: String,
    /// The last read was as large as could be, and a message was lent since.
    full: bool,
    lent: bool,
}

/// How long the length is.
const HEAD: usize = 4;

/// A buffer larger than this is not kept for the next message.
const KEEP: usize = 4 * READ_SIZE;

/// So much is collected before it is written.
const WRITE_SIZE: usize = 16 * 1024;

impl<S> FramesTransport<S> {
    /// A transport over `io`. Messages from the peer may be as long as `limits` says.
    pub fn new(io: S, encoding: Encoding, limits: &Limits) -> Self {
        Self {
            io: ByteIo::new(io),
            encoding,
            limits: limits.clone(),
            received: BytesMut::new(),
            space: vec![0; READ_SIZE].into(),
            current: String::new(),
            full: false,
            lent: false,
        }
    }

    /// The byte stream.
    pub fn get_ref(&self) -> &S {
        self.io.get_ref()
    }

    /// Takes the next message, if all of it is there.
    fn next(&mut self) -> Result<bool, Error> {
        let Some(head) = self.received.first_chunk::<HEAD>() else {
            return Ok(false);
        };
        let len = usize::try_from(u32::from_be_bytes(*head)).unwrap_or(usize::MAX);
        let limit = self.limits.max_message_bytes();
        if len > limit {
            return Err(Error::limit(format!(
                "a message exceeds {limit} bytes (limit max_message_size)"
            )));
        }
        let Some(frame) = self.received.get(HEAD..HEAD + len) else {
            // There will be room for it at once.
            self.received.reserve((HEAD + len).min(8 * READ_SIZE));
            return Ok(false);
        };
        self.current.clear();
        self.current.shrink_to(KEEP);
        self.encoding
            .decode(frame, &self.limits, &mut self.current)?;
        self.received.advance(HEAD + len);
        if self.received.is_empty() && self.received.capacity() > KEEP {
            self.received = BytesMut::new();
        }
        Ok(true)
    }

    /// Ends the session for what the peer did wrong, and tells it.
    fn fault(&mut self, reason: Error) -> Received<'_> {
        let mut last_words = Vec::new();
        // It can be encoded, since all strings can.
        if frame(&abort(&reason), self.encoding, &mut last_words).is_ok() {
            self.io.write(last_words.into());
        }
        Received::Closed(reason)
    }
}

/// Appends a message in a frame.
fn frame(message: &[u8], encoding: Encoding, out: &mut Vec<u8>) -> Result<(), Error> {
    let start = out.len();
    out.extend_from_slice(&[0; HEAD]);
    encoding.encode(message, out)?;
    let len = u32::try_from(out.len() - start - HEAD)
        .map_err(|_| Error::limit("a message cannot be larger than 4 GiB"))?;
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
                    return Poll::Ready(Received::Message(&self.current));
                }
                Ok(false) => {}
                Err(reason) => return Poll::Ready(self.fault(reason)),
            }
            if self.io.is_over() {
                let whole = self.received.is_empty();
                let reason = if whole { closed() } else { cut_off() };
                return Poll::Ready(Received::Closed(reason));
            }
            if std::mem::take(&mut self.full) && std::mem::take(&mut self.lent) {
                // There may be more to read, but first what was read is to be answered.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            match ready!(self.io.poll_read(cx, &mut self.space)) {
                Ok(len) => {
                    self.full = len == self.space.len();
                    let read = self.space.get(..len).unwrap_or_default();
                    self.received.extend_from_slice(read);
                }
                Err(reason) => return Poll::Ready(Received::Closed(reason)),
            }
        }
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
                && let Some(message) = outgoing.pop()
            {
                frame(&message, self.encoding, &mut frames)?;
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
}

impl<S> fmt::Debug for FramesTransport<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FramesTransport")
            .field("encoding", &self.encoding)
            .field("io", &self.io)
            .finish_non_exhaustive()
    }
}
