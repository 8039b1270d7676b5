//! Failures to open a session.

use std::{fmt::Display, net::SocketAddr, ops::RangeInclusive, time::Duration};

use capnweb_core::ConnectFailure;
use capnweb_net::ConnectError;
use wtransport::error::{ConnectingError, ConnectionError};

/// The lack of a session in time; `answered` is whether anybody was there.
pub(super) fn timeout(timeout: Duration, answered: bool) -> ConnectError {
    if answered {
        ConnectError::new(
            ConnectFailure::Timeout,
            format!("no session within {timeout:?}"),
        )
    } else {
        ConnectError::new(
            ConnectFailure::Unreachable,
            format!("nobody answers there over UDP within {timeout:?}"),
        )
    }
}

/// A certificate that is not trusted.
pub(super) fn certificate(refusal: &rustls::Error) -> ConnectError {
    ConnectError::new(
        ConnectFailure::Certificate,
        format!("the server's certificate is not accepted: {refusal}"),
    )
}

/// A failure that has no kind of its own.
pub(super) fn other(cause: &impl Display) -> ConnectError {
    ConnectError::other(cause.to_string())
}

/// An address that cannot be used.
pub(super) fn unreachable(cause: impl Into<String>) -> ConnectError {
    ConnectError::new(ConnectFailure::Unreachable, cause)
}

/// A server that speaks something else.
fn not_capnweb(cause: impl Into<String>) -> ConnectError {
    ConnectError::new(ConnectFailure::NotCapnWeb, cause)
}

/// Returns whether nobody was there, which says less than any answer from another address.
pub(super) fn is_silence(error: &ConnectError) -> bool {
    error.failure == ConnectFailure::Unreachable
}

/// The codes by which HTTP/3 ends a connection over a frame: from `H3_FRAME_UNEXPECTED` to
/// `H3_MISSING_SETTINGS`.
const FRAME_CODES: RangeInclusive<u64> = 0x105..=0x10a;

/// Returns whether one of the ends could not read a frame of HTTP/3 of the other's.
pub(super) fn is_misread_frame(error: &ConnectingError) -> bool {
    match error {
        ConnectingError::ConnectionError(ConnectionError::ApplicationClosed(close)) => {
            FRAME_CODES.contains(&close.code().into_inner())
        }
        ConnectingError::ConnectionError(ConnectionError::LocalH3Error(_)) => true,
        _ => false,
    }
}

/// The failure to connect to this address.
pub(super) fn connecting(address: SocketAddr, error: &ConnectingError) -> ConnectError {
    match error {
        ConnectingError::ConnectionError(ConnectionError::TimedOut) => {
            unreachable(format!("nobody answers at {address} over UDP"))
        }
        ConnectingError::ConnectionError(error) => connection(error),
        ConnectingError::SessionRejected => ConnectError::new(
            ConnectFailure::Rejected,
            "the server refused the session: it does not serve this path, or not for this client",
        ),
        ConnectingError::InvalidRemoteAddress(_) => {
            unreachable(format!("{address} cannot be reached"))
        }
        error => other(error),
    }
}

/// The failure of a connection.
pub(super) fn connection(error: &ConnectionError) -> ConnectError {
    match error {
        ConnectionError::QuicProto(_) | ConnectionError::ConnectionClosed(_) => {
            quic(error.to_string())
        }
        ConnectionError::ApplicationClosed(close) => ConnectError::new(
            ConnectFailure::Rejected,
            format!("the server closed the connection: {close}"),
        ),
        ConnectionError::LocalH3Error(violation) => not_capnweb(format!(
            "the server does not speak HTTP/3 as it should: {violation}"
        )),
        error => other(error),
    }
}

/// The failure of QUIC, or of its TLS.
///
/// The library has codes in its texts only: an alert of TLS is a code of QUIC, which is 256 more,
/// if we have raised it, and as it is if the peer has.
fn quic(text: String) -> ConnectError {
    let alert = |number: u64| {
        text.contains(&format!("(code: {})", 256 + number))
            || text.contains(&format!("handshake failed: error {number}"))
    };
    // no_application_protocol
    if alert(120) {
        return not_capnweb("the server does not speak HTTP/3");
    }
    // protocol_version
    if alert(70) {
        return not_capnweb("the server speaks another version of TLS");
    }
    if text.contains("version mismatched") {
        return not_capnweb("the server speaks another version of QUIC");
    }
    // A code of QUIC itself.
    if text.contains("refused to accept a new connection") {
        return ConnectError::new(
            ConnectFailure::Refused,
            "the server takes no more connections now",
        );
    }
    ConnectError::other(text)
}
