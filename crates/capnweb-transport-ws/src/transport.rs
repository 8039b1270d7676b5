//! The transport that client and server share.

use std::{
    fmt,
    ops::Range,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use capnweb_core::{Encoding, Error, Limits, Outgoing, Received, Transport};
use futures_core::Stream;
use futures_sink::Sink;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message, Utf8Bytes,
        protocol::{
            Role, WebSocketConfig,
            frame::{
                Frame,
                coding::{CloseCode, Data, OpCode},
            },
        },
    },
};

use crate::close;

/// Allocated for each connection at once and kept.
const READ_BUFFER: usize = 16 * 1024;

/// How much is collected before it is written to the socket without waiting for the flush.
const WRITE_BUFFER: usize = 16 * 1024;

/// A WebSocket as the [`Transport`] of a session.
///
/// `S` is the byte stream under it, after the WebSocket handshake: [`client`](Self::client) and
/// [`server`](Self::server) say which side of it we are. An HTTP server of your own hands its upgraded
/// connection over like this:
///
/// ```
/// use capnweb_core::{Session, SessionOptions, Stub};
/// use capnweb_transport_ws::WebSocketTransport;
///
/// # async fn serve(upgraded: tokio::io::DuplexStream, main: Stub) {
/// let options = SessionOptions::default();
/// let transport = WebSocketTransport::server(upgraded, options.limits_ref()).await;
/// let (_session, mut connection) = Session::server(options);
/// connection.set_main(main);
/// let why_it_ended = connection.drive(transport).await;
/// # }
/// ```
pub struct WebSocketTransport<S> {
    socket: WebSocketStream<S>,
    /// The frame whose messages are being lent, …
    frame: Utf8Bytes,
    /// … and where in it the next one starts.
    next: usize,
    /// The peer has closed: it waits for no more from us.
    peer_closed: bool,
    /// What the peer did wrong as far as WebSocket is concerned.
    fault: Option<CloseCode>,
    farewell: Farewell,
    encoding: Encoding,
    limits: Limits,
}

/// How far closing has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Farewell {
    /// The close frame is still to be sent.
    Unsent,
    /// The socket has it and is to be flushed.
    Queued,
    /// It is under way, and nothing is written after it.
    Sent,
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocketTransport<S> {
    /// The client's side of a WebSocket on `io`.
    ///
    /// Messages from the peer may be as long as `limits` says.
    pub async fn client(io: S, limits: &Limits) -> Self {
        let config = config(limits);
        let socket = WebSocketStream::from_raw_socket(io, Role::Client, Some(config)).await;
        Self::over(socket, limits)
    }

    /// The server's side of a WebSocket on `io`.
    ///
    /// Messages from the peer may be as long as `limits` says.
    pub async fn server(io: S, limits: &Limits) -> Self {
        Self::server_after(io, Bytes::new(), limits).await
    }

    /// Like [`server`](Self::server), for a handshake that has read further than its own end.
    pub async fn server_after(io: S, already_read: Bytes, limits: &Limits) -> Self {
        let part = already_read.into();
        let config = config(limits);
        let socket =
            WebSocketStream::from_partially_read(io, part, Role::Server, Some(config)).await;
        Self::over(socket, limits)
    }
}

impl<S> WebSocketTransport<S> {
    /// Sets how messages are encoded: as text, which is the default, or as binary frames in another encoding. Text is
    /// read in any case.
    #[must_use]
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        self.encoding = encoding;
        self
    }

    /// The text in a binary frame.
    fn binary(&self, bytes: Bytes) -> Result<Utf8Bytes, (Error, CloseCode)> {
        if self.encoding == Encoding::Json {
            return Utf8Bytes::try_from(bytes).map_err(|_| (close::not_utf8(), CloseCode::Invalid));
        }
        let mut text = String::new();
        match self.encoding.decode(&bytes, &self.limits, &mut text) {
            Ok(()) => Ok(text.into()),
            Err(error) if error.is_limit() => Err((error, CloseCode::Size)),
            Err(error) => Err((error, CloseCode::Invalid)),
        }
    }

    /// The frame of a message.
    fn frame(&self, message: Bytes) -> Result<Frame, Error> {
        if self.encoding == Encoding::Json {
            // A raw frame, because it is known to be UTF-8: `Message::Text` would check it again.
            return Ok(Frame::message(message, OpCode::Data(Data::Text), true));
        }
        let mut packed = Vec::with_capacity(message.len());
        self.encoding.encode(&message, &mut packed)?;
        Ok(Frame::message(packed, OpCode::Data(Data::Binary), true))
    }

    /// Nothing more can be read. Unless there is a `fault` of the peer's, it has closed.
    fn closed(&mut self, reason: Error, fault: Option<CloseCode>) -> Poll<Received<'_>> {
        self.fault = fault;
        self.peer_closed = fault.is_none();
        Poll::Ready(Received::Closed(reason))
    }

    pub(crate) fn over(socket: WebSocketStream<S>, limits: &Limits) -> Self {
        Self {
            socket,
            frame: Utf8Bytes::default(),
            next: 0,
            peer_closed: false,
            fault: None,
            farewell: Farewell::Unsent,
            encoding: Encoding::default(),
            limits: limits.clone(),
        }
    }
}

