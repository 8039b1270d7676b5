//! Blobs.

use std::{borrow::Cow, fmt};

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{
    fetch::{Body, form, form::Form},
    graph::{
        error::Result,
        payload::{Cap, Item, stash},
        stream::BlobContent,
    },
};

/// Bytes and their media type: JavaScript's `Blob`.
///
/// It always travels as a stream, however short it is, and is whole where it is received: a call with a blob among its
/// arguments starts, and a result with one in it is there, when all of the blob has arrived. Calls that come after may
/// start before. A blob that has more bytes than
/// [`Limits::max_blob_bytes`](crate::Limits::max_blob_bytes), or whose stream breaks off, rejects its call.
///
/// ```
/// use capnweb::{Object, Result, fetch::Blob};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
/// let api = Object::new()
///     .sync_method("describe", |blob: Blob| {
///         Ok((blob.media_type().to_owned(), blob.bytes().len()))
///     })
///     .into_stub();
///
/// let blob = Blob::new("text/plain", "hello");
/// let answer = api.call("describe", (blob,)).fetch::<(String, usize)>().await?;
/// assert_eq!(answer, ("text/plain".to_owned(), 5));
/// # Ok(()) }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Blob {
    media_type: String,
    content: Bytes,
}

impl Blob {
    /// A blob of this media type, such as `image/png`; JavaScript's default is the empty string.
    pub fn new(media_type: impl Into<String>, content: impl Into<Bytes>) -> Self {
        Self {
            media_type: media_type.into(),
            content: content.into(),
        }
    }

    /// The media type; empty if it is not known.
    pub fn media_type(&self) -> &str {
        &self.media_type
    }

    /// All of it.
    pub fn bytes(&self) -> &Bytes {
        &self.content
    }

    /// All of it, without a copy.
    pub fn into_bytes(self) -> Bytes {
        self.content
    }

    /// All of it as text. What is no UTF-8 becomes U+FFFD.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.content)
    }
}

/// The content of a blob in its form.
struct Content<'a>(&'a Bytes);

impl Serialize for Content<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let content = BlobContent::whole(self.0.clone());
        stash(
            Item::Cap(Cap::Blob(content)),
            capnweb_wire::CAPABILITY,
            serializer,
        )
    }
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut form = Form::new("blob");
        form.item().string(&self.media_type);
        form::written(form.item().value(&Content(&self.content)))?;
        form.stash(serializer)
    }
}

/// What there is in the form.
#[derive(Deserialize)]
struct BlobParts {
    #[serde(rename = "type")]
    media_type: String,
    body: Body,
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let BlobParts { media_type, body } = form::read("blob", deserializer)?;
        match body.into_bytes() {
            Some(content) => Ok(Self::new(media_type, content)),
            None => Err(D::Error::custom("expected a blob, got a stream")),
        }
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blob")
            .field("media_type", &self.media_type)
            .field("content", &format_args!("{} bytes", self.content.len()))
            .finish()
    }
}
