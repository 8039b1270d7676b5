//! Bodies of requests and responses.

use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, BytesMut};
use futures_core::Stream;
use futures_util::stream;
use http_body::{Body as HttpBody, Frame, SizeHint};
use serde::{Deserialize, Deserializer, de::Visitor};

use crate::{
    fetch::form::Form,
    graph::{
        error::{Error, Result},
        payload::{Cap, Item, resolve},
    },
    typed::stream::{ByteStream, Readable},
};

/// The length above which a body is sent as a stream even if it is complete, since a long message
/// delays those behind it.
const INLINE: usize = 64 * 1024;

/// The size of such a stream's chunks.
const CHUNK: usize = 64 * 1024;

/// The body of a request or response: empty, bytes, or a stream of bytes.
///
/// It implements [`http_body::Body`], and can be created from any other implementation, from bytes
/// and strings, and from a [`ByteStream`] or [`Readable`]. It can be read once. A stream can also
/// be sent only once.
#[must_use = "a body that is dropped is canceled"]
#[derive(Default)]
pub struct Body(Inner);

#[derive(Default)]
enum Inner {
    #[default]
    Empty,
    Bytes(Bytes),
    Stream(Readable<Bytes>),
}

impl Body {
    /// Creates an empty body.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Creates a body of the data of any other body. Trailers are skipped.
    pub fn from_http<B>(body: B) -> Self
    where
        B: HttpBody<Error: fmt::Display> + Send + 'static,
    {
        if body.is_end_stream() || body.size_hint().exact() == Some(0) {
            return Self::empty();
        }
        let mut body = Box::pin(body);
        Readable::from_stream(stream::poll_fn(move |cx| poll_data(body.as_mut(), cx))).into()
    }

    /// Returns whether the body is known to be empty.
    pub fn is_empty(&self) -> bool {
        match &self.0 {
            Inner::Empty => true,
            Inner::Bytes(bytes) => bytes.is_empty(),
            Inner::Stream(_) => false,
        }
    }

    /// Reads the whole body, up to `limit` bytes.
    ///
    /// # Errors
    ///
    /// Returns an error if the body exceeds `limit`, without reading the rest, or if the stream
    /// breaks off.
    pub async fn bytes(self, limit: usize) -> Result<Bytes> {
        let too_long = || Error::limit(format!("the body has more than {limit} bytes"));
        let mut chunks = match self.0 {
            Inner::Empty => return Ok(Bytes::new()),
            Inner::Bytes(bytes) if bytes.len() > limit => return Err(too_long()),
            Inner::Bytes(bytes) => return Ok(bytes),
            Inner::Stream(chunks) => chunks,
        };
        let mut all = BytesMut::new();
        while let Some(chunk) = poll_fn(|cx| Pin::new(&mut chunks).poll_next(cx)).await {
            let chunk = chunk?;
            if chunk.len() > limit - all.len() {
                chunks.cancel(too_long());
                return Err(too_long());
            }
            all.extend_from_slice(&chunk);
        }
        Ok(all.freeze())
    }

