//! Streams of bytes, read as files are.

use std::{
    fmt, io,
    pin::Pin,
    sync::Mutex,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use futures_core::Stream;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::io::{AsyncRead, ReadBuf};

use crate::{
    graph::{error::Result, payload::Payload, stream::Unread},
    typed::stream::{application::FromReader, readable::Readable},
    util::lock::LockExt,
};

/// A stream of bytes: a [`Readable`] of [`Bytes`] that implements [`AsyncRead`].
///
/// It is made from anything that bytes can be read from, a file for instance, and goes to peers as a
/// [`Readable`] does.
///
/// ```
/// use capnweb::{ByteStream, Object, Result};
/// use tokio::io::AsyncReadExt;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
/// let api = Object::new()
///     .method("download", || async { Ok(ByteStream::from_reader(&b"hello, world"[..])) })
///     .into_stub();
///
/// let mut download: ByteStream = api.call("download", ()).fetch().await?;
/// let mut text = String::new();
/// download.read_to_string(&mut text).await.unwrap();
/// assert_eq!(text, "hello, world");
/// # Ok(()) }
/// ```
#[must_use = "a stream that is dropped is canceled"]
pub struct ByteStream {
    chunks: Readable<Bytes>,
    /// What has been received and not been read.
    rest: Mutex<Bytes>,
}

impl ByteStream {
    /// A stream of what can be read from `reader`. An error breaks the stream off; the peer gets its
    /// message.
    pub fn from_reader(reader: impl AsyncRead + Send + 'static) -> Self {
        Readable::from_source(Box::new(FromReader::new(reader))).into()
    }

    /// Puts back what has been received and not been read.
    fn unread(&self) {
        let rest = std::mem::take(&mut *self.rest.acquire());
        if rest.is_empty() {
            return;
        }
        let slot = self.chunks.slot();
        if let Some(source) = slot.take() {
            slot.put(Box::new(Unread {
                chunk: Some(Payload::from_bytes(rest)),
                rest: source,
            }));
        }
    }
}

impl From<Readable<Bytes>> for ByteStream {
    fn from(chunks: Readable<Bytes>) -> Self {
        Self {
            chunks,
            rest: Mutex::default(),
        }
    }
}

impl From<ByteStream> for Readable<Bytes> {
    /// The stream of what has not been read.
    fn from(bytes: ByteStream) -> Self {
        bytes.unread();
        bytes.chunks
    }
}

impl AsyncRead for ByteStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let rest = this.rest.data_mut();
        while rest.is_empty() {
            match ready!(Pin::new(&mut this.chunks).poll_next(cx)) {
                Some(Ok(chunk)) => *rest = chunk,
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
                None => return Poll::Ready(Ok(())),
            }
        }
        let taken = rest.len().min(buffer.remaining());
        if let Some(bytes) = rest.get(..taken) {
            buffer.put_slice(bytes);
        }
        rest.advance(taken);
        Poll::Ready(Ok(()))
    }
}

/// The stream itself goes into the message, so it can be serialized once.
impl Serialize for ByteStream {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.unread();
        self.chunks.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ByteStream {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Readable::deserialize(deserializer).map(Self::from)
    }
}

impl fmt::Debug for ByteStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ByteStream")
    }
}
