//! Blobs.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    Body,
    form::{self, Form},
};
use crate::{error::Result, stream::Readable};

/// Bytes and their media type: JavaScript's `Blob`.
///
/// It always travels as a stream, however short it is. JavaScript waits for all of a blob before it delivers the
/// message that holds it. Here the message is delivered at once, and [`bytes`](Self::bytes) waits, for as much as it is
/// willing to take: nobody else waits meanwhile, and a blob that is passed on, or not wanted, is never held as a whole.
///
/// ```
/// use capnweb_core::{Object, Result, fetch::Blob};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
/// let api = Object::new()
///     .method("describe", |blob: Blob| async move {
///         let media_type = blob.media_type().to_owned();
///         Ok((media_type, blob.bytes(1 << 20).await?.len()))
///     })
///     .into_stub();
///
/// let blob = Blob::new("text/plain", "hello");
/// let answer = api.call("describe", (blob,)).fetch::<(String, usize)>().await?;
/// assert_eq!(answer, ("text/plain".to_owned(), 5));
/// # Ok(()) }
/// ```
#[must_use = "a blob that is dropped is canceled"]
pub struct Blob {
    media_type: String,
    content: Body,
}

impl Blob {
    /// A blob of this media type, such as `image/png`; JavaScript's default is the empty string. The content is bytes
    /// or a stream of them.
    pub fn new(media_type: impl Into<String>, content: impl Into<Body>) -> Self {
        Self {
            media_type: media_type.into(),
            content: content.into(),
        }
    }

    /// The media type; empty if it is not known.
    pub fn media_type(&self) -> &str {
        &self.media_type
    }

    /// All of it. `limit` is how many bytes it may have at most.
    ///
    /// # Errors
    ///
    /// If there is more, which is then not read, or if the stream breaks off.
    pub async fn bytes(self, limit: usize) -> Result<Bytes> {
        self.content.bytes(limit).await
    }

    /// All of it as text. `limit` is how many bytes it may have at most. What is no UTF-8 becomes U+FFFD.
    ///
    /// # Errors
    ///
    /// As [`bytes`](Self::bytes).
    pub async fn text(self, limit: usize) -> Result<String> {
        self.content.text(limit).await
    }

    /// All of it, chunk by chunk.
    pub fn into_stream(self) -> Readable<Bytes> {
        self.content.into_stream()
    }
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut form = Form::new("blob");
        form.item().string(&self.media_type);
        form::written(self.content.write_as_stream(form.item()))?;
        form.give(serializer)
    }
}

/// What there is in the form.
#[derive(Deserialize)]
struct Parts {
    #[serde(rename = "type")]
    media_type: String,
    body: Body,
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Parts { media_type, body } = form::read("blob", deserializer)?;
        Ok(Self::new(media_type, body))
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blob")
            .field("media_type", &self.media_type)
            .field("content", &self.content)
            .finish()
    }
}
