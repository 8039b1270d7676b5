//! Violations of the WebSocket protocol.

/// A violation of the WebSocket protocol by the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("a reserved bit of a frame is set")]
    ReservedBits,
    #[error("there is no kind of frame with the opcode {0}")]
    Opcode(u8),
    #[error("a client's frame is not masked")]
    Unmasked,
    #[error("a server's frame is masked")]
    Masked,
    #[error("a ping, pong or close frame is fragmented")]
    FragmentedControl,
    #[error("a ping, pong or close frame is longer than 125 bytes")]
    LongControl,
    #[error("a frame continues a message, and none was begun")]
    NothingToContinue,
    #[error("a message was begun before the last one was complete")]
    Incomplete,
    #[error("a close frame holds half a code")]
    HalfACode,
    #[error("a close frame holds the code {0}, which none may")]
    CloseCode(u16),
    #[error("a WebSocket message is not valid UTF-8")]
    NotUtf8,
    #[error(
        "a WebSocket message of {size} bytes is over the limit of {limit} bytes \
         (Limits::max_message_size)"
    )]
    TooLong { size: u64, limit: usize },
    #[error(
        "the server holds too many bytes of unfinished messages (ServerLimits::max_unfinished_bytes)"
    )]
    NoRoom,
}
