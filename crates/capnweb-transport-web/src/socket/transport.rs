//! The host's WebSocket as a transport.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    str,
    task::{Context, Poll, ready},
    time::Duration,
};

use capnweb_core::{
    Attachment, Encoding, Error, Limit, Limits, Outgoing, Progress, Received, Transport,
    runtime::{Scope, Sleep, sleep},
};
use js_sys::{Reflect, Uint8Array};
use send_wrapper::SendWrapper;
use wasm_bindgen::JsValue;
use web_sys::{BinaryType, WebSocket};

use super::{
    close::{SESSION_FAILED, closed, code_and_reason, lost, not_opened},
    events::{Frame, Listener},
};
use crate::{host::describe, panic::CloseOnPanic};

/// The number of bytes in the host's buffer above which sending waits.
const MAX_BUFFERED: u32 = 1 << 20;

/// The time after which a full buffer is checked again. Hosts do not report when it empties.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// The time limit for a close event after an error event.
const CLOSE_AFTER_ERROR: Duration = Duration::from_secs(2);

/// The close codes for messages that are too long, and for invalid ones.
const TOO_LONG: u16 = 1009;
const INVALID: u16 = 1007;

/// A [`web_sys::WebSocket`] as the [`Transport`] of a session.
///
/// The socket may still be connecting: messages are sent once it is open. In a Worker, call the
/// socket's `accept()` first.
///
/// ```ignore
/// let socket = web_sys::WebSocket::new("wss://example.com/api")?;
/// let options = SessionOptions::new();
/// let transport = WebSocketTransport::new(socket, options.limits());
/// let (session, connection) = Session::client(options);
/// capnweb::web::spawn(async { drop(connection.drive(transport).await) });
/// ```
///
/// The host answers the peer's pings but cannot send any. The session's
/// [keep-alive](capnweb_core::KeepAlive) therefore sends ordinary messages that every peer answers.
///
/// # Closing
///
/// When the session ends, the socket is closed with the same codes as on other targets. Browsers
/// let pages send only 1000 and 3000 to 4999, so other codes are sent as 3000. When the user closes
/// or leaves a page, the browser closes its sockets with 1001.
pub struct WebSocketTransport(SendWrapper<Inner>);

struct Inner {
    socket: WebSocket,
    _close_on_panic: CloseOnPanic,
    listener: Listener,
    encoding: Encoding,
    limits: Limits,
    /// True in a Worker, where other requests may wake this one's tasks.
    is_isolated: bool,
    /// The current message, or several of them as lines.
    text: String,
    attachments: Vec<Attachment>,
    /// The start of the next line of `text`, or `None` if there is none.
    next_line: Option<usize>,
    /// The close code for a violation by the peer.
    fault: Option<u16>,
    /// True once this side has called `close`.
    is_closing: bool,
    /// The timer of a send that waits for space in the buffer.
    waits: Option<Pin<Box<Sleep>>>,
    /// The timer for a close event that should follow an error event.
    close_follows: Option<Pin<Box<Sleep>>>,
    received: u64,
    sent: u64,
    packed: Vec<u8>,
}

impl WebSocketTransport {
    /// Creates a transport over `socket`. `limits` bounds the length of the peer's messages.
    pub fn new(socket: WebSocket, limits: &Limits) -> Self {
        socket.set_binary_type(BinaryType::Arraybuffer);
        Self(SendWrapper::new(Inner {
            _close_on_panic: CloseOnPanic::new(&socket),
            listener: Listener::new(&socket),
            socket,
            encoding: Encoding::default(),
            limits: limits.clone(),
            is_isolated: Scope::current().is_isolated(),
            text: String::new(),
            attachments: Vec::new(),
            next_line: None,
            fault: None,
            is_closing: false,
            waits: None,
            close_follows: None,
            received: 0,
            sent: 0,
            packed: Vec::new(),
        }))
    }

