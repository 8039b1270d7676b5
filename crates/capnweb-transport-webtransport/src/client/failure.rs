//! Why there is no session after all.

use std::{fmt::Display, net::SocketAddr, time::Duration};

use capnweb_core::Error;
use wtransport::error::{ConnectingError, ConnectionError};

/// What went wrong, as the property `code` of the error tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
    Url,
    Address,
    Certificate,
    Version,
    Refused,
    Timeout,
    Runtime,
    Other,
}

impl Code {
    fn name(self) -> &'static str {
        match self {
            Self::Url => "url",
            Self::Address => "address",
            Self::Certificate => "certificate",
            Self::Version => "version",
            Self::Refused => "refused",
            Self::Timeout => "timeout",
            Self::Runtime => "runtime",
            Self::Other => "other",
        }
    }
}

/// Why there is no session after all.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    code: Code,
    cause: String,
}

impl Failure {
    fn new(code: Code, cause: impl Into<String>) -> Self {
        Self {
            code,
            cause: cause.into(),
        }
    }

    pub(super) fn url(cause: impl Into<String>) -> Self {
        Self::new(Code::Url, cause)
    }

    pub(super) fn no_runtime() -> Self {
        Self::new(
            Code::Runtime,
            "there is no Tokio runtime here; connect from within one",
        )
    }

    /// It took too long; `answered` is whether anybody was there.
    pub(super) fn timeout(timeout: Duration, answered: bool) -> Self {
        if answered {
            Self::new(Code::Timeout, format!("no session within {timeout:?}"))
        } else {
            Self::new(
                Code::Address,
                format!("nobody answers there over UDP within {timeout:?}"),
            )
        }
    }

    pub(super) fn certificate(refusal: &rustls::Error) -> Self {
        Self::new(
            Code::Certificate,
            format!("the server's certificate is not accepted: {refusal}"),
        )
    }

    pub(super) fn other(cause: &impl Display) -> Self {
        Self::new(Code::Other, cause.to_string())
    }

    /// The host's name leads nowhere.
    pub(super) fn no_address(host: &str, cause: impl Display) -> Self {
        Self::new(Code::Address, format!("{host} has no address: {cause}"))
    }

    /// Nobody was there, which says less than any answer from another address.
    pub(super) fn is_silence(&self) -> bool {
        self.code == Code::Address
    }

    /// Connecting to this address failed.
    pub(super) fn connecting(address: SocketAddr, error: &ConnectingError) -> Self {
        match error {
            ConnectingError::ConnectionError(ConnectionError::TimedOut) => Self::new(
                Code::Address,
                format!("nobody answers at {address} over UDP"),
            ),
            ConnectingError::ConnectionError(error) => Self::connection(error),
            ConnectingError::SessionRejected => Self::new(
                Code::Refused,
                "the server refused the session: it does not serve this path, or not for this client",
            ),
            ConnectingError::InvalidRemoteAddress(_) => {
                Self::new(Code::Address, format!("{address} cannot be reached"))
            }
            error => Self::other(error),
        }
    }

    /// The connection failed.
    pub(super) fn connection(error: &ConnectionError) -> Self {
        match error {
            ConnectionError::QuicProto(_) | ConnectionError::ConnectionClosed(_) => {
                Self::quic(error.to_string())
            }
            ConnectionError::ApplicationClosed(close) => Self::new(
                Code::Refused,
                format!("the server closed the connection: {close}"),
            ),
            ConnectionError::LocalH3Error(violation) => Self::new(
                Code::Version,
                format!("the server does not speak HTTP/3 as it should: {violation}"),
            ),
            error => Self::other(error),
        }
    }

    /// QUIC failed, or its TLS. The library gives codes in its texts only: an alert of TLS as a code
    /// of QUIC, which is 256 more, if we have raised it, and as it is if the peer has.
    fn quic(text: String) -> Self {
        let alert = |number: u64| {
            text.contains(&format!("(code: {})", 256 + number))
                || text.contains(&format!("handshake failed: error {number}"))
        };
        // no_application_protocol
        if alert(120) {
            return Self::new(Code::Version, "the server does not speak HTTP/3");
        }
        // protocol_version
        if alert(70) {
            return Self::new(Code::Version, "the server speaks another version of TLS");
        }
        if text.contains("version mismatched") {
            return Self::new(Code::Version, "the server speaks another version of QUIC");
        }
        // A code of QUIC itself.
        if text.contains("refused to accept a new connection") {
            return Self::new(Code::Refused, "the server takes no more connections now");
        }
        Self::new(Code::Other, text)
    }

    pub(super) fn into_error(self, url: &str) -> Error {
        let cause = self.cause;
        Error::disconnected(format!("WebTransport connection failed: {url}: {cause}"))
            .with_prop("code", self.code.name())
    }
}
