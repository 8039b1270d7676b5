//! Transports, which carry a session's messages.

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use futures_core::Stream;
use futures_sink::Sink;

use crate::{
    Attachment,
    graph::error::Error,
    outgoing::Outgoing,
    util::{invariant::Invariant, lock::LockExt},
};

mod body;
mod byte_io;
mod encoding;
mod frames;
mod lines;
mod whole_lines;

use self::byte_io::{closed, closed_by_peer};
pub use self::{
    body::MessageBody, encoding::Encoding, frames::FramesTransport, lines::LinesTransport,
};

/// An event from a transport.
#[derive(Debug)]
pub enum Received<'a> {
    /// A message.
    Message(&'a str),
    /// A message with attachments: long byte strings alongside its text.
    Attached(&'a str, &'a [Attachment]),
    /// Long messages that are still encoded, in parts. The session decodes them on another thread,
    /// since that takes long. In JSON, each line is a message.
    Encoded(Encoding, Vec<Bytes>),
    /// The transport is closed for this reason. It is not polled again.
    Closed(Error),
}

/// The bytes that a transport has moved since it began.
///
/// They are signs of life from the peer: see [`KeepAlive`](crate::KeepAlive).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// The number of bytes that were received.
    pub received: u64,
    /// The number of received bytes that belong to no message, such as the answer to a ping.
    pub beside_messages: u64,
    /// The number of bytes that were handed to the network.
    pub sent: u64,
}

/// Carries a session's messages, in order and without loss.
///
/// Implement this for a transport of your own if [`StreamSink`] does not fit or is too slow.
pub trait Transport: Send + Unpin + 'static {
    /// Lends the next message. `Pending` registers the waker.
    fn poll_receive<'a>(&'a mut self, cx: &mut Context<'_>) -> Poll<Received<'a>>;

    /// Returns whether this transport can send long byte strings as they are, and so takes them as
    /// [attachments](Outgoing::attachments). Otherwise they are part of the message's text, as
    /// base64.
    fn takes_attachments(&self) -> bool {
        false
    }

    /// Takes messages out of `outgoing` and sends them, with one flush for all of them.
    ///
    /// `Ready(Ok)` means that all messages were taken and flushed. On `Pending`, this method is
    /// called again once the waker is woken.
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        outgoing: &mut Outgoing,
    ) -> Poll<Result<(), Error>>;

    /// Closes the transport. `reason` is the reason for the end of the session.
    fn poll_close(&mut self, cx: &mut Context<'_>, reason: Option<&Error>) -> Poll<()>;

    /// Returns the numbers of bytes that were moved.
    ///
    /// This method is called often, so it must be cheap. By default the numbers are zero, and
    /// received messages are the only signs of life.
    fn progress(&self) -> Progress {
        Progress::default()
    }

    /// Returns whether a message has begun to arrive and is not complete.
    fn is_in_message(&self) -> bool {
        false
    }

    /// Queues a ping that the peer's transport answers, and returns true. The next
    /// [`poll_send`](Self::poll_send) sends it; it is called even if there is no message.
    ///
    /// By default a transport has no pings. The session then sends a message that every peer
    /// answers.
    fn ping(&mut self) -> bool {
        false
    }

    /// Returns whether a layer below the messages has heard from the peer since the last call of
    /// this method, for example through acknowledgements of QUIC.
    ///
    /// It is called when a ping is sent, and again before the session ends because of silence. By
    /// default, only the bytes that [`progress`](Self::progress) counts are heard.
    fn has_heard(&mut self) -> bool {
        false
    }

    /// Returns whether the peer can disappear without notice. Otherwise there are no pings.
    fn can_fall_silent(&self) -> bool {
        true
    }

    /// Returns whether the peer closes this transport with a code that
    /// [`SessionEnd::close_code`](crate::SessionEnd::close_code) returns, as it does a WebSocket.
    ///
    /// A session that is aborted by its peer then waits for that code for a moment before it ends.
    fn has_close_codes(&self) -> bool {
        false
    }
}

/// A transport made of any stream and sink of messages.
///
/// The stream's items are `Result<M, E>`, where `M` converts into a `String`. The sink takes
/// `String`s.
///
/// ```
/// use std::convert::Infallible;
/// use capnweb::{Object, Session, SessionOptions, transport::StreamSink};
/// use futures_util::{SinkExt, StreamExt};
/// # use futures_util::{stream, sink};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// // This stream has ended. It could be a channel, a WebSocket or a pipe.
/// let incoming = stream::empty::<Result<String, Infallible>>();
/// let outgoing = sink::drain::<String>();
/// let (session, connection) = Session::server(SessionOptions::new());
/// let reason = connection.drive(StreamSink::new(incoming, outgoing)).await;
/// assert_eq!(reason.message(), "the peer closed the connection");
/// # }
/// ```
#[derive(Debug)]
pub struct StreamSink<S, K> {
    stream: S,
    sink: K,
    current: String,
}

impl<S, K> StreamSink<S, K> {
    /// Creates a transport that reads from `stream` and writes to `sink`.
    pub fn new(stream: S, sink: K) -> Self {
        Self {
            stream,
            sink,
            current: String::new(),
        }
    }
}