    /// Reads the whole body as text, up to `limit` bytes. Invalid UTF-8 is replaced by U+FFFD.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`bytes`](Self::bytes).
    pub async fn text(self, limit: usize) -> Result<String> {
        let bytes = self.bytes(limit).await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Returns the body as a stream of chunks.
    pub fn into_stream(self) -> Readable<Bytes> {
        match self.0 {
            Inner::Empty => chunks(Bytes::new()),
            Inner::Bytes(bytes) => chunks(bytes),
            Inner::Stream(chunks) => chunks,
        }
    }

    /// Returns the bytes, unless the body is a stream.
    pub(super) fn into_bytes(self) -> Option<Bytes> {
        match self.0 {
            Inner::Empty => Some(Bytes::new()),
            Inner::Bytes(bytes) => Some(bytes),
            Inner::Stream(_) => None,
        }
    }

    /// Writes the body into a form: `null`, bytes, or a stream. An existing stream can be written
    /// only once.
    pub(super) fn write(&self, form: &mut Form) -> Result<()> {
        match &self.0 {
            Inner::Empty => {
                form.raw("null");
                Ok(())
            }
            Inner::Bytes(bytes) if bytes.len() <= INLINE => form.value(bytes),
            Inner::Bytes(bytes) => form.value(&chunks(bytes.clone())),
            Inner::Stream(stream) => form.value(stream),
        }
    }
}

/// Returns a stream of `bytes` in chunks.
fn chunks(mut bytes: Bytes) -> Readable<Bytes> {
    Readable::from_stream(stream::iter(std::iter::from_fn(move || {
        let len = bytes.len().min(CHUNK);
        (len > 0).then(|| bytes.split_to(len))
    })))
}

fn poll_data<B>(mut body: Pin<&mut B>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>>
where
    B: HttpBody<Error: fmt::Display>,
{
    loop {
        match ready!(body.as_mut().poll_frame(cx)) {
            None => return Poll::Ready(None),
            Some(Err(error)) => return Poll::Ready(Some(Err(Error::new(error.to_string())))),
            Some(Ok(frame)) => {
                if let Ok(mut data) = frame.into_data()
                    && data.has_remaining()
                {
                    return Poll::Ready(Some(Ok(data.copy_to_bytes(data.remaining()))));
                }
            }
        }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        let chunk = match &mut self.0 {
            Inner::Empty => None,
            Inner::Bytes(bytes) => {
                let bytes = std::mem::take(bytes);
                (!bytes.is_empty()).then_some(Ok(bytes))
            }
            Inner::Stream(chunks) => ready!(Pin::new(chunks).poll_next(cx)),
        };
        Poll::Ready(chunk.map(|chunk| chunk.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::Empty => SizeHint::with_exact(0),
            Inner::Bytes(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Inner::Stream(_) => SizeHint::default(),
        }
    }
}

macro_rules! from_bytes {
    ($($type:ty),*) => { $(
        impl From<$type> for Body {
            fn from(bytes: $type) -> Self {
                Self(Inner::Bytes(bytes.into()))
            }
        }
    )* };
}

from_bytes!(Bytes, Vec<u8>, String, &'static [u8], &'static str);

impl From<()> for Body {
    fn from((): ()) -> Self {
        Self::empty()
    }
}

impl From<Readable<Bytes>> for Body {
    fn from(stream: Readable<Bytes>) -> Self {
        Self(Inner::Stream(stream))
    }
}

impl From<ByteStream> for Body {
    fn from(stream: ByteStream) -> Self {
        Readable::from(stream).into()
    }
}

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BodyVisitor)
    }
}

struct BodyVisitor;

impl<'de> Visitor<'de> for BodyVisitor {
    type Value = Body;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a body")
    }

    fn visit_unit<E>(self) -> Result<Body, E> {
        Ok(Body::empty())
    }

    fn visit_none<E>(self) -> Result<Body, E> {
        Ok(Body::empty())
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Body, D::Error> {
        inner.deserialize_any(self)
    }

    fn visit_string<E>(self, text: String) -> Result<Body, E> {
        Ok(text.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Body, E> {
        Ok(text.to_owned().into())
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Body, D::Error> {
        inner.deserialize_bytes(self)
    }

    /// Visits bytes, or the token of a stream.
    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Body, E> {
        match resolve(bytes) {
            None => Ok(bytes.to_vec().into()),
            Some(Item::Cap(Cap::Readable(slot))) => Ok(Readable::from_slot(slot).into()),
            Some(Item::Cap(Cap::Blob(content))) => match content.bytes() {
                Some(bytes) => Ok(bytes.clone().into()),
                None => Err(E::custom("the blob has not arrived")),
            },
            Some(Item::Cap(cap)) => Err(E::custom(format_args!(
                "expected a body, got {}",
                cap.kind()
            ))),
            Some(Item::Payload(_)) => Err(E::custom("expected a body, got a value")),
        }
    }

    fn visit_byte_buf<E: serde::de::Error>(self, bytes: Vec<u8>) -> Result<Body, E> {
        match resolve(&bytes) {
            None => Ok(bytes.into()),
            Some(_) => self.visit_bytes(&bytes),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Inner::Empty => f.write_str("Body(empty)"),
            Inner::Bytes(bytes) => write!(f, "Body({} bytes)", bytes.len()),
            Inner::Stream(_) => f.write_str("Body(stream)"),
        }
    }
}
