//! Encodings of messages.

use bytes::Bytes;

use super::MessageBody;
use crate::{
    Attachment,
    graph::error::{Error, Result},
    limits::Limits,
};
#[cfg(feature = "message-pack")]
use crate::{graph::payload::Cap, util::invariant::Invariant};

/// The encoding of messages, for transports that offer a choice. Both ends have to agree on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Encoding {
    /// JSON text, with bytes as base64. Every implementation supports it.
    #[default]
    Json,
    /// [MessagePack](https://msgpack.org), with bytes as they are.
    ///
    /// It is compatible with a custom transport of the TypeScript library that packs messages of
    /// the encoding level `jsonCompatibleWithBytes`. Messages with many bytes are shorter and
    /// faster, because bytes are copied unchanged. Other messages are slower, because they are
    /// translated at the edge. Lone surrogates become U+FFFD.
    #[cfg(feature = "message-pack")]
    MessagePack,
}

impl Encoding {
    /// Returns whether bytes are sent as they are rather than as text.
    pub fn has_bytes(self) -> bool {
        self != Self::Json
    }

    /// Encodes a message and appends it to `out`, for transports. `message` is JSON, as in
    /// [`Outgoing`](crate::Outgoing).
    ///
    /// # Errors
    ///
    /// Returns an error if `message` is not a message.
    pub fn encode(self, message: &[u8], out: &mut Vec<u8>) -> Result<()> {
        self.encode_attached(message, &[], out)
    }

    /// Encodes a message that has [attachments](crate::Outgoing::attachments), like
    /// [`encode`](Self::encode).
    ///
    /// # Errors
    ///
    /// Returns an error if `message` is not a message.
    pub fn encode_attached(
        self,
        message: &[u8],
        attachments: &[Attachment],
        out: &mut Vec<u8>,
    ) -> Result<()> {
        match self {
            Self::Json => {
                Attachment::inline(message, attachments, out);
                Ok(())
            }
            #[cfg(feature = "message-pack")]
            Self::MessagePack => {
                let text = std::str::from_utf8(message).or_bug("our messages are UTF-8");
                capnweb_wire::message_pack::pack(text, attachments, out).map_err(failed)
            }
        }
    }

    /// Encodes a message in pieces, for transports that can send it that way.
    ///
    /// # Errors
    ///
    /// Returns an error if `message` is not a message.
    pub fn encode_body(self, message: &[u8], attachments: &[Attachment]) -> Result<MessageBody> {
        MessageBody::new(self, message, attachments)
    }

    /// Decodes a message and appends its text to `out`, for transports. The text is what
    /// [`Received`](crate::Received) contains.
    ///
    /// # Errors
    ///
    /// Returns an error if `bytes` are not a message or exceed a limit.
    pub fn decode(self, bytes: &[u8], limits: &Limits, out: &mut String) -> Result<()> {
        match self {
            Self::Json => {
                let _ = limits;
                let text = std::str::from_utf8(bytes)
                    .map_err(|_| Error::protocol("a message is not valid UTF-8"))?;
                out.push_str(text);
                Ok(())
            }
            #[cfg(feature = "message-pack")]
            Self::MessagePack => {
                let mut text = std::mem::take(out).into_bytes();
                let result = capnweb_wire::message_pack::to_json(bytes, limits.wire(), &mut text);
                *out = String::from_utf8(text).or_bug("translated messages are UTF-8");
                result.map_err(failed)
            }
        }
    }

    /// Decodes a message into its text and attachments, as [`Received`](crate::Received) contains
    /// them. `out` and `attachments` must be empty.
    ///
    /// # Errors
    ///
    /// Returns an error if `bytes` are not a message or exceed a limit.
    pub fn decode_attached(
        self,
        bytes: &[u8],
        limits: &Limits,
        out: &mut String,
        attachments: &mut Vec<Attachment>,
    ) -> Result<()> {
        self.decode_with(bytes, limits, &Bytes::copy_from_slice, out, attachments)
    }

    /// Decodes a message, like [`decode_attached`](Self::decode_attached), from a buffer with no
    /// other owner. A byte string that makes up most of the buffer is not copied.
    ///
    /// # Errors
    ///
    /// Returns an error if `bytes` are not a message or exceed a limit.
    pub fn decode_owned(
        self,
        bytes: &Bytes,
        limits: &Limits,
        out: &mut String,
        attachments: &mut Vec<Attachment>,
    ) -> Result<()> {
        // A slice of the buffer keeps all of it in memory.
        let keep = |part: &[u8]| match part.len() < bytes.len() / 2 {
            true => Bytes::copy_from_slice(part),
            false => bytes.slice_ref(part),
        };
        self.decode_with(bytes, limits, &keep, out, attachments)
    }

    /// Decodes the parts of messages. In JSON, each line of the text is a message.
    ///
    /// # Errors
    ///
    /// Returns an error if `parts` are no text in JSON. Otherwise returns the same errors as
    /// [`decode_owned`](Self::decode_owned).
    pub fn decode_parts(
        self,
        mut parts: Vec<Bytes>,
        limits: &Limits,
    ) -> Result<(String, Vec<Attachment>)> {
        let whole = match parts.pop() {
            Some(only) if parts.is_empty() => only,
            last => {
                parts.extend(last);
                let mut whole = Vec::with_capacity(parts.iter().map(Bytes::len).sum());
                // Each part is freed once it is copied.
                parts
                    .into_iter()
                    .for_each(|part| whole.extend_from_slice(&part));
                whole.into()
            }
        };
        if self == Self::Json {
            let text = String::from_utf8(whole.into())
                .map_err(|_| Error::protocol("a message is not valid UTF-8"))?;
            return Ok((text, Vec::new()));
        }
        let (mut text, mut attachments) = (String::new(), Vec::new());
        self.decode_owned(&whole, limits, &mut text, &mut attachments)?;
        Ok((text, attachments))
    }

    /// Decodes a message. `keep` turns a part of `bytes` into an attachment.
    fn decode_with(
        self,
        bytes: &[u8],
        limits: &Limits,
        keep: &dyn Fn(&[u8]) -> Bytes,
        out: &mut String,
        attachments: &mut Vec<Attachment>,
    ) -> Result<()> {
        match self {
            Self::Json => {
                let _ = keep;
                attachments.clear();
                self.decode(bytes, limits, out)
            }
            #[cfg(feature = "message-pack")]
            Self::MessagePack => {
                let mut text = std::mem::take(out).into_bytes();
                let result = capnweb_wire::message_pack::unpack(
                    bytes,
                    limits.wire(),
                    Cap::BYTES_FROM,
                    keep,
                    &mut text,
                    attachments,
                );
                *out = String::from_utf8(text).or_bug("translated messages are UTF-8");
                result.map_err(failed)
            }
        }
    }
}

#[cfg(feature = "message-pack")]
pub(super) fn failed(error: capnweb_wire::message_pack::PackError) -> Error {
    if error.is_limit() {
        Error::exceeds(crate::Limit::MessageSize, error.to_string())
    } else {
        Error::protocol(error.to_string())
    }
}