impl<S, K, M, E> Transport for StreamSink<S, K>
where
    S: Stream<Item = Result<M, E>> + Send + Unpin + 'static,
    K: Sink<String> + Send + Unpin + 'static,
    K::Error: fmt::Display,
    M: Into<String>,
    E: fmt::Display,
{
    fn poll_receive<'a>(&'a mut self, cx: &mut Context<'_>) -> Poll<Received<'a>> {
        Pin::new(&mut self.stream)
            .poll_next(cx)
            .map(|next| match next {
                Some(Ok(message)) => {
                    self.current = message.into();
                    Received::Message(&self.current)
                }
                Some(Err(error)) => Received::Closed(Error::disconnected(error.to_string())),
                None => Received::Closed(closed()),
            })
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        outgoing: &mut Outgoing,
    ) -> Poll<Result<(), Error>> {
        let failed = |error: K::Error| Error::disconnected(error.to_string());
        while !outgoing.is_empty() {
            if let Err(error) = std::task::ready!(Pin::new(&mut self.sink).poll_ready(cx)) {
                return Poll::Ready(Err(failed(error)));
            }
            let message = outgoing.peek().or_bug("there is a message to send");
            let message = String::from_utf8_lossy(message).into_owned();
            outgoing.advance();
            if let Err(error) = Pin::new(&mut self.sink).start_send(message) {
                return Poll::Ready(Err(failed(error)));
            }
        }
        Pin::new(&mut self.sink).poll_flush(cx).map_err(failed)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, _: Option<&Error>) -> Poll<()> {
        Pin::new(&mut self.sink).poll_close(cx).map(|_| ())
    }
}

/// Creates two transports that are connected to each other within this process.
///
/// ```
/// use capnweb::{Object, Session, SessionOptions, pair};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> capnweb::Result<()> {
/// let (left, right) = pair();
/// let (_, mut server) = Session::server(SessionOptions::new());
/// server.set_main(Object::new().method("add", async |a: f64, b: f64| Ok(a + b)).into_stub());
/// tokio::spawn(server.drive(left));
///
/// let (session, client) = Session::client(SessionOptions::new());
/// tokio::spawn(client.drive(right));
/// assert_eq!(session.main().call("add", (1, 2)).fetch::<f64>().await?, 3.0);
/// # Ok(()) }
/// ```
pub fn pair() -> (PairTransport, PairTransport) {
    let (there, back) = (Arc::<Pipe>::default(), Arc::<Pipe>::default());
    (
        PairTransport {
            incoming: there.clone(),
            outgoing: back.clone(),
            reading: Outgoing::default(),
            lent: false,
        },
        PairTransport {
            incoming: back,
            outgoing: there,
            reading: Outgoing::default(),
            lent: false,
        },
    )
}

/// One end of a [`pair`].
#[derive(Debug)]
pub struct PairTransport {
    incoming: Arc<Pipe>,
    outgoing: Arc<Pipe>,
    /// The messages that have been taken out of `incoming`.
    reading: Outgoing,
    /// True if the next message of `reading` is lent.
    lent: bool,
}

/// One direction of a pair.
#[derive(Debug, Default)]
struct Pipe(Mutex<PipeState>);

#[derive(Debug, Default)]
struct PipeState {
    messages: Outgoing,
    closed: Option<Error>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// The number of bytes in flight at which the writer waits.
const PIPE_CAPACITY: usize = 1 << 20;

impl Pipe {
    fn lock(&self) -> MutexGuard<'_, PipeState> {
        self.0.acquire()
    }

    fn close(&self, reason: &Error) {
        let mut state = self.lock();
        state.closed.get_or_insert_with(|| reason.clone());
        let wakers = [state.reader.take(), state.writer.take()];
        drop(state);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }
}

impl Transport for PairTransport {
    fn takes_attachments(&self) -> bool {
        true
    }

    fn can_fall_silent(&self) -> bool {
        // The peer is in this process, and reports its end when it is dropped.
        false
    }

    fn poll_receive<'a>(&'a mut self, cx: &mut Context<'_>) -> Poll<Received<'a>> {
        if std::mem::take(&mut self.lent) {
            self.reading.advance();
        }
        if self.reading.is_empty() {
            let mut state = self.incoming.lock();
            if state.messages.is_empty() {
                if let Some(reason) = &state.closed {
                    return Poll::Ready(Received::Closed(reason.clone()));
                }
                state.reader = Some(cx.waker().clone());
                return Poll::Pending;
            }
            std::mem::swap(&mut state.messages, &mut self.reading);
            let writer = state.writer.take();
            drop(state);
            if let Some(writer) = writer {
                writer.wake();
            }
        }
        self.lent = true;
        let message = self.reading.peek().or_bug("there is a message to read");
        Poll::Ready(match std::str::from_utf8(message) {
            Ok(message) => Received::Attached(message, self.reading.attachments()),
            Err(_) => Received::Closed(Error::disconnected("a message was not UTF-8")),
        })
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        outgoing: &mut Outgoing,
    ) -> Poll<Result<(), Error>> {
        let mut state = self.outgoing.lock();
        let result = loop {
            if let Some(reason) = &state.closed {
                break Poll::Ready(Err(reason.clone()));
            }
            if outgoing.is_empty() {
                break Poll::Ready(Ok(()));
            }
            if state.messages.bytes() >= PIPE_CAPACITY {
                state.writer = Some(cx.waker().clone());
                break Poll::Pending;
            }
            if state.messages.is_empty() {
                std::mem::swap(&mut state.messages, outgoing);
            } else {
                state.messages.message(|text| {
                    text.extend_from_slice(outgoing.peek().or_bug("there is a message to send"))
                });
                state.messages.attach(outgoing.attachments().to_vec());
                outgoing.advance();
            }
        };
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
        result
    }

    fn poll_close(&mut self, _: &mut Context<'_>, reason: Option<&Error>) -> Poll<()> {
        let message = match reason {
            Some(reason) => format!("the peer closed the connection: {}", reason.message()),
            None => "the peer closed the connection".to_owned(),
        };
        self.outgoing.close(&closed_by_peer(message));
        Poll::Ready(())
    }
}

impl Drop for PairTransport {
    fn drop(&mut self) {
        let gone = closed();
        self.outgoing.close(&gone);
        self.incoming.close(&gone);
    }
}
