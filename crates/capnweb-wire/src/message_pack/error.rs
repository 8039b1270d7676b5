//! Messages that cannot be translated.

/// The maximum nesting of a text that the scanner accepts: an array of values is two JSON arrays,
/// and the message surrounds the values.
pub(super) const MAX_NESTING: u32 = 2 * crate::scan::MAX_DEPTH + 16;

/// A message that could not be translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// The text is not JSON.
    #[error("the text is not JSON")]
    NotJson,
    /// The bytes end too early.
    #[error("a MessagePack message is not whole")]
    Truncated,
    /// There are bytes after the message.
    #[error("something follows a MessagePack message")]
    Trailing,
    /// There is something that JSON cannot represent.
    #[error("a MessagePack message has {0} in it, which no message may have")]
    Foreign(&'static str),
    /// The key of a map is not a string.
    #[error("a MessagePack message has a key that is not a string")]
    Key,
    /// There are raw bytes where none are allowed.
    #[error("a MessagePack message has raw bytes in it where none belong")]
    StrayBytes,
    /// The message is nested too deeply.
    #[error("a MessagePack message is nested deeper than any message may be")]
    TooDeep,
    /// The text would be too long.
    #[error("a message exceeds {limit} bytes as JSON (limit max_message_size)")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
}

impl PackError {
    /// Returns whether a limit was exceeded.
    #[must_use]
    pub fn is_limit(&self) -> bool {
        matches!(self, Self::TooDeep | Self::TooLarge { .. })
    }
}
