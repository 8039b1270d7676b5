//! What a peer may use.

/// What a peer may use. Every bound has a default that is far above what honest peers need.
///
/// Messages are bounded as in the TypeScript library. The rest it lacks: what a peer can pin in
/// memory, and what it can make this side compute. A *soft* bound delays the delivery of new calls
/// until there is room; a *hard* one ends the session with an error that names the limit.
///
/// ```
/// use capnweb::Limits;
///
/// let limits = Limits::default().with_max_exports(1_000).with_max_message_size(1 << 20);
/// assert_eq!(limits.max_exports(), 1_000);
/// ```
#[derive(Clone, Debug)]
pub struct Limits {
    wire: capnweb_wire::Limits,
    max_exports: usize,
    soft_calls: usize,
    max_calls: usize,
    soft_unsent_bytes: usize,
    max_held_bytes: usize,
    max_stream_bytes: usize,
    max_blob_bytes: usize,
    max_map_instructions: usize,
    max_map_bytes: usize,
    max_outgoing_message_size: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            wire: capnweb_wire::Limits::default(),
            max_exports: 1 << 18,
            soft_calls: 1 << 14,
            max_calls: 1 << 16,
            soft_unsent_bytes: 64 << 20,
            max_held_bytes: 512 << 20,
            max_stream_bytes: 256 << 20,
            max_blob_bytes: 64 << 20,
            max_map_instructions: 4_000_000,
            max_map_bytes: 64 << 20,
            max_outgoing_message_size: 32 << 20,
        }
    }
}

