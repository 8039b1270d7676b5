//! Byte streams with a reader's interface.

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
/// Create one from any reader, such as a file. It can be sent to peers like any [`Readable`].
///
/// ```
/// use capnweb::{Object, Result, stream::ByteStream};
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
    /// Bytes that have been received but not read.
    rest: Mutex<Bytes>,
}

impl ByteStream {
    /// Creates a stream of the bytes from `reader`. A read error breaks the stream off, and the
    /// peer receives its message.
    pub fn from_reader(reader: impl AsyncRead + Send + 'static) -> Self {
        Readable::from_source(Box::new(FromReader::new(reader))).into()
    }

    /// Puts bytes that have been received but not read back into the stream.
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
    /// Converts into the stream of all bytes that have not been read.
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

/// Moves the stream into the message, so it can be serialized only once.
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
