//! Close frames, ours and the peer's, and errors that describe them.

use capnweb_core::{Error, Limit};

use crate::frame::Fault;

/// The codes of our close frames.
const NORMAL: u16 = 1000;
const PROTOCOL: u16 = 1002;
pub(crate) const INVALID: u16 = 1007;
pub(crate) const TOO_LONG: u16 = 1009;

/// The code of a session that ended with an error.
const SESSION_FAILED: u16 = 3000;

/// The room that a close frame has for a reason: 125 bytes less 2 for the code.
const MAX_REASON_BYTES: usize = 123;

/// Returns the payload of a close frame that tells the peer `reason`, as far as it fits. `fault` is
/// the code if the reason lies in WebSocket itself.
pub(crate) fn frame(reason: Option<&Error>, fault: Option<u16>) -> Vec<u8> {
    let (code, reason) = match reason {
        Some(reason) => (
            fault.unwrap_or(SESSION_FAILED),
            cut(reason.message(), MAX_REASON_BYTES),
        ),
        None => (NORMAL, ""),
    };
    [&code.to_be_bytes(), reason.as_bytes()].concat()
}

/// Returns the longest start of `text` that fits into `max_bytes` and ends between characters.
fn cut(text: &str, max_bytes: usize) -> &str {
    let mut end = text.len().min(max_bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// Reads the peer's close frame. The error has the words that JavaScript peers use.
pub(crate) fn read(payload: &[u8]) -> Result<Error, Fault> {
    match payload {
        // The code that APIs have for a close frame without one.
        [] => Ok(peer_closed(1005, "")),
        [_] => Err(Fault::HalfACode),
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            if !may_be_sent(code) {
                return Err(Fault::CloseCode(code));
            }
            let reason = str::from_utf8(reason).map_err(|_| Fault::NotUtf8)?;
            Ok(peer_closed(code, reason))
        }
    }
}

/// Returns whether a close frame may have this code: one with a meaning, or one that applications
/// and libraries may use. Codes that stand for a frame without one, or for no frame, are never
/// sent.
fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// Returns the error for a connection that ended without a close frame.
pub(crate) fn lost(cause: &str) -> Error {
    peer_closed(1006, cause)
}

fn peer_closed(code: u16, reason: &str) -> Error {
    Error::disconnected(format!("Peer closed WebSocket: {code} {reason}"))
}

/// Returns the code with which to close after a fault.
pub(crate) fn code(fault: Fault) -> u16 {
    match fault {
        Fault::TooLong { .. } => TOO_LONG,
        Fault::NotUtf8 => INVALID,
        _ => PROTOCOL,
    }
}

/// Returns the error for a fault, after which nothing more can be read.
pub(crate) fn fault(fault: Fault) -> Error {
    match fault {
        Fault::TooLong { .. } => Error::exceeds(Limit::MessageSize, fault.to_string()),
        Fault::NotUtf8 => Error::disconnected(fault.to_string()),
        _ => Error::disconnected(format!("the peer broke the WebSocket protocol: {fault}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        // 61 characters of two bytes are 122 bytes: the 62nd would end at 124.
        let reason = Error::new("é".repeat(100));
        let expected = [&3000_u16.to_be_bytes(), "é".repeat(61).as_bytes()].concat();
        assert_eq!(frame(Some(&reason), None), expected);
    }

    #[test]
    fn a_reason_that_fits_is_sent_whole() {
        let reason = Error::new("x".repeat(MAX_REASON_BYTES));
        assert_eq!(frame(Some(&reason), None).len(), 125);
    }

    #[test]
    fn a_good_end_is_a_normal_closure() {
        assert_eq!(frame(None, None), 1000_u16.to_be_bytes());
    }

    fn told(code: u16, reason: &str) -> Result<String, Fault> {
        let payload = [&code.to_be_bytes(), reason.as_bytes()].concat();
        read(&payload).map(|error| error.message().to_owned())
    }

    #[test]
    fn the_peers_reason_is_told_as_javascript_tells_it() {
        assert_eq!(
            told(3000, "out of tea").unwrap(),
            "Peer closed WebSocket: 3000 out of tea"
        );
        let error = read(&[]).unwrap();
        assert_eq!(error.message(), "Peer closed WebSocket: 1005 ");
        assert!(error.is_disconnected());
    }

    #[test]
    fn codes_that_are_never_sent_are_faults() {
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535] {
            assert_eq!(told(code, ""), Err(Fault::CloseCode(code)));
        }
        for code in [1000, 1003, 1007, 1014, 3000, 4999] {
            assert!(told(code, "").is_ok(), "{code}");
        }
        assert_eq!(read(&[3]).unwrap_err(), Fault::HalfACode);
        assert_eq!(read(&[3, 232, 0xff]).unwrap_err(), Fault::NotUtf8);
    }
}