macro_rules! limits {
    ($($(#[doc = $doc:literal])* $get:ident, $set:ident, $($field:ident).+;)*) => {
        impl Limits {
            $(
                $(#[doc = $doc])*
                pub fn $get(&self) -> usize {
                    self.$($field).+
                }

                #[doc = concat!("Sets [`", stringify!($get), "`](Self::", stringify!($get), ").")]
                #[must_use]
                pub fn $set(mut self, value: usize) -> Self {
                    self.$($field).+ = value;
                    self
                }
            )*
        }
    };
}

limits! {
    /// The longest message, in UTF-16 code units as JavaScript counts. It bounds values that are
    /// put together here, too. Default: 32 Mi.
    max_message_size, with_max_message_size, wire.max_message_size;
    /// The deepest nesting of a message; a value at the top is at depth 0. Default: 256.
    max_depth, with_max_depth, wire.max_depth;
    /// The longest big integer, in decimal digits and sign. Default: 16,384.
    max_bigint_digits, with_max_bigint_digits, wire.max_bigint_digits;
    /// How many entries a session's table of exports may have: results that the peer has not
    /// released, objects it holds. Hard. Default: 262,144.
    max_exports, with_max_exports, max_exports;
    /// How many of the peer's calls may be unfinished before further ones are delayed. Soft.
    /// Default: 16,384.
    soft_calls, with_soft_calls, soft_calls;
    /// How many of the peer's calls may be unfinished, those that are delayed included. Hard.
    /// Default: 65,536.
    max_calls, with_max_calls, max_calls;
    /// How many bytes of messages the peer may leave unread before its further calls are delayed.
    /// Soft. Default: 64 MiB.
    soft_unsent_bytes, with_soft_unsent_bytes, soft_unsent_bytes;
    /// The number of bytes that may be held for the peer in all: messages that wait to be sent,
    /// results, waiting calls, and what tables and capabilities take. Hard. Default: 512 MiB.
    max_held_bytes, with_max_held_bytes, max_held_bytes;
    /// How many bytes the peer may have written to streams that nobody has read yet, in all streams
    /// together and with some for each chunk. An honest peer starts with 256 KiB a stream, and sends
    /// more only as its chunks are read. Hard. Default: 256 MiB.
    max_stream_bytes, with_max_stream_bytes, max_stream_bytes;
    /// How many bytes a blob of the peer's may have, which is collected before it is delivered.
    /// Exceeding it rejects the call, or fails the result, that it is in. What is collected counts as
    /// held for the peer. Default: 64 MiB.
    max_blob_bytes, with_max_blob_bytes, max_blob_bytes;
    /// How many instructions one `map` may evaluate, for all elements and nested maps together.
    /// Exceeding it rejects the map. Default: 4,000,000.
    max_map_instructions, with_max_map_instructions, max_map_instructions;
    /// How many bytes the result of one `map` may have. Exceeding it rejects the map. Default: 64 MiB.
    max_map_bytes, with_max_map_bytes, max_map_bytes;
    /// The longest message that is sent, in UTF-16 code units: a longer one would end the session at
    /// the peer. A call or result that is longer fails. Default: 32 Mi, which is what peers take by
    /// default.
    max_outgoing_message_size, with_max_outgoing_message_size, max_outgoing_message_size;
}

impl Limits {
    /// [`max_message_size`](Self::max_message_size) as a bound in bytes, for transports: a code unit
    /// of UTF-16 has up to three bytes in UTF-8.
    pub fn max_message_bytes(&self) -> usize {
        self.wire.max_message_bytes()
    }

    /// Whether a message with this content, so many bytes of base64 in it, and some more for what is around it, can be
    /// sent.
    pub(crate) fn check_outgoing(
        &self,
        text: &str,
        base64: usize,
        capabilities: usize,
    ) -> Result<(), LimitExceeded> {
        /// What a message has besides its content, and what one capability takes, at most.
        const AROUND: usize = 128;
        const CAPABILITY: usize = 32;
        let more = (AROUND + capabilities * CAPABILITY).saturating_add(base64);
        let limit = self.max_outgoing_message_size;
        // There are never more code units than bytes.
        let fits = |len: usize| len.saturating_add(more) <= limit;
        if fits(text.len()) || fits(utf16_len(text.as_bytes())) {
            return Ok(());
        }
        Err(self.too_long())
    }

    /// Whether content of so many bytes, to which more will be added, can still be sent.
    pub(crate) fn check_growth(&self, bytes: usize) -> Result<(), LimitExceeded> {
        // A code unit has up to three bytes.
        if bytes / 3 <= self.max_outgoing_message_size {
            return Ok(());
        }
        Err(self.too_long())
    }

    fn too_long(&self) -> LimitExceeded {
        let limit = self.max_outgoing_message_size;
        LimitExceeded::new(
            Limit::OutgoingMessageSize,
            format!(
                "a message to be sent exceeds {limit} UTF-16 code units \
                 (limit max_outgoing_message_size)"
            ),
        )
    }

    pub(crate) fn wire(&self) -> &capnweb_wire::Limits {
        &self.wire
    }
}

/// A limit of [`Limits`], as a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// [`Limits::max_message_size`].
    MessageSize,
    /// [`Limits::max_depth`].
    Depth,
    /// [`Limits::max_bigint_digits`].
    BigIntDigits,
    /// [`Limits::max_exports`].
    Exports,
    /// [`Limits::max_calls`].
    Calls,
    /// [`Limits::max_held_bytes`].
    HeldBytes,
    /// [`Limits::max_stream_bytes`].
    StreamBytes,
    /// [`Limits::max_blob_bytes`].
    BlobBytes,
    /// [`Limits::max_map_instructions`].
    MapInstructions,
    /// [`Limits::max_map_bytes`].
    MapBytes,
    /// [`Limits::max_outgoing_message_size`].
    OutgoingMessageSize,
    /// The bytes that all connections of a server may hold of unfinished messages together: a
    /// [`ByteBudget`](crate::ByteBudget).
    UnfinishedBytes,
}

/// The error of a check against a limit.
#[derive(Debug)]
pub(crate) struct LimitExceeded {
    pub(crate) limit: Limit,
    pub(crate) message: String,
}

impl LimitExceeded {
    pub(crate) fn new(limit: Limit, message: String) -> Self {
        Self { limit, message }
    }

    /// Creates the error for an unfinished message for which a server has no room.
    pub(crate) fn unfinished() -> Self {
        Self::new(
            Limit::UnfinishedBytes,
            "the server holds too many bytes of unfinished messages (limit max_unfinished_bytes)"
                .to_owned(),
        )
    }

    /// Creates the error for content that is longer than positions in it can tell.
    pub(crate) fn beyond_spans() -> Self {
        Self::new(
            Limit::OutgoingMessageSize,
            "a message cannot be larger than 4 GiB".to_owned(),
        )
    }

    /// Creates the error for a value that is nested deeper than `levels`.
    pub(crate) fn depth(levels: usize) -> Self {
        Self::new(
            Limit::Depth,
            format!("a value with promises filled in exceeds the maximum depth of {levels}"),
        )
    }
}

/// The length in JavaScript of a text in UTF-8.
pub(crate) fn utf16_len(text: &[u8]) -> usize {
    // Each character once, and those beyond 16 bits twice.
    text.iter().filter(|byte| **byte & 0xc0 != 0x80).count()
        + text.iter().filter(|byte| **byte >= 0xf0).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_units_are_counted() {
        for text in ["", "a", "ü€", "🦀x", "\u{ffff}\u{10000}"] {
            assert_eq!(
                utf16_len(text.as_bytes()),
                text.encode_utf16().count(),
                "{text}"
            );
        }
    }
}
