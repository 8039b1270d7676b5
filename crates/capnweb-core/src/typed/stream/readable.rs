//! Streams to read from.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures_core::Stream;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned, de::Error as _,
};

use crate::{
    api::promise::PromiseFuture,
    graph::{
        error::{Error, Result},
        payload::{Cap, Item, receive, stash},
        stream::{BoxSource, Ended, Slot, given_away},
    },
    typed::stream::application::{Decoding, FromStream},
};

/// A stream of chunks to read, from this process or a peer: JavaScript's `ReadableStream`.
///
/// It is a [`Stream`] of results. Pass it to a call or return it from a method, alone or within a
/// struct, and it moves to the peer. The peer sets the pace: the stream is polled as fast as its
/// reader reads, and not at all while the reader is slow. A stream can be sent only once.
///
/// A chunk is any value, and may contain stubs and streams. Chunks of bytes are
/// [`Bytes`](crate::Bytes). To read bytes like a file, see [`ByteStream`](crate::ByteStream).
///
/// Dropping a stream before its end cancels it, and its writer is notified.
///
/// ```
/// use capnweb::{Object, Result, stream::Readable};
/// use futures_util::{StreamExt, TryStreamExt, stream};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
/// let api = Object::new()
///     .method("count", |to: u32| async move { Ok(Readable::from_stream(stream::iter(0..to))) })
///     .method("sum", |numbers: Readable<u32>| async move {
///         numbers.try_fold(0, |sum, n| async move { Ok(sum + n) }).await
///     })
///     .into_stub();
///
/// let mut numbers: Readable<u32> = api.call("count", (3,)).fetch().await?;
/// assert_eq!(numbers.next().await.transpose()?, Some(0));
/// // Send the rest of the stream back.
/// assert_eq!(api.call("sum", (numbers,)).fetch::<u32>().await?, 3);
/// # Ok(()) }
/// ```
#[must_use = "a stream that is dropped is canceled"]
pub struct Readable<T> {
    slot: Arc<Slot<BoxSource>>,
    /// A chunk whose promises have not settled yet.
    waiting: Option<PromiseFuture<T>>,
    /// True once the reader knows that the stream was sent elsewhere.
    told: bool,
}

/// An item of a stream that is sent as a stream of `T`: a `T`, or a `Result<T, E>` whose error
/// breaks the stream off.
pub trait IntoChunk<T> {
    /// Converts the item into a chunk.
    ///
    /// # Errors
    ///
    /// Returns the error if the item is one.
    fn into_chunk(self) -> Result<T>;
}

impl<T> IntoChunk<T> for T {
    fn into_chunk(self) -> Result<T> {
        Ok(self)
    }
}

impl<T, E: Into<Error>> IntoChunk<T> for Result<T, E> {
    fn into_chunk(self) -> Result<T> {
        self.map_err(Into::into)
    }
}

impl<T> Readable<T> {
    /// Creates a stream of the items of `stream`: chunks, or results of chunks. An error breaks the
    /// stream off and is passed to the reader.
    ///
    /// `stream` is not polled before the first read. Once the stream is sent to a peer, a task of
    /// the Tokio runtime polls it.
    pub fn from_stream<S>(stream: S) -> Self
    where
        S: Stream<Item: IntoChunk<T>> + Send + 'static,
        T: Serialize + 'static,
    {
        Self::from_source(Box::new(FromStream::new(stream)))
    }

    pub(crate) fn from_source(source: BoxSource) -> Self {
        Self::from_slot(Slot::new(source))
    }

    pub(crate) fn from_slot(slot: Arc<Slot<BoxSource>>) -> Self {
        Self {
            slot,
            waiting: None,
            told: false,
        }
    }

    pub(crate) fn slot(&self) -> &Arc<Slot<BoxSource>> {
        &self.slot
    }

    /// Returns the same stream with its chunks decoded as another type.
    pub fn cast<U>(self) -> Readable<U> {
        Readable::from_slot(self.slot)
    }

    /// Stops reading and tells the writer the reason. Dropping the stream does the same with a
    /// generic reason.
    pub fn cancel(self, reason: Error) {
        if let Some(source) = self.slot.take() {
            source.cancel(reason);
        }
    }
}

impl<T: DeserializeOwned + 'static> Stream for Readable<T> {
    type Item = Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        let this = &mut *self;
        if let Some(waiting) = &mut this.waiting {
            let chunk = ready!(Pin::new(waiting).poll(cx));
            this.waiting = None;
            return Poll::Ready(Some(chunk));
        }
        let Some(mut source) = this.slot.take() else {
            let told = std::mem::replace(&mut this.told, true);
            return Poll::Ready((!told).then(|| Err(given_away())));
        };
        let next = source.poll_next(cx);
        // An item that the application's stream yields after its end is ignored.
        let is_over = matches!(&next, Poll::Ready(None | Some(Err(_))));
        this.slot
            .put(if is_over { Box::new(Ended) } else { source });
        match ready!(next) {
            None => Poll::Ready(None),
            Some(Err(error)) => Poll::Ready(Some(Err(error))),
            Some(Ok(chunk)) => match Decoding::start(chunk) {
                Decoding::Ready(chunk) => Poll::Ready(Some(chunk)),
                Decoding::Waiting(pull) => {
                    this.waiting = Some(pull);
                    self.poll_next(cx)
                }
            },
        }
    }
}

/// Moves the stream into the message, so it can be serialized only once.
impl<T> Serialize for Readable<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::Error as _;
        if self.slot.is_empty() || self.waiting.is_some() {
            return Err(S::Error::custom(given_away().message()));
        }
        stash(
            Item::Cap(Cap::Readable(self.slot.clone())),
            capnweb_wire::CAPABILITY,
            serializer,
        )
    }
}

impl<'de, T> Deserialize<'de> for Readable<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match receive(capnweb_wire::CAPABILITY, "a readable stream", deserializer)? {
            Item::Cap(Cap::Readable(slot)) => Ok(Self::from_slot(slot)),
            Item::Cap(cap) => Err(D::Error::custom(format_args!(
                "expected a readable stream, got {}",
                cap.kind()
            ))),
            Item::Payload(_) => Err(D::Error::custom("expected a readable stream, got a value")),
        }
    }
}

impl<T> fmt::Debug for Readable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Readable")
    }
}
