//! How a WebSocket ends, put into words: close frames of ours and of theirs, and what they did wrong.

use capnweb_core::Error;

use crate::frame::Fault;

/// The codes with which we close, beyond those that a peer may send.
const NORMAL: u16 = 1000;
const PROTOCOL: u16 = 1002;
pub(crate) const INVALID: u16 = 1007;
pub(crate) const TOO_LONG: u16 = 1009;

/// The code with which a session closes that did not end well.
const SESSION_FAILED: u16 = 3000;

/// What a close frame has room for besides its code: 125 bytes less 2.
const MAX_REASON_BYTES: usize = 123;

/// What a close frame holds that tells the peer why, as far as it fits. `fault` is the code for a reason that
/// lies in WebSocket itself.
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

/// As much of `text` as fits into so many bytes without cutting through a character.
fn cut(text: &str, max_bytes: usize) -> &str {
    let mut end = text.len().min(max_bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// What the peer's close frame says, in the words that JavaScript peers use.
pub(crate) fn read(payload: &[u8]) -> Result<Error, Fault> {
    match payload {
        // What an API must say of a close frame without a code.
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

/// Those that have a meaning, and those that applications and libraries may give one. What stands for a frame without a
/// code, or for no frame at all, is never sent.
fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// The connection ended without a close frame.
pub(crate) fn lost(cause: &str) -> Error {
    peer_closed(1006, cause)
}

fn peer_closed(code: u16, reason: &str) -> Error {
    Error::disconnected(format!("Peer closed WebSocket: {code} {reason}"))
}

/// The code with which to close after a fault.
pub(crate) fn code(fault: Fault) -> u16 {
    match fault {
        Fault::TooLong { .. } => TOO_LONG,
        Fault::NotUtf8 => INVALID,
        _ => PROTOCOL,
    }
}

/// Why nothing more can be read.
pub(crate) fn fault(fault: Fault) -> Error {
    match fault {
        Fault::TooLong { .. } => Error::limit(fault.to_string()),
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
    fn codes_that_are_never_sent() {
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
