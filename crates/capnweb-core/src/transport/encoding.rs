//! How messages are written where the transport has a choice.

use crate::{
    error::{Error, Result},
    session::Limits,
};

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
    /// `jsonCompatibleWithBytes`. It is shorter where there are many bytes, and not faster: messages are translated at the
    /// edge. Half of a surrogate pair becomes U+FFFD.
    #[cfg(feature = "message-pack")]
    MessagePack,
}

impl Encoding {
    /// For transports: appends a message to `out`, which is JSON, as [`Outgoing`](crate::Outgoing) has it.
    ///
    /// # Errors
    ///
    /// If it is no message.
    pub fn encode(self, message: &[u8], out: &mut Vec<u8>) -> Result<()> {
        match self {
            Self::Json => {
                out.extend_from_slice(message);
                Ok(())
            }
            #[cfg(feature = "message-pack")]
            Self::MessagePack => {
                let text = std::str::from_utf8(message).unwrap_or_default();
                capnweb_wire::message_pack::from_json(text, out).map_err(failed)
            }
        }
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
                *out = String::from_utf8(text).unwrap_or_default();
                result.map_err(failed)
            }
        }
    }
}

#[cfg(feature = "message-pack")]
fn failed(error: capnweb_wire::message_pack::PackError) -> Error {
    if error.is_limit() {
        Error::limit(error.to_string())
    } else {
        Error::protocol(error.to_string())
    }
}
