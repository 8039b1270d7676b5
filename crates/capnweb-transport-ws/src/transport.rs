//! The transport of both client and server.

use std::{
    fmt, io,
    pin::Pin,
    str,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use capnweb_core::{
    Attachment, ByteBudget, Encoding, Error, Limits, MessageBody, Outgoing, Progress, Received,
    Transport,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{
    close,
    frame::{Batch, Fault, Incoming, Kind, Reader, Role, Writer},
    lines::Lines,
};
use capnweb_core::invariant::Invariant;

/// A WebSocket as the [`Transport`] of a session.
///
/// `S` is the byte stream beneath it, after the WebSocket handshake. Use [`client`](Self::client)
/// or [`server`](Self::server), depending on the side. Any HTTP server can pass its upgraded
/// connection like this:
///
/// ```
/// use capnweb::{Session, SessionOptions, Stub};
/// use capnweb::ws::WebSocketTransport;
///
/// # async fn serve(upgraded: tokio::io::DuplexStream, main: Stub) {
/// let options = SessionOptions::default();
/// let transport = WebSocketTransport::server(upgraded, options.limits());
/// let (_session, mut connection) = Session::server(options);
/// connection.set_main(main);
/// let why_it_ended = connection.drive(transport).await;
/// # }
/// ```
pub struct WebSocketTransport<S> {
    io: S,
    role: Role,
    reader: Reader,
    writer: Writer,
    /// Short messages that have been read together. They precede the lines of `current`.
    batch: Batch,
    /// The reader's current message.
    current: Current,
    /// The position of the next line in `current`.
    lines: Lines,
    peer: Peer,
    close_state: CloseState,
    encoding: Encoding,
    limits: Limits,
}

/// The length from which a message in another encoding takes long to decode.
const LONG_PACKED: usize = 128 * 1024;

/// The source of the messages that are lent.
enum Current {
    /// The reader's payload, unchanged.
    Received,
    /// A message in another encoding, decoded into its text and long byte strings.
    Decoded(String, Vec<Attachment>),
}

/// The state of the peer.
enum Peer {
    Open,
    /// The peer reads nothing any more: a write has failed.
    WriteClosed,
    /// The peer has violated the WebSocket protocol. The code is for our close frame.
    ProtocolError(u16),
    /// The peer has closed, and waits for this close frame, if there is one.
    Closed(Option<Vec<u8>>),
}

/// The progress of the closing handshake.
#[derive(Clone, Copy, PartialEq, Eq)]
enum CloseState {
    /// Our close frame has not been queued.
    Unsent,
    /// Our close frame has been queued, and must be flushed.
    Queued,
    /// Our close frame has been sent, and the peer's is awaited.
    Sent,
    /// Both close frames have been sent, or the peer's cannot be recognized. The end of the stream
    /// is awaited.
    Draining,
}

impl<S> WebSocketTransport<S> {
    /// Creates the client's side of a WebSocket on `io`.
    ///
    /// `limits` bounds the length of the peer's messages.
    pub fn client(io: S, limits: &Limits) -> Self {
        Self::client_after(io, Bytes::new(), limits)
    }

    /// Creates the client's side like [`client`](Self::client), after a handshake that has read
    /// beyond its own end.
    pub fn client_after(io: S, already_read: impl Into<Vec<u8>>, limits: &Limits) -> Self {
        Self::new(io, Role::Client, already_read.into(), limits)
    }

    /// Creates the server's side of a WebSocket on `io`.
    ///
    /// `limits` bounds the length of the peer's messages.
    pub fn server(io: S, limits: &Limits) -> Self {
        Self::server_after(io, Bytes::new(), limits)
    }

    /// Creates the server's side like [`server`](Self::server), after a handshake that has read
    /// beyond its own end.
    pub fn server_after(io: S, already_read: impl Into<Vec<u8>>, limits: &Limits) -> Self {
        Self::new(io, Role::Server, already_read.into(), limits)
    }

    /// Sets the encoding of messages: text, the default, or binary frames in another encoding. Text
    /// is always accepted.
    #[must_use]
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        self.encoding = encoding;
        self
    }

    /// Bounds the bytes of unfinished messages, together with other transports on the same budget.
    /// A message that exceeds the budget ends the session with code 1013.
    #[must_use]
    pub fn budget(mut self, unfinished: &ByteBudget) -> Self {
        self.reader.set_budget(unfinished);
        self
    }

    /// Returns the byte stream.
    pub fn get_ref(&self) -> &S {
        &self.io
    }

    /// Returns the byte stream. Bytes that were read and not lent are lost, as are bytes that were
    /// not written.
    pub fn into_inner(self) -> S {
        self.io
    }

    fn new(io: S, role: Role, already_read: Vec<u8>, limits: &Limits) -> Self {
        Self {
            io,
            role,
            reader: Reader::new(role, limits.max_message_bytes(), already_read),
            writer: Writer::new(role),
            batch: Batch::default(),
            current: Current::Received,
            lines: Lines::default(),
            peer: Peer::Open,
            close_state: CloseState::Unsent,
            encoding: Encoding::default(),
            limits: limits.clone(),
        }
    }

    /// Returns the encoding of the peer's messages of this kind.
    fn encoding_of(&self, kind: Kind) -> Encoding {
        match kind {
            Kind::Text => Encoding::Json,
            Kind::Binary => self.encoding,
        }
    }

    /// Loads the reader's message to lend it line by line, or returns it if it takes long to
    /// decode.
    fn load_message(&mut self, kind: Kind) -> Result<(), Received<'static>> {
        let encoding = self.encoding_of(kind);
        if encoding == Encoding::Json {
            let payload = self.reader.payload();
            self.current = Current::Received;
            // A message of one line is validated when it is lent.
            self.lines = Lines::of(payload);
            if self.lines.are_several() && str::from_utf8(payload).is_err() {
                return Err(self.fault(Fault::NotUtf8));
            }
            return Ok(());
        }
        let (mut text, mut attachments) = (String::new(), Vec::new());
        let is_long = self.reader.payload().len() >= LONG_PACKED;
        let payload = self.reader.take_payload();
        if is_long {
            let copy = || Bytes::copy_from_slice(self.reader.payload());
            let payload = payload.unwrap_or_else(copy);
            return Err(Received::Encoded(encoding, vec![payload]));
        }
        let limits = &self.limits;
        let decoded = match payload {
            Some(payload) => encoding.decode_owned(&payload, limits, &mut text, &mut attachments),
            None => {
                let payload = self.reader.payload();
                encoding.decode_attached(payload, limits, &mut text, &mut attachments)
            }
        };
        if let Err(error) = decoded {
            let limit = error.is_limit();
            let code = if limit {
                close::TOO_LONG
            } else {
                close::INVALID
            };
            self.peer = Peer::ProtocolError(code);
            return Err(Received::Closed(error));
        }
        self.lines = Lines::of(text.as_bytes());
        self.current = Current::Decoded(text, attachments);
        Ok(())
    }

    /// Records a violation by the peer. Nothing that it sends can be read afterwards.
    fn fault(&mut self, fault: Fault) -> Received<'static> {
        self.peer = Peer::ProtocolError(close::code(fault));
        Received::Closed(close::fault(fault))
    }

    /// Records the peer's close frame.
    fn closed(&mut self) -> Received<'static> {
        let payload = self.reader.payload();
        match close::read(payload) {
            Ok(reason) => {
                self.peer = Peer::Closed(Some(payload.to_vec()));
                Received::Closed(reason)
            }
            Err(fault) => self.fault(fault),
        }
    }

    /// Records the end of the connection.
    fn lost(&mut self, cause: &str) -> Received<'static> {
        self.peer = Peer::Closed(None);
        Received::Closed(close::lost(cause))
    }

    /// Passes the next message to the writer. Returns false if there is none.
    fn write(&mut self, out: &mut Outgoing) -> Result<bool, Error> {
        if self.encoding == Encoding::Json
            && let Some(message) = out.pop_long()
        {
            self.writer.body(Kind::Text, MessageBody::of_text(message));
            return Ok(true);
        }
        let Some(message) = out.peek() else {
            return Ok(false);
        };
        let kind = match self.encoding {
            Encoding::Json => Kind::Text,
            _ => Kind::Binary,
        };
        let attachments = out.attachments();
        if !attachments.is_empty() {
            let body = self.encoding.encode_body(message, attachments)?;
            self.writer.body(kind, body);
        } else if kind == Kind::Text {
            self.writer.message(kind, message);
        } else {
            let mut packed = Vec::with_capacity(message.len());
            self.encoding.encode(message, &mut packed)?;
            self.writer.message(kind, &packed);
        }
        out.advance();
        Ok(true)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocketTransport<S> {
    /// Reads frames until there is a message, in the batch or in the lines.
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Received<'static>>> {
        if let Current::Decoded(..) = self.current {
            self.current = Current::Received;
        }
        loop {
            if self.reader.take_batch(&mut self.batch) {
                return Poll::Ready(Ok(()));
            }
            match self.reader.next() {
                Ok(Some(Incoming::Message(kind))) => return Poll::Ready(self.load_message(kind)),
                Ok(Some(Incoming::Long(kind))) => {
                    let encoding = self.encoding_of(kind);
                    let parts = self.reader.take_long();
                    return Poll::Ready(Err(Received::Encoded(encoding, parts)));
                }
                Ok(Some(Incoming::Ping)) => self.writer.answer(self.reader.payload()),
                Ok(Some(Incoming::Pong)) => {}
                Ok(Some(Incoming::Close)) => return Poll::Ready(Err(self.closed())),
                Ok(None) => ready!(self.poll_read(cx))?,
                Err(fault) => return Poll::Ready(Err(self.fault(fault))),
            }
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Received<'static>>> {
        if self.writer.is_urgent() {
            // If this fails, earlier messages still count.
            let _ = self.writer.poll_flush(&mut self.io, cx);
        }
        if self.reader.take_turn() && !matches!(self.peer, Peer::WriteClosed) {
            // There may be more to read, but answer the messages that were read first.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let read = self.reader.poll_read(&mut self.io, cx);
        if read.is_pending() {
            self.batch.give_back();
        }
        Poll::Ready(match ready!(read) {
            Ok(0) => Err(self.lost("the connection ended without a closing handshake")),
            Ok(_) => Ok(()),
            Err(error) => Err(self.lost(&error.to_string())),
        })
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, out: &mut Outgoing) -> Poll<Result<(), Error>> {
        let lost = |error: io::Error| close::lost(&error.to_string());
        loop {
            if self.writer.has_room() {
                self.writer.reserve(out.len(), out.bytes());
                while self.writer.has_room() && self.write(out)? {}
            }
            ready!(self.writer.poll_write(&mut self.io, cx)).map_err(lost)?;
            if out.is_empty() {
                return self.writer.poll_flush(&mut self.io, cx).map_err(lost);
            }
        }
    }

    /// Performs the closing handshake. An error means that the peer is gone.
    fn poll_close_handshake(
        &mut self,
        cx: &mut Context<'_>,
        reason: Option<&Error>,
    ) -> Poll<io::Result<()>> {
        if self.close_state == CloseState::Unsent {
            ready!(self.writer.poll_write(&mut self.io, cx))?;
            match &self.peer {
                Peer::Open | Peer::WriteClosed => self.writer.close(&close::frame(reason, None)),
                Peer::ProtocolError(code) => self.writer.close(&close::frame(reason, Some(*code))),
                Peer::Closed(Some(answer)) => self.writer.close(answer),
                Peer::Closed(None) => {}
            }
            self.close_state = CloseState::Queued;
        }
        if self.close_state == CloseState::Queued {
            ready!(self.writer.poll_flush(&mut self.io, cx))?;
            match self.peer {
                Peer::Closed(_) => return Poll::Ready(Ok(())),
                Peer::Open | Peer::WriteClosed => self.close_state = CloseState::Sent,
                // The peer's frames, including its close frame, cannot be recognized any more.
                Peer::ProtocolError(_) => {
                    ready!(Pin::new(&mut self.io).poll_shutdown(cx))?;
                    self.close_state = CloseState::Draining;
                }
            }
        }
        // Dropping a socket with unread data resets the connection, and the reset can overtake the
        // close frame. So read on until the peer has answered it.
        while self.close_state == CloseState::Sent {
            match self.reader.next() {
                Ok(None) if ready!(self.reader.poll_read(&mut self.io, cx))? == 0 => {
                    return Poll::Ready(Ok(()));
                }
                // The server is responsible for ending the connection.
                Ok(Some(Incoming::Close)) if self.role == Role::Server => {
                    return Poll::Ready(Ok(()));
                }
                Ok(Some(Incoming::Close)) | Err(_) => self.close_state = CloseState::Draining,
                Ok(_) => {}
            }
        }
        let mut scratch = [0; 4096];
        loop {
            let mut into = ReadBuf::new(&mut scratch);
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut into))?;
            if into.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Transport for WebSocketTransport<S> {
    fn poll_receive<'a>(&'a mut self, cx: &mut Context<'_>) -> Poll<Received<'a>> {
        let line = loop {
            if self.batch.advance() {
                return Poll::Ready(Received::Message(self.batch.message()));
            }
            let text = match &self.current {
                Current::Received => self.reader.payload(),
                Current::Decoded(text, _) => text.as_bytes(),
            };
            if let Some(line) = self.lines.next(text) {
                break line;
            }
            if let Err(over) = ready!(self.poll_message(cx)) {
                return Poll::Ready(over);
            }
        };
        let text = match &self.current {
            Current::Received => self.reader.payload(),
            // There is only one line, since decoded text contains no newlines.
            Current::Decoded(text, attachments) => {
                return Poll::Ready(Received::Attached(text, attachments));
            }
        };
        Poll::Ready(
            match str::from_utf8(text.get(line).or_bug("a line is within the text")) {
                Ok(message) => Received::Message(message),
                Err(_) => {
                    self.peer = Peer::ProtocolError(close::INVALID);
                    Received::Closed(close::fault(Fault::NotUtf8))
                }
            },
        )
    }

    fn takes_attachments(&self) -> bool {
        // In JSON they are sent as base64.
        true
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, out: &mut Outgoing) -> Poll<Result<(), Error>> {
        let sent = self.poll_write(cx, out);
        if let (Poll::Ready(Err(_)), Peer::Open) = (&sent, &self.peer) {
            self.peer = Peer::WriteClosed;
        }
        sent
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, reason: Option<&Error>) -> Poll<()> {
        self.poll_close_handshake(cx, reason).map(|_| ())
    }

    fn progress(&self) -> Progress {
        let mut progress = Progress::default();
        progress.received = self.reader.received();
        progress.beside_messages = self.reader.of_control_frames();
        progress.sent = self.writer.sent();
        progress
    }

    fn is_in_message(&self) -> bool {
        self.reader.is_in_message()
    }

    fn ping(&mut self) -> bool {
        self.writer.ping();
        true
    }

    fn has_close_codes(&self) -> bool {
        true
    }
}

impl<S> fmt::Debug for WebSocketTransport<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketTransport")
            .field("role", &self.role)
            .field("encoding", &self.encoding)
            .finish_non_exhaustive()
    }
}