    /// Sets the encoding of messages. The default is text; others use binary frames. Text is always
    /// accepted.
    #[must_use]
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        self.0.encoding = encoding;
        self
    }

    /// Waits until the socket is open.
    ///
    /// # Errors
    ///
    /// Returns the reason why the socket did not open.
    pub(super) fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let inner = &mut *self.0;
        inner.listener.happened.register(cx);
        if inner.listener.happened.is_open() {
            return Poll::Ready(Ok(()));
        }
        inner.poll_closed(cx).map(Err)
    }
}

impl Inner {
    /// Waits for the end of the connection.
    fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        let happened = &self.listener.happened;
        let error = happened.error();
        if let Some((code, reason)) = happened.closed() {
            self.close_follows = None;
            return Poll::Ready(if happened.is_open() {
                match error {
                    Some(error) if reason.is_empty() => closed(code, &error),
                    _ => closed(code, &reason),
                }
            } else {
                let cause = [error.unwrap_or_default(), reason]
                    .into_iter()
                    .find(|text| !text.is_empty())
                    .unwrap_or_else(|| "the host does not say why".to_owned());
                not_opened(&self.socket.url(), &cause)
            });
        }
        let Some(error) = error else {
            return Poll::Pending;
        };
        // Browsers send a close event after an error, but a Worker's runtime may not.
        let timer = self
            .close_follows
            .get_or_insert_with(|| Box::pin(sleep(CLOSE_AFTER_ERROR)));
        timer.as_mut().poll(cx).map(|()| lost(&error))
    }

    /// Reads a frame into `text` and `attachments`.
    fn read(&mut self, frame: &Frame) -> Result<(), Error> {
        let max = self.limits.max_message_bytes();
        if frame.len() > max {
            self.fault = Some(TOO_LONG);
            return Err(Error::exceeds(
                Limit::MessageSize,
                format!("a message is over the limit of {max} bytes (Limits::max_message_bytes)"),
            ));
        }
        self.text.clear();
        self.attachments.clear();
        match frame {
            Frame::Text(text) => {
                self.text = String::from(text);
                self.received += self.text.len() as u64;
            }
            Frame::Binary(bytes) => {
                let bytes = bytes.to_vec();
                self.received += bytes.len() as u64;
                let decoded = self.encoding.decode_owned(
                    &bytes.into(),
                    &self.limits,
                    &mut self.text,
                    &mut self.attachments,
                );
                if let Err(error) = decoded {
                    let code = if error.is_limit() { TOO_LONG } else { INVALID };
                    self.fault = Some(code);
                    return Err(error);
                }
            }
            Frame::Unreadable => {
                self.fault = Some(INVALID);
                return Err(Error::disconnected("a message is neither text nor bytes"));
            }
        }
        self.next_line = Some(0);
        Ok(())
    }

    /// Returns the range of the next non-blank line of `text`.
    fn take_line(&mut self) -> Option<std::ops::Range<usize>> {
        while let Some(start) = self.next_line {
            let rest = self.text.get(start..).unwrap_or_default();
            let end = match rest.find('\n') {
                Some(newline) => {
                    self.next_line = Some(start + newline + 1);
                    start + newline
                }
                None => {
                    self.next_line = None;
                    self.text.len()
                }
            };
            let line = self.text.get(start..end).unwrap_or_default();
            if !line.trim_ascii().is_empty() {
                return Some(start..end);
            }
        }
        None
    }

    /// Sends the next message.
    fn send(&mut self, outgoing: &mut Outgoing) -> Result<(), Error> {
        let Some(message) = outgoing.peek() else {
            return Ok(());
        };
        let attachments = outgoing.attachments();
        let (sent, result) = if self.encoding == Encoding::Json && attachments.is_empty() {
            let text = str::from_utf8(message)
                .map_err(|_| Error::disconnected("a message of this side is not UTF-8"))?;
            (text.len(), self.socket.send_with_str(text))
        } else {
            self.packed.clear();
            self.encoding
                .encode_attached(message, attachments, &mut self.packed)?;
            let result = match (self.encoding, str::from_utf8(&self.packed)) {
                (Encoding::Json, Ok(text)) => self.socket.send_with_str(text),
                // Not a view of this buffer: some hosts read the bytes only after `send` has
                // returned.
                _ => (self.socket).send_with_js_u8_array(&Uint8Array::from(self.packed.as_slice())),
            };
            (self.packed.len(), result)
        };
        result.map_err(|exception| lost(&describe(&exception)))?;
        self.sent += sent as u64;
        outgoing.advance();
        Ok(())
    }

    /// Returns whether the socket may be used now. It throws in another request of a Worker.
    fn is_usable(&self) -> bool {
        !self.is_isolated || Reflect::get(&self.socket, &JsValue::from_str("readyState")).is_ok()
    }

    /// Waits until there is space in the host's buffer.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.socket.buffered_amount() < MAX_BUFFERED {
                self.waits = None;
                return Poll::Ready(());
            }
            let timer = self
                .waits
                .get_or_insert_with(|| Box::pin(sleep(LOOK_AGAIN)));
            ready!(timer.as_mut().poll(cx));
            self.waits = None;
        }
    }

    fn close(&mut self, code: u16, reason: &str) {
        if std::mem::replace(&mut self.is_closing, true) {
            return;
        }
        if (self.socket)
            .close_with_code_and_reason(code, reason)
            .is_err()
        {
            // Pages may not send every code. If this fails too, the socket is already closed.
            let _ = (self.socket).close_with_code_and_reason(SESSION_FAILED, reason);
        }
    }
}

