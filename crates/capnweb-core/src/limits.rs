//! Bounds on the resources that a peer may use.

/// Bounds on the resources that a peer may use. Every default is far above what honest peers need.
///
/// The bounds on messages are those of the TypeScript library. The other bounds have no counterpart
/// there: they limit the memory that a peer can pin and the work that it can cause on this side. A
/// *soft* bound delays the delivery of new calls until there is room. Exceeding a *hard* bound ends
/// the session with an error that names the limit.
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
    /// The longest message, in UTF-16 code units as JavaScript counts them. It also bounds values
    /// that are assembled on this side. Default: 32 Mi.
    max_message_size, with_max_message_size, wire.max_message_size;
    /// The deepest nesting of a message. A value at the top is at depth 0. Default: 256.
    max_depth, with_max_depth, wire.max_depth;
    /// The longest big integer, in decimal digits including the sign. Default: 16,384.
    max_bigint_digits, with_max_bigint_digits, wire.max_bigint_digits;
    /// The number of entries that a session's table of exports may have: results that the peer has
    /// not released, and objects that it holds. Hard. Default: 262,144.
    max_exports, with_max_exports, max_exports;
    /// The number of the peer's calls that may be unfinished before further calls are delayed.
    /// Soft. Default: 16,384.
    soft_calls, with_soft_calls, soft_calls;
    /// The number of the peer's calls that may be unfinished, including calls that are delayed.
    /// Hard. Default: 65,536.
    max_calls, with_max_calls, max_calls;
    /// The number of bytes of messages that the peer may leave unread before its further calls are
    /// delayed. Soft. Default: 64 MiB.
    soft_unsent_bytes, with_soft_unsent_bytes, soft_unsent_bytes;
    /// The total number of bytes that may be held for the peer: messages that wait to be sent,
    /// results, waiting calls, and the memory of tables and capabilities. Hard. Default: 512 MiB.
    max_held_bytes, with_max_held_bytes, max_held_bytes;
    /// The number of bytes that the peer may have written to streams and that have not been read
    /// yet. It counts all streams together, with a fixed overhead for each chunk. An honest peer
    /// starts with 256 KiB per stream, and sends more only as its chunks are read. Hard. Default:
    /// 256 MiB.
    max_stream_bytes, with_max_stream_bytes, max_stream_bytes;
    /// The largest blob that the peer may send, in bytes. A blob is collected before it is
    /// delivered, and the collected bytes count as held for the peer. Exceeding the limit rejects
    /// the call, or fails the result, that contains the blob. Default: 64 MiB.
    max_blob_bytes, with_max_blob_bytes, max_blob_bytes;
    /// The number of instructions that one `map` may evaluate, for all elements and nested maps
    /// together. Exceeding it rejects the map. Default: 4,000,000.
    max_map_instructions, with_max_map_instructions, max_map_instructions;
    /// The largest result of one `map`, in bytes. Exceeding it rejects the map. Default: 64 MiB.
    max_map_bytes, with_max_map_bytes, max_map_bytes;
    /// The longest message that is sent, in UTF-16 code units. A longer message would end the
    /// session at the peer. A call or result that exceeds the limit fails. Default: 32 Mi, the
    /// peers' default for incoming messages.
    max_outgoing_message_size, with_max_outgoing_message_size, max_outgoing_message_size;
}

impl Limits {
    /// Returns [`max_message_size`](Self::max_message_size) as a bound in bytes, for transports. A
    /// UTF-16 code unit takes up to three bytes in UTF-8.
    pub fn max_message_bytes(&self) -> usize {
        self.wire.max_message_bytes()
    }

    /// Checks that a message can be sent. `text` is its content and `base64` the number of bytes of
    /// base64 that will be inserted. The check allows for the rest of the message around the
    /// content.
    pub(crate) fn check_outgoing(
        &self,
        text: &str,
        base64: usize,
        capabilities: usize,
    ) -> Result<(), LimitExceeded> {
        /// The maximum sizes of a message's frame around its content, and of one capability.
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

    /// Checks that content of `bytes` bytes, which is still growing, can be sent.
    pub(crate) fn check_growth(&self, bytes: usize) -> Result<(), LimitExceeded> {
        // A code unit takes up to three bytes.
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
                "an outgoing message exceeds {limit} UTF-16 code units \
                 (limit max_outgoing_message_size)"
            ),
        )
    }

    pub(crate) fn wire(&self) -> &capnweb_wire::Limits {
        &self.wire
    }
}

/// One of the limits of [`Limits`], as a value.
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
    /// The bytes of unfinished messages that all connections of a server may hold together: a
    /// [`ByteBudget`](crate::ByteBudget).
    UnfinishedBytes,
}

impl Limit {
    /// Returns the name for labels of metrics and logs. It is the name of the setting without
    /// `max_`, such as `exports`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MessageSize => "message_size",
            Self::Depth => "depth",
            Self::BigIntDigits => "bigint_digits",
            Self::Exports => "exports",
            Self::Calls => "calls",
            Self::HeldBytes => "held_bytes",
            Self::StreamBytes => "stream_bytes",
            Self::BlobBytes => "blob_bytes",
            Self::MapInstructions => "map_instructions",
            Self::MapBytes => "map_bytes",
            Self::OutgoingMessageSize => "outgoing_message_size",
            Self::UnfinishedBytes => "unfinished_bytes",
        }
    }
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

    /// Creates the error for an unfinished message that exceeds the server's budget.
    pub(crate) fn unfinished() -> Self {
        Self::new(
            Limit::UnfinishedBytes,
            "the server holds too many bytes of unfinished messages (limit max_unfinished_bytes)"
                .to_owned(),
        )
    }

    /// Creates the error for a message that is longer than `limit` bytes.
    pub(crate) fn message_bytes(limit: usize) -> Self {
        Self::new(
            Limit::MessageSize,
            format!("a message exceeds {limit} bytes (limit max_message_size)"),
        )
    }

    /// Creates the error for content that is too long for the positions of spans.
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
            format!("a value with its promises resolved exceeds the maximum depth of {levels}"),
        )
    }
}

/// Returns the length that JavaScript reports for a UTF-8 text.
pub(crate) fn utf16_len(text: &[u8]) -> usize {
    // Count each character once, and each character beyond 16 bits twice.
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
