//! How a WebSocket ends, put into words: close frames of ours, and errors from theirs.

use capnweb_core::Error;
use tokio_tungstenite::tungstenite::{
    self, Utf8Bytes,
    error::{CapacityError, ProtocolError},
    protocol::{CloseFrame, frame::coding::CloseCode},
};

/// The code with which a session closes that did not end well.
const SESSION_FAILED: CloseCode = CloseCode::Library(3000);

/// What a close frame has room for besides its code: 125 bytes less 2.
const MAX_REASON_BYTES: usize = 123;

/// The close frame that tells the peer why, as far as it fits. `fault` is the code for a reason that
/// lies in WebSocket itself.
pub(crate) fn close_frame(reason: Option<&Error>, fault: Option<CloseCode>) -> CloseFrame {
    match reason {
        Some(reason) => CloseFrame {
            code: fault.unwrap_or(SESSION_FAILED),
            reason: cut(reason.message(), MAX_REASON_BYTES).into(),
        },
        None => CloseFrame {
            code: CloseCode::Normal,
            reason: Utf8Bytes::default(),
        },
    }
}

/// As much of `text` as fits into so many bytes without cutting through a character.
fn cut(text: &str, max_bytes: usize) -> &str {
    let mut end = text.len().min(max_bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// The peer closed, in good order: told in the words that JavaScript peers use.
pub(crate) fn closed_by_peer(frame: Option<&CloseFrame>) -> Error {
    match frame {
        Some(frame) => peer_closed(u16::from(frame.code), &frame.reason),
        // What an API must say of a close frame without a code.
        None => peer_closed(1005, ""),
    }
}

/// The connection ended without a close frame.
pub(crate) fn lost(cause: &str) -> Error {
    peer_closed(1006, cause)
}

fn peer_closed(code: u16, reason: &str) -> Error {
    Error::disconnected(format!("Peer closed WebSocket: {code} {reason}"))
}

/// Why nothing more can be read, and the code with which to close if the peer is at fault.
pub(crate) fn receive_error(error: &tungstenite::Error) -> (Error, Option<CloseCode>) {
    use tungstenite::Error as E;
    match error {
        E::ConnectionClosed
        | E::AlreadyClosed
        | E::Protocol(ProtocolError::ResetWithoutClosingHandshake) => (
            lost("the connection ended without a closing handshake"),
            None,
        ),
        E::Io(cause) => (lost(&cause.to_string()), None),
        E::Capacity(CapacityError::MessageTooLong { size, max_size }) => (
            Error::limit(format!(
                "a WebSocket message of {size} bytes is over the limit of {max_size} bytes \
                 (Limits::max_message_size)"
            )),
            Some(CloseCode::Size),
        ),
        E::Utf8(_) => (not_utf8(), Some(CloseCode::Invalid)),
        E::Protocol(violation) => (
            Error::disconnected(format!(
                "the peer broke the WebSocket protocol: {violation}"
            )),
            Some(CloseCode::Protocol),
        ),
        other => (
            Error::disconnected(format!("reading from the WebSocket failed: {other}")),
            None,
        ),
    }
}

pub(crate) fn not_utf8() -> Error {
    Error::disconnected("a WebSocket message is not valid UTF-8")
}

/// Why nothing more can be written.
pub(crate) fn send_error(error: &tungstenite::Error) -> Error {
    use tungstenite::Error as E;
    match error {
        E::ConnectionClosed | E::AlreadyClosed | E::Protocol(ProtocolError::SendAfterClosing) => {
            lost("the WebSocket is closed")
        }
        E::Io(cause) => lost(&cause.to_string()),
        E::WriteBufferFull(message) => Error::limit(format!(
            "a message of {} bytes is too large to be sent over a WebSocket",
            message.len()
        )),
        other => Error::disconnected(format!("writing to the WebSocket failed: {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        // 61 characters of two bytes are 122 bytes: the 62nd would end at 124.
        let reason = Error::new("é".repeat(100));
        let frame = close_frame(Some(&reason), None);
        assert_eq!(u16::from(frame.code), 3000);
        assert_eq!(frame.reason.as_str(), "é".repeat(61));
    }

    #[test]
    fn a_reason_that_fits_is_sent_whole() {
        let reason = Error::new("x".repeat(MAX_REASON_BYTES));
        assert_eq!(
            close_frame(Some(&reason), None).reason.len(),
            MAX_REASON_BYTES
        );
    }

    #[test]
    fn a_good_end_is_a_normal_closure() {
        let frame = close_frame(None, None);
        assert_eq!(u16::from(frame.code), 1000);
        assert_eq!(frame.reason.as_str(), "");
    }

    #[test]
    fn the_peers_reason_is_told_as_javascript_tells_it() {
        let frame = CloseFrame {
            code: CloseCode::from(3000),
            reason: "out of tea".into(),
        };
        assert_eq!(
            closed_by_peer(Some(&frame)).message(),
            "Peer closed WebSocket: 3000 out of tea"
        );
        assert_eq!(
            closed_by_peer(None).message(),
            "Peer closed WebSocket: 1005 "
        );
        assert!(closed_by_peer(None).is_disconnected());
    }
}
