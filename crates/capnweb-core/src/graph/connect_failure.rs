//! Typed reasons for failed connections.

use std::{fmt, time::Duration};

/// The reason why a client could not establish a connection or send a batch.
///
/// [`Error::connect_failure`](crate::Error::connect_failure) returns it for the errors of all
/// clients, over any transport. Use it to decide whether to try again, request a new token, or
/// stop.
///
/// ```
/// use std::time::Duration;
///
/// use capnweb::{ConnectFailure, Error};
///
/// /// Returns how long to wait before the next attempt, or `None` if it would fail as well.
/// fn pause(error: &Error) -> Option<Duration> {
///     match error.connect_failure()? {
///         ConnectFailure::Status { code: 429 | 503, retry_after, .. } => {
///             Some(retry_after.unwrap_or(Duration::from_secs(5)))
///         }
///         ConnectFailure::Refused | ConnectFailure::Timeout => Some(Duration::from_secs(1)),
///         _ => None,
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectFailure {
    /// The URL, a header or another setting of the client is invalid.
    InvalidRequest,
    /// There is no Tokio runtime.
    NoRuntime,
    /// The host name has no address, or could not be looked up.
    Dns,
    /// Nothing listens at the address: the connection was refused.
    Refused,
    /// The address is unreachable: there is no route to it, or no response from it.
    Unreachable,
    /// The connection ended before the server had answered.
    Disconnected,
    /// The server's certificate is not trusted, or is for another host.
    Certificate,
    /// TLS failed for any other reason; for instance, the server does not speak TLS on this port.
    Tls,
    /// The proxy did not establish the connection.
    #[non_exhaustive]
    Proxy {
        /// The HTTP status of the proxy's response, such as 407, if there was one.
        code: Option<u16>,
    },
    /// The server did not answer in time.
    Timeout,
    /// The server refused the connection or batch with an HTTP status.
    #[non_exhaustive]
    Status {
        /// The status, such as 401 or 503.
        code: u16,
        /// The time to wait before the next attempt, from the header `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// The server rejected the connection without an HTTP status that the client can see, for
    /// instance over WebTransport.
    Rejected,
    /// The server answered, but not as a Cap'n Web server does.
    NotCapnWeb,
    /// Any other reason. The error's message describes it.
    Other,
}

impl ConnectFailure {
    /// Creates the reason for a refusal with an HTTP status, for transports.
    pub fn status(code: u16, retry_after: Option<Duration>) -> Self {
        Self::Status { code, retry_after }
    }

    /// Creates the reason for a connection that a proxy did not establish, for transports.
    pub fn proxy(code: Option<u16>) -> Self {
        Self::Proxy { code }
    }

    /// Returns whether a request may have been sent. The request of a batch contains its calls.
    /// This includes failures that can also happen on an established connection.
    pub(crate) fn is_after_request(&self) -> bool {
        !matches!(
            self,
            Self::InvalidRequest
                | Self::NoRuntime
                | Self::Dns
                | Self::Refused
                | Self::Certificate
                | Self::Proxy { code: Some(_) }
        )
    }
}

/// Writes a short name, such as `dns` or `status 503`.
impl fmt::Display for ConnectFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidRequest => "invalid request",
            Self::NoRuntime => "no runtime",
            Self::Dns => "dns",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Disconnected => "disconnected",
            Self::Certificate => "certificate",
            Self::Tls => "tls",
            Self::Proxy { code: Some(code) } => return write!(f, "proxy {code}"),
            Self::Proxy { code: None } => "proxy",
            Self::Timeout => "timeout",
            Self::Status { code, .. } => return write!(f, "status {code}"),
            Self::Rejected => "rejected",
            Self::NotCapnWeb => "not Cap'n Web",
            Self::Other => "other",
        })
    }
}
