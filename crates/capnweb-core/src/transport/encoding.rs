//! How messages are written where the transport has a choice.

use bytes::Bytes;

use super::MessageBody;
use crate::{
    Attachment,
    graph::error::{Error, Result},
    limits::Limits,
};
#[cfg(feature = "message-pack")]
use crate::{graph::payload::Cap, util::invariant::Invariant};

/// How messages are encoded where the transport has a choice. Both ends have to agree on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Encoding {
    /// The text of JSON, in which bytes are base64. Every implementation knows it.
    #[default]
    Json,
    /// [MessagePack](https://msgpack.org), in which bytes are bytes.
    ///
    /// It is what a custom transport of the TypeScript library sends that packs messages of the encoding level
    /// `jsonCompatibleWithBytes`. It is shorter and faster where there are many bytes, which are copied as they are, and
    /// slower elsewhere: messages are translated at the edge. Half of a surrogate pair becomes U+FFFD.
    #[cfg(feature = "message-pack")]
    MessagePack,
}

impl Encoding {
    /// Whether bytes are bytes, and no text.
    pub fn has_bytes(self) -> bool {
        self != Self::Json
    }

    /// For transports: appends a message to `out`, which is JSON, as [`Outgoing`](crate::Outgoing) has it.
    ///
    /// # Errors
    ///
    /// If it is no message.
    pub fn encode(self, message: &[u8], out: &mut Vec<u8>) -> Result<()> {
        self.encode_attached(message, &[], out)
    }

    /// The same for a message with [bytes beside its text](crate::Outgoing::attachments).
    ///
    /// # Errors
    ///
    /// If it is no message.
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

    /// The same for transports that can send it in pieces.
    ///
    /// # Errors
    ///
    /// If it is no message.
    pub fn encode_body(self, message: &[u8], attachments: &[Attachment]) -> Result<MessageBody> {
        MessageBody::new(self, message, attachments)
    }

    /// For transports: appends the text of the message that `bytes` are to `out`, as
    /// [`Received`](crate::Received) has it.
    ///
    /// # Errors
    ///
    /// If they are none, or exceed a limit.
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

    /// The same with long byte strings beside the text, as [`Received`](crate::Received) has them. Both are empty before.
    ///
    /// # Errors
    ///
    /// If they are none, or exceed a limit.
    pub fn decode_attached(
        self,
        bytes: &[u8],
        limits: &Limits,
        out: &mut String,
        attachments: &mut Vec<Attachment>,
    ) -> Result<()> {
        self.decode_with(bytes, limits, &Bytes::copy_from_slice, out, attachments)
    }

    /// The same for bytes that are nobody else's: a byte string that is most of them is not copied.
    ///
    /// # Errors
    ///
    /// If they are none, or exceed a limit.
    pub fn decode_owned(
        self,
        bytes: &Bytes,
        limits: &Limits,
        out: &mut String,
        attachments: &mut Vec<Attachment>,
    ) -> Result<()> {
        // What is kept of them keeps all of them.
        let keep = |part: &[u8]| match part.len() < bytes.len() / 2 {
            true => Bytes::copy_from_slice(part),
            false => bytes.slice_ref(part),
        };
        self.decode_with(bytes, limits, &keep, out, attachments)
    }

    /// The same, where `keep` makes what is kept of a part of `bytes`.
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
