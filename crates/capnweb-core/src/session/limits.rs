//! What a peer may use.

/// What a peer may use. Every bound has a default that is far above what honest peers need.
///
/// Messages are bounded as in the TypeScript library. The rest it lacks: what a peer can pin in
/// memory, and what it can make this side compute. A *soft* bound delays the delivery of new calls
/// until there is room; a *hard* one ends the session with an error that names the limit.
///
/// ```
/// use capnweb_core::Limits;
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
    soft_held_bytes: usize,
    max_held_bytes: usize,
    max_map_instructions: usize,
    max_map_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            wire: capnweb_wire::Limits::default(),
            max_exports: 1 << 18,
            soft_calls: 1 << 14,
            max_calls: 1 << 16,
            soft_held_bytes: 128 << 20,
            max_held_bytes: 512 << 20,
            max_map_instructions: 4_000_000,
            max_map_bytes: 64 << 20,
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
    /// The longest message, in UTF-16 code units as JavaScript counts. Default: 32 Mi.
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
    /// How many bytes may be held for the peer (results, arguments that wait, messages that it does
    /// not read) before its further calls are delayed. Soft. Default: 128 MiB.
    soft_held_bytes, with_soft_held_bytes, soft_held_bytes;
    /// How many bytes may be held for the peer in all. Hard. Default: 512 MiB.
    max_held_bytes, with_max_held_bytes, max_held_bytes;
    /// How many instructions one `map` may evaluate, for all elements and nested maps together.
    /// Exceeding it rejects the map. Default: 4,000,000.
    max_map_instructions, with_max_map_instructions, max_map_instructions;
    /// How many bytes the result of one `map` may have. Exceeding it rejects the map. Default: 64 MiB.
    max_map_bytes, with_max_map_bytes, max_map_bytes;
}

impl Limits {
    /// [`max_message_size`](Self::max_message_size) as a bound in bytes, for transports: a code unit
    /// of UTF-16 has up to three bytes in UTF-8.
    pub fn max_message_bytes(&self) -> usize {
        self.wire.max_message_bytes()
    }

    pub(crate) fn wire(&self) -> &capnweb_wire::Limits {
        &self.wire
    }
}
