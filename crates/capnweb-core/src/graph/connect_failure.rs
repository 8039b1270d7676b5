//! Typed reasons for a connection that was not made.

use std::{fmt, time::Duration};

/// The reason for a connection or batch that a client could not make.
///
/// [`Error::connect_failure`](crate::Error::connect_failure) returns it for errors of the clients of
/// every transport. Use it to decide what to do next: try again, ask for a new token, or give up.
///
/// ```
/// use std::time::Duration;
///
/// use capnweb_core::{ConnectFailure, Error};
///
/// /// Returns how long to wait before the next attempt; `None` if it would fail as well.
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
    /// The URL, a header or another setting of the client is not usable.
    InvalidRequest,
    /// There is no Tokio runtime.
    NoRuntime,
    /// The host's name has no address, or could not be looked up.
    Dns,
    /// Nothing listens at the address: the connection was refused.
    Refused,
    /// The address cannot be reached: there is no route to it, or nothing answers there.
    Unreachable,
    /// The connection ended before the server had answered.
    Disconnected,
    /// The server's certificate is not trusted, or not for this host.
    Certificate,
    /// TLS failed for any other reason, for instance because the server speaks none on this port.
    Tls,
    /// The proxy did not pass the connection on.
    #[non_exhaustive]
    Proxy {
        /// The HTTP status of the proxy's answer, such as 407, if there was one.
        code: Option<u16>,
    },
    /// There was no answer in time.
    Timeout,
    /// The server answered with an HTTP status that refuses the connection or batch.
    #[non_exhaustive]
    Status {
        /// The status, such as 401 or 503.
        code: u16,
        /// The time after which the server wants to be asked again, by its header `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// The server turned the connection away without an HTTP status that the client can see, as over
    /// WebTransport.
    Rejected,
    /// The server answered, but not as a Cap'n Web server would.
    NotCapnWeb,
    /// Any other reason: the error's message says which.
    Other,
}

impl ConnectFailure {
    /// Creates the reason for a refusal with an HTTP status, for transports.
    pub fn status(code: u16, retry_after: Option<Duration>) -> Self {
        Self::Status { code, retry_after }
    }

    /// Creates the reason for a connection that a proxy did not pass on, for transports.
    pub fn proxy(code: Option<u16>) -> Self {
        Self::Proxy { code }
    }

    /// Returns whether a request may have been sent: that of a batch has calls in it. The kinds of
    /// failure that can come of an established connection too are among those.
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

/// A short name, such as `dns` or `status 503`.
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
