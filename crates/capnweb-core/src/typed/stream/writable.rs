//! Streams to write to.

use std::{
    fmt,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_sink::Sink;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned, de::Error as _,
};
use tokio::io::AsyncWrite;

use crate::{
    graph::{
        error::{Error, Result},
        payload::{Cap, Item, Payload, receive, stash},
        stream::{BoxDestination, PipeSink, Slot, given_away, new_pipe},
    },
    typed::stream::{
        application::{FromSink, FromWriter},
        readable::Readable,
    },
};

/// A stream to write to, in this process or at a peer: JavaScript's `WritableStream`.
///
/// It is a [`Sink`]. There is room as long as the reader keeps pace: a chunk is sent at once, and
/// the next one waits if too much of what was sent is unread. An error means that the reader has
/// failed or stopped, possibly some chunks earlier.
///
/// **Close it** after the last chunk. Closing waits until everything has been read, and fails if
/// any earlier write has failed. Dropping a stream without closing it breaks the stream off, and
/// the reader receives an error instead of an end.
///
/// Like a [`Readable`], it can be passed to a call or returned from a method, but only once.
///
/// ```
/// use capnweb::{Object, Result, stream::Writable};
/// use futures_util::{SinkExt, StreamExt, TryStreamExt};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
/// let api = Object::new()
///     .method("greet", |mut to: Writable<String>| async move {
///         to.send("hello".to_owned()).await?;
///         to.send("world".to_owned()).await?;
///         to.close().await
///     })
///     .into_stub();
///
/// let (to, words) = capnweb::stream::pipe::<String>();
/// let greeted = api.call("greet", (to,)).fetch::<()>();
/// let (words, greeted) = tokio::join!(words.try_collect::<Vec<_>>(), greeted);
/// assert_eq!(words?, ["hello", "world"]);
/// # greeted }
/// ```
#[must_use = "a stream that is dropped before it is closed is broken off"]
pub struct Writable<T> {
    slot: Arc<Slot<BoxDestination>>,
    marker: PhantomData<fn(T)>,
}

/// Creates a stream within this process: chunks written to one end are read from the other.
///
/// Chunks are copied, as they would be for a peer. A few chunks can be buffered before writing
/// waits.
///
/// ```
/// use futures_util::{SinkExt, TryStreamExt};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> capnweb::Result<()> {
/// let (mut writable, readable) = capnweb::stream::pipe::<u32>();
/// let write = async {
///     writable.send(1).await?;
///     writable.send(2).await?;
///     writable.close().await
/// };
/// let (written, read) = tokio::join!(write, readable.try_collect::<Vec<_>>());
/// assert_eq!(read?, [1, 2]);
/// # written }
/// ```
pub fn pipe<T>() -> (Writable<T>, Readable<T>) {
    let (pipe_writer, reader) = new_pipe();
    (
        Writable::from_destination(Box::new(PipeSink::new(pipe_writer))),
        Readable::from_source(Box::new(reader)),
    )
}

impl<T> Writable<T> {
    /// Creates a stream whose chunks go to `sink`. Closing the stream closes the sink. If the
    /// writer breaks the stream off, the sink is dropped without being closed. Use a [`pipe`]
    /// instead to learn the reason.
    ///
    /// Once the stream is sent to a peer, a task of the Tokio runtime drives the sink.
    pub fn from_sink<S>(sink: S) -> Self
    where
        S: Sink<T, Error: Into<Error>> + Send + 'static,
        T: DeserializeOwned + Send + 'static,
    {
        Self::from_destination(Box::new(FromSink::new(sink)))
    }

    pub(crate) fn from_destination(destination: BoxDestination) -> Self {
        Self::from_slot(Slot::new(destination))
    }

    fn from_slot(slot: Arc<Slot<BoxDestination>>) -> Self {
        Self {
            slot,
            marker: PhantomData,
        }
    }

    /// Returns the same stream for chunks of another type.
    pub fn cast<U>(self) -> Writable<U> {
        Writable::from_slot(self.slot)
    }

    /// Breaks the stream off: the reader receives `reason` in place of the chunks that it has not
    /// read. Dropping the stream does the same with a generic reason.
    pub fn abort(self, reason: Error) {
        if let Some(destination) = self.slot.take() {
            destination.abort(reason);
        }
    }

    fn with<R>(&self, f: impl FnOnce(&mut BoxDestination) -> R) -> Result<R> {
        self.slot.with(f).ok_or_else(given_away)
    }
}

impl Writable<Bytes> {
    /// Creates a stream whose chunks are written to `writer`, for instance a file. Closing the
    /// stream shuts the writer down. If the stream breaks off, `writer` is dropped without being
    /// shut down.
    pub fn from_writer(writer: impl AsyncWrite + Send + 'static) -> Self {
        Self::from_destination(Box::new(FromWriter::new(writer)))
    }
}

impl<T: Serialize> Sink<T> for Writable<T> {
    type Error = Error;

    /// Waits for room.
    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.with(|destination| destination.poll_ready(cx))?
    }

    fn start_send(self: Pin<&mut Self>, chunk: T) -> Result<()> {
        let chunk = Payload::encode(&chunk)?;
        self.with(|destination| destination.write(chunk))?
    }

    /// Waits until all chunks are on their way, but not until they are read.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.with(|destination| destination.poll_flush(cx))?
    }

    /// Closes the stream and waits until all chunks have been read.
    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.with(|destination| destination.poll_close(cx))?
    }
}

/// Moves the stream into the message, so it can be serialized only once.
impl<T> Serialize for Writable<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::Error as _;
        if self.slot.is_empty() {
            return Err(S::Error::custom(given_away().message()));
        }
        stash(
            Item::Cap(Cap::Writable(self.slot.clone())),
            capnweb_wire::CAPABILITY,
            serializer,
        )
    }
}

impl<'de, T> Deserialize<'de> for Writable<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match receive(capnweb_wire::CAPABILITY, "a writable stream", deserializer)? {
            Item::Cap(Cap::Writable(slot)) => Ok(Self::from_slot(slot)),
            Item::Cap(cap) => Err(D::Error::custom(format_args!(
                "expected a writable stream, got {}",
                cap.kind()
            ))),
            Item::Payload(_) => Err(D::Error::custom("expected a writable stream, got a value")),
        }
    }
}

impl<T> fmt::Debug for Writable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Writable")
    }
}
