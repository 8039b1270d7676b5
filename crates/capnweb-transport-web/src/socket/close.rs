//! Close codes and reasons of WebSockets.

use capnweb_core::{ConnectFailure, EndCause, Error, SessionEnd};

use crate::failure::Failure;

/// The code for a session that ended with an error. It also replaces codes that pages may not send.
pub(super) const SESSION_FAILED: u16 = 3000;

/// The code for a session that ended normally.
pub(super) const NORMAL: u16 = 1000;

/// The code that means that the connection was lost.
const LOST: u16 = 1006;

/// The maximum length of a reason in bytes.
const MAX_REASON_BYTES: usize = 123;

/// The reason that peers send when the last handle of a session is dropped.
const SHUT_DOWN: &str = "RPC session was shut down by disposing the main stub";

/// Returns the code and the reason with which to close.
pub(super) fn code_and_reason(reason: Option<&Error>, fault: Option<u16>) -> (u16, &str) {
    match reason {
        Some(reason) => (
            fault.or_else(|| own_code(reason)).unwrap_or(SESSION_FAILED),
            cut(reason.message()),
        ),
        None => (NORMAL, ""),
    }
}

/// Returns the code that the application has chosen for the end of the session.
fn own_code(reason: &Error) -> Option<u16> {
    let end = reason.session_end()?;
    end.close_code().filter(|_| end.cause() == EndCause::Here)
}

/// Returns the longest prefix of `text` that fits and ends at a character boundary.
fn cut(text: &str) -> &str {
    let mut end = text.len().min(MAX_REASON_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// Returns the reason for the end of a session whose WebSocket was closed by the peer or lost.
pub(super) fn closed(code: u16, reason: &str) -> Error {
    let is_normal =
        matches!(code, 1000 | 1001 | 1005) || code == SESSION_FAILED && reason == SHUT_DOWN;
    let cause = match code {
        LOST => EndCause::Network,
        _ => EndCause::Peer,
    };
    let end = SessionEnd::new(cause).with_close_code(code);
    Error::disconnected(format!("Peer closed WebSocket: {code} {reason}"))
        .with_session_end(if is_normal { end.normal() } else { end })
}

/// Returns the reason for the end of a session whose connection was lost.
pub(super) fn lost(cause: &str) -> Error {
    closed(LOST, cause)
}

/// Returns the reason for the end of a session whose WebSocket never opened.
pub(super) fn not_opened(url: &str, cause: &str) -> Error {
    failed(
        url,
        // Hosts do not tell pages the cause, so that pages cannot probe a network.
        Failure::new(ConnectFailure::Other, cause),
    )
}

/// Returns the error for a WebSocket that could not be opened.
pub(super) fn failed(url: &str, failure: Failure) -> Error {
    let message = format!("WebSocket connection failed: {url}: {}", failure.cause);
    failure.into_error(message)
}
