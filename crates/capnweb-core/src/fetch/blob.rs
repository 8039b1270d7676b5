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

/// Bytes with a media type: JavaScript's `Blob`.
///
/// A blob of any length is sent as a stream, and is complete when the receiver sees it. A call with
/// a blob among its arguments starts, and a result with a blob arrives, once the whole blob has
/// been received. Later calls may start earlier. If a blob exceeds
/// [`Limits::max_blob_bytes`](crate::Limits::max_blob_bytes), or its stream breaks off, its call is
/// rejected.
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
    /// Creates a blob with a media type such as `image/png`. JavaScript's default is the empty
    /// string.
    pub fn new(media_type: impl Into<String>, content: impl Into<Bytes>) -> Self {
        Self {
            media_type: media_type.into(),
            content: content.into(),
        }
    }

    /// Returns the media type. It is empty if unknown.
    pub fn media_type(&self) -> &str {
        &self.media_type
    }

    /// Returns the content.
    pub fn bytes(&self) -> &Bytes {
        &self.content
    }

    /// Returns the content without copying it.
    pub fn into_bytes(self) -> Bytes {
        self.content
    }

    /// Returns the content as text. Invalid UTF-8 is replaced by U+FFFD.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.content)
    }
}

/// The content of a blob within its form.
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

/// The parts of the form.
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