impl Transport for WebSocketTransport {
    fn poll_receive<'a>(&'a mut self, cx: &mut Context<'_>) -> Poll<Received<'a>> {
        let inner = &mut *self.0;
        let line = loop {
            if let Some(line) = inner.take_line() {
                break line;
            }
            inner.listener.happened.register(cx);
            let Some(frame) = inner.listener.happened.take_frame() else {
                return inner.poll_closed(cx).map(Received::Closed);
            };
            if let Err(error) = inner.read(&frame) {
                return Poll::Ready(Received::Closed(error));
            }
        };
        let line = inner.text.get(line).unwrap_or_default();
        Poll::Ready(match inner.attachments.as_slice() {
            [] => Received::Message(line),
            attachments => Received::Attached(line, attachments),
        })
    }

    fn takes_attachments(&self) -> bool {
        self.0.encoding.has_bytes()
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        outgoing: &mut Outgoing,
    ) -> Poll<Result<(), Error>> {
        let inner = &mut *self.0;
        inner.listener.happened.register(cx);
        if !inner.listener.happened.is_open() {
            return inner.poll_closed(cx).map(Err);
        }
        if !inner.is_usable() {
            // Another request has woken this task. Go on at the next event of this one.
            return Poll::Pending;
        }
        while !outgoing.is_empty() {
            if inner.socket.ready_state() > WebSocket::OPEN {
                // The host would discard the message. The close event reports the reason.
                return inner.poll_closed(cx).map(Err);
            }
            ready!(inner.poll_room(cx));
            inner.send(outgoing)?;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, reason: Option<&Error>) -> Poll<()> {
        let inner = &mut *self.0;
        inner.listener.happened.register(cx);
        let peer_closed = inner.listener.happened.closed();
        let (code, text) = match &peer_closed {
            // A Worker has to answer the peer's close frame. Elsewhere the host has already done
            // so.
            Some((code @ (1000 | 3000..=4999), reason)) => (*code, reason.as_str()),
            Some(_) => code_and_reason(None, None),
            None => code_and_reason(reason, inner.fault),
        };
        inner.close(code, text);
        if peer_closed.is_some() || inner.fault.is_some() {
            return Poll::Ready(());
        }
        inner.poll_closed(cx).map(drop)
    }

    fn progress(&self) -> Progress {
        let mut progress = Progress::default();
        progress.received = self.0.received;
        progress.sent = self.0.sent;
        progress
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if self.listener.happened.closed().is_none() {
            self.close(SESSION_FAILED, "the session was dropped");
        }
    }
}

impl fmt::Debug for WebSocketTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketTransport")
            .field("url", &self.0.socket.url())
            .field("encoding", &self.0.encoding)
            .finish_non_exhaustive()
    }
}