/// The settings of a WebSocket under these limits.
pub(crate) fn config(limits: &Limits) -> WebSocketConfig {
    let incoming = limits.max_message_bytes();
    // Writing waits while the socket is full, so that the buffer holds one message at most beyond
    // its target: the bound is on the size of that one. It is not lower than what a peer with
    // default limits takes, for strict limits on what comes in are no reason to send less.
    let outgoing = incoming.max(Limits::default().max_message_bytes());
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_write_buffer_size(outgoing.saturating_add(2 * WRITE_BUFFER))
        .max_message_size(Some(incoming))
        .max_frame_size(Some(incoming))
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Transport for WebSocketTransport<S> {
    fn poll_receive<'a>(&'a mut self, cx: &mut Context<'_>) -> Poll<Received<'a>> {
        let message = loop {
            if let Some(message) = next_message(&self.frame, &mut self.next) {
                break message;
            }
            // Let go of the frame before reading on: it may be a part of the read buffer, which
            // could not be used again otherwise.
            self.frame = Utf8Bytes::default();
            self.next = 0;
            match ready!(Pin::new(&mut self.socket).poll_next(cx)) {
                Some(Ok(Message::Text(text))) => self.frame = text,
                Some(Ok(Message::Binary(bytes))) => match self.binary(bytes) {
                    Ok(text) => self.frame = text,
                    Err((reason, fault)) => return self.closed(reason, Some(fault)),
                },
                // The socket answers pings by itself, when it is next read or flushed.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Close(frame))) => {
                    return self.closed(close::closed_by_peer(frame.as_ref()), None);
                }
                Some(Err(error)) => {
                    let (reason, fault) = close::receive_error(&error);
                    return self.closed(reason, fault);
                }
                None => return self.closed(close::lost(""), None),
            }
        };
        Poll::Ready(Received::Message(
            self.frame.get(message).unwrap_or_default(),
        ))
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, out: &mut Outgoing) -> Poll<Result<(), Error>> {
        loop {
            ready!(Pin::new(&mut self.socket).poll_ready(cx))
                .map_err(|error| close::send_error(&error))?;
            let Some(message) = out.pop() else { break };
            let frame = self.frame(message)?;
            Pin::new(&mut self.socket)
                .start_send(Message::Frame(frame))
                .map_err(|error| close::send_error(&error))?;
        }
        Pin::new(&mut self.socket)
            .poll_flush(cx)
            .map_err(|error| close::send_error(&error))
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, reason: Option<&Error>) -> Poll<()> {
        if self.farewell == Farewell::Unsent {
            // The answer to a close frame is the socket's own doing.
            if !self.peer_closed {
                let frame = close::close_frame(reason, self.fault);
                let mut socket = Pin::new(&mut self.socket);
                if ready!(socket.as_mut().poll_ready(cx)).is_err()
                    || socket.start_send(Message::Close(Some(frame))).is_err()
                {
                    return Poll::Ready(());
                }
            }
            self.farewell = Farewell::Queued;
        }
        if self.farewell == Farewell::Queued {
            if ready!(Pin::new(&mut self.socket).poll_flush(cx)).is_err() || self.peer_closed {
                return Poll::Ready(());
            }
            self.farewell = Farewell::Sent;
        }
        // To drop a socket with unread data resets it, and a reset can overtake the last words, so
        // read on until the peer has answered them. After a fault frames can no longer be told
        // apart: there it is the end of the bytes that is waited for.
        if self.fault.is_some() {
            return self.poll_drain(cx);
        }
        while let Some(Ok(_)) = ready!(Pin::new(&mut self.socket).poll_next(cx)) {}
        Poll::Ready(())
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> WebSocketTransport<S> {
    /// Tells the peer that no more bytes come and reads until none come from it either.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let io = self.socket.get_mut();
        if ready!(Pin::new(&mut *io).poll_shutdown(cx)).is_err() {
            return Poll::Ready(());
        }
        let mut scratch = [0; 4096];
        loop {
            let mut into = ReadBuf::new(&mut scratch);
            match ready!(Pin::new(&mut *io).poll_read(cx, &mut into)) {
                Ok(()) if !into.filled().is_empty() => {}
                _ => return Poll::Ready(()),
            }
        }
    }
}

impl<S> fmt::Debug for WebSocketTransport<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketTransport")
            .field("peer_closed", &self.peer_closed)
            .finish_non_exhaustive()
    }
}

/// The next line of `frame` from `next` on that is not blank. `next` moves on behind it.
fn next_message(frame: &str, next: &mut usize) -> Option<Range<usize>> {
    loop {
        let rest = frame.get(*next..).filter(|rest| !rest.is_empty())?;
        let line = rest
            .find('\n')
            .and_then(|end| rest.get(..end))
            .unwrap_or(rest);
        let start = *next;
        *next = start + line.len() + 1;
        let message = line.strip_suffix('\r').unwrap_or(line);
        if !message.trim_ascii().is_empty() {
            return Some(start..start + message.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(frame: &str) -> Vec<&str> {
        let mut next = 0;
        std::iter::from_fn(|| next_message(frame, &mut next).map(|range| &frame[range])).collect()
    }

    #[test]
    fn a_frame_is_a_message() {
        assert_eq!(messages(r#"["pull",1]"#), [r#"["pull",1]"#]);
    }

    #[test]
    fn a_frame_may_hold_a_message_a_line() {
        assert_eq!(
            messages("[1]\n[2]\r\n\r\n\n [3]\r\n"),
            ["[1]", "[2]", " [3]"]
        );
    }

    #[test]
    fn a_blank_frame_holds_none() {
        assert_eq!(messages(""), [""; 0]);
        assert_eq!(messages("\r\n \n"), [""; 0]);
    }

    #[test]
    fn settings_hold_for_any_limits() {
        for max_message_size in [0, 1, usize::MAX] {
            let config = config(&Limits::default().with_max_message_size(max_message_size));
            assert!(config.max_write_buffer_size > config.write_buffer_size);
        }
    }
}
