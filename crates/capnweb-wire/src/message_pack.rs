//! Messages as MessagePack, in place of JSON text.
//!
//! The TypeScript library lets a transport carry messages as trees whose bytes are raw: the *encoding level*
//! `jsonCompatibleWithBytes`. Such a tree is what the JSON text says, except that the second item of `["bytes", …]` is bytes
//! and no base64. [`from_json`] writes one as [MessagePack](https://msgpack.org), and [`to_json`] reads one, so that a transport
//! can translate at its edge. [`pack`] and [`unpack`] do the same with long byte strings beside the text, which are not
//! translated at all; [`pack_around`] leaves them to who writes the message.
//!
//! ```
//! use capnweb_wire::{Limits, message_pack};
//!
//! let text = r#"["resolve",1,{"data":["bytes","AQID"]}]"#;
//! let mut packed = Vec::new();
//! message_pack::from_json(text, &mut packed)?;
//! assert!(packed.ends_with(b"\xc4\x03\x01\x02\x03"));
//!
//! let mut back = Vec::new();
//! message_pack::to_json(&packed, &Limits::default(), &mut back)?;
//! assert_eq!(back, text.as_bytes());
//! # Ok::<(), message_pack::PackError>(())
//! ```

mod pack;
mod unpack;

pub use self::{
    pack::{from_json, pack, pack_around},
    unpack::{to_json, unpack},
};

/// Deeper than this no text is nested that the scanner accepts: an array of values is two arrays of JSON, and around the
/// values there is the message.
const MAX_NESTING: u32 = 2 * crate::scan::MAX_DEPTH + 16;

/// Why a message could not be translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// The text is no JSON.
    #[error("the text is no JSON")]
    NotJson,
    /// The bytes end too early.
    #[error("a MessagePack message is not whole")]
    Truncated,
    /// Something follows the message.
    #[error("something follows a MessagePack message")]
    Trailing,
    /// There is something that JSON has no word for.
    #[error("a MessagePack message has {0} in it, which no message may have")]
    Foreign(&'static str),
    /// The key of a map is no string.
    #[error("a MessagePack message has a key in it that is no string")]
    Key,
    /// There are raw bytes where none belong.
    #[error("a MessagePack message has raw bytes in it where none belong")]
    StrayBytes,
    /// It is nested too deeply.
    #[error("a MessagePack message is nested deeper than any message may be")]
    TooDeep,
    /// Its text would be too long.
    #[error("a message exceeds {limit} bytes as JSON (limit max_message_size)")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
}

impl PackError {
    /// Whether a limit was exceeded.
    #[must_use]
    pub fn is_limit(&self) -> bool {
        matches!(self, Self::TooDeep | Self::TooLarge { .. })
    }
}

#[cfg(test)]
mod tests;
