//! Close frames of both sides, and the errors that describe them.

use capnweb_core::{EndCause, Error, Limit, SessionEnd};

use crate::frame::Fault;
use capnweb_core::invariant::Invariant;

/// The code of a session that ended normally.
const NORMAL: u16 = 1000;
const PROTOCOL: u16 = 1002;
pub(crate) const INVALID: u16 = 1007;
pub(crate) const TOO_LONG: u16 = 1009;
const TRY_AGAIN_LATER: u16 = 1013;

/// The code of a session that ended with an error.
const SESSION_FAILED: u16 = 3000;

/// The maximum length of the reason in a close frame: 125 bytes minus 2 for the code.
const MAX_REASON_BYTES: usize = 123;

/// Returns the payload of a close frame that reports `reason`, truncated if necessary. `fault` is
/// the code for a violation of WebSocket itself.
pub(crate) fn frame(reason: Option<&Error>, fault: Option<u16>) -> Vec<u8> {
    let (code, reason) = match reason {
        Some(reason) => (
            fault.or(own_code(reason)).unwrap_or(SESSION_FAILED),
            cut(reason.message(), MAX_REASON_BYTES),
        ),
        None => (NORMAL, ""),
    };
    [&code.to_be_bytes(), reason.as_bytes()].concat()
}

/// Returns the code that the application has set for the end of the session.
fn own_code(reason: &Error) -> Option<u16> {
    let end = reason.session_end()?;
    let code = end.close_code().filter(|code| may_be_sent(*code))?;
    (end.cause() == EndCause::Here).then_some(code)
}

/// Returns the longest prefix of `text` that fits into `max_bytes` and ends between characters.
fn cut(text: &str, max_bytes: usize) -> &str {
    let mut end = text.len().min(max_bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).or_bug("the end is at a character")
}

/// Parses the peer's close frame. The error has the message that JavaScript peers use.
pub(crate) fn read(payload: &[u8]) -> Result<Error, Fault> {
    match payload {
        // APIs report this code for a close frame without a code.
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

/// Returns whether this code is valid in a close frame: it has a defined meaning, or is reserved
/// for applications and libraries. The codes for a frame without a code, or for a missing frame,
/// are never sent.
fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// Returns the error for a connection that ended without a close frame.
pub(crate) fn lost(cause: &str) -> Error {
    closed(EndCause::Network, 1006, cause, false)
}

/// The reason that this crate and the TypeScript library send when the last handle of a session is
/// dropped.
const SHUT_DOWN: &str = "RPC session was shut down by disposing the main stub";

fn peer_closed(code: u16, reason: &str) -> Error {
    let normal =
        matches!(code, 1000 | 1001 | 1005) || code == SESSION_FAILED && reason == SHUT_DOWN;
    closed(EndCause::Peer, code, reason, normal)
}

fn closed(cause: EndCause, code: u16, reason: &str, normal: bool) -> Error {
    let end = SessionEnd::new(cause).with_close_code(code);
    Error::disconnected(format!("Peer closed WebSocket: {code} {reason}"))
        .with_session_end(if normal { end.normal() } else { end })
}

/// Returns the code to close with after a fault.
pub(crate) fn code(fault: Fault) -> u16 {
    match fault {
        Fault::TooLong { .. } => TOO_LONG,
        Fault::NoRoom => TRY_AGAIN_LATER,
        Fault::NotUtf8 => INVALID,
        _ => PROTOCOL,
    }
}

/// Returns the error for a fault. Nothing more can be read after it.
pub(crate) fn fault(fault: Fault) -> Error {
    match fault {
        Fault::TooLong { .. } => Error::exceeds(Limit::MessageSize, fault.to_string()),
        Fault::NoRoom => Error::exceeds(Limit::UnfinishedBytes, fault.to_string()),
        Fault::NotUtf8 => Error::disconnected(fault.to_string()),
        _ => Error::disconnected(format!("the peer broke the WebSocket protocol: {fault}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        // 61 characters of two bytes are 122 bytes. A 62nd would end at 124.
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
    fn the_application_chooses_the_code() {
        let code = |cause, code| {
            let end = SessionEnd::new(cause).with_close_code(code);
            let payload = frame(Some(&Error::new("restarting").with_session_end(end)), None);
            u16::from_be_bytes([payload[0], payload[1]])
        };
        assert_eq!(code(EndCause::Here, 1012), 1012);
        // These codes are never sent, or belong to another connection.
        assert_eq!(code(EndCause::Here, 1006), SESSION_FAILED);
        assert_eq!(code(EndCause::Peer, 1012), SESSION_FAILED);
    }

    #[test]
    fn ends_have_a_type() {
        let end = |error: &Error| *error.session_end().unwrap();
        for (code, reason, normal) in [
            (1000, "", true),
            (1012, "restarting", false),
            (3000, SHUT_DOWN, true),
            (3000, "out of tea", false),
        ] {
            let told = end(&peer_closed(code, reason));
            assert_eq!(
                (told.cause(), told.close_code()),
                (EndCause::Peer, Some(code))
            );
            assert_eq!(told.is_normal(), normal, "{code} {reason}");
        }
        assert_eq!(end(&lost("reset")).cause(), EndCause::Network);
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
