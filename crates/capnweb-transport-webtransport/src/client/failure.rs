//! Failures to open a session.

use std::{fmt::Display, net::SocketAddr, ops::RangeInclusive, time::Duration};

use capnweb_core::ConnectFailure;
use capnweb_net::ConnectError;
use wtransport::error::{ConnectingError, ConnectionError};

/// Returns the failure for a timeout. `answered` is whether there was any answer.
pub(super) fn timeout(timeout: Duration, answered: bool) -> ConnectError {
    if answered {
        ConnectError::new(
            ConnectFailure::Timeout,
            format!("no session within {timeout:?}"),
        )
    } else {
        ConnectError::new(
            ConnectFailure::Unreachable,
            format!("there is no answer over UDP within {timeout:?}"),
        )
    }
}

/// Returns the failure for a certificate that is not trusted.
pub(super) fn certificate(refusal: &rustls::Error) -> ConnectError {
    ConnectError::new(
        ConnectFailure::Certificate,
        format!("the server's certificate is not accepted: {refusal}"),
    )
}

/// Returns a failure of no particular kind.
pub(super) fn other(cause: &impl Display) -> ConnectError {
    ConnectError::other(cause.to_string())
}

/// Returns the failure for an address that cannot be used.
pub(super) fn unreachable(cause: impl Into<String>) -> ConnectError {
    ConnectError::new(ConnectFailure::Unreachable, cause)
}

/// Returns the failure for a server that speaks another protocol.
fn not_capnweb(cause: impl Into<String>) -> ConnectError {
    ConnectError::new(ConnectFailure::NotCapnWeb, cause)
}

/// Returns whether there was no answer, which is less informative than any answer from another
/// address.
pub(super) fn is_silence(error: &ConnectError) -> bool {
    error.failure == ConnectFailure::Unreachable
}

/// The codes with which HTTP/3 ends a connection because of a frame: from `H3_FRAME_UNEXPECTED` to
/// `H3_MISSING_SETTINGS`.
const FRAME_CODES: RangeInclusive<u64> = 0x105..=0x10a;

/// Returns whether either end could not read an HTTP/3 frame of the other.
pub(super) fn is_misread_frame(error: &ConnectingError) -> bool {
    match error {
        ConnectingError::ConnectionError(ConnectionError::ApplicationClosed(close)) => {
            FRAME_CODES.contains(&close.code().into_inner())
        }
        ConnectingError::ConnectionError(ConnectionError::LocalH3Error(_)) => true,
        _ => false,
    }
}

/// Returns the failure of connecting to this address.
pub(super) fn connecting(address: SocketAddr, error: &ConnectingError) -> ConnectError {
    match error {
        ConnectingError::ConnectionError(ConnectionError::TimedOut) => {
            unreachable(format!("there is no answer from {address} over UDP"))
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

/// Returns the failure of a connection.
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

/// Returns the failure of QUIC or its TLS.
///
/// The library reports codes only in its texts. A TLS alert appears as a code of QUIC: offset by
/// 256 if it was raised here, and unchanged if the peer raised it.
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
    // This code belongs to QUIC itself.
    if text.contains("refused to accept a new connection") {
        return ConnectError::new(
            ConnectFailure::Refused,
            "the server takes no more connections now",
        );
    }
    ConnectError::other(text)
}
