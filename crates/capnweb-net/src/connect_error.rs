//! Failures of clients.

use std::{
    io,
    time::{Duration, SystemTime},
};

use capnweb_core::{ConnectFailure, Error};
use http::{HeaderMap, header};

/// A client's failure: its kind and a description of its cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectError {
    /// The kind of failure.
    pub failure: ConnectFailure,
    /// A description of the cause.
    pub cause: String,
    /// True if a request was sent, false if not. `None` if that is unknown; the kind then decides.
    is_sent: Option<bool>,
}

impl ConnectError {
    /// Creates a failure of this kind.
    pub fn new(failure: ConnectFailure, cause: impl Into<String>) -> Self {
        Self {
            failure,
            cause: cause.into(),
            is_sent: None,
        }
    }

    /// Sets whether a server may have seen a request with calls in it. By default the kind of
    /// failure decides.
    #[must_use]
    pub fn sent(mut self, is_sent: bool) -> Self {
        self.is_sent = Some(is_sent);
        self
    }

    /// Creates the failure for a mistake of the caller: an invalid address, header or setting.
    pub fn invalid(cause: impl Into<String>) -> Self {
        Self::new(ConnectFailure::InvalidRequest, cause)
    }

    /// Creates the failure for a URL with a user or password in it.
    pub fn credentials_in_url() -> Self {
        Self::invalid(
            "a user or password in the URL is not sent; use `Connect::header` with `authorization`",
        )
    }

    /// Creates a failure of no particular kind.
    pub fn other(cause: impl Into<String>) -> Self {
        Self::new(ConnectFailure::Other, cause)
    }

    /// Creates the failure for a missing Tokio runtime.
    pub fn no_runtime() -> Self {
        Self::new(
            ConnectFailure::NoRuntime,
            "there is no Tokio runtime here; connect from within one",
        )
    }

    /// Creates the failure for a missing answer within `timeout`.
    pub fn timeout(timeout: Duration) -> Self {
        Self::new(
            ConnectFailure::Timeout,
            format!("no answer within {timeout:?}"),
        )
    }

    /// Creates the failure for a socket error.
    pub fn io(error: &io::Error) -> Self {
        Self::new(io_failure(error), error.to_string())
    }

    /// Returns whether the caller has made a mistake, so that no further attempt can succeed.
    pub fn is_mistake(&self) -> bool {
        self.failure == ConnectFailure::InvalidRequest
    }

    /// Converts the failure into an error. `describe` adds context to the cause. A mistake of the
    /// caller becomes a `TypeError`. For all other errors, [`Error::is_disconnected`] returns true.
    pub fn into_error(self, describe: impl FnOnce(&str) -> String) -> Error {
        let message = describe(&self.cause);
        let error = if self.is_mistake() {
            Error::type_error(message)
        } else {
            Error::disconnected(message)
        };
        let error = error.with_connect_failure(self.failure);
        match self.is_sent {
            Some(is_sent) => error.with_may_have_run(is_sent),
            None => error,
        }
    }
}

/// Returns the kind of failure of a socket error.
pub(crate) fn io_failure(error: &io::Error) -> ConnectFailure {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::ConnectionRefused => ConnectFailure::Refused,
        // A timeout of the system itself means that there was no answer. The other kinds come from
        // networks, firewalls and Unix sockets.
        Kind::HostUnreachable
        | Kind::NetworkUnreachable
        | Kind::AddrNotAvailable
        | Kind::TimedOut
        | Kind::NotFound
        | Kind::PermissionDenied => ConnectFailure::Unreachable,
        Kind::ConnectionReset
        | Kind::ConnectionAborted
        | Kind::BrokenPipe
        | Kind::UnexpectedEof
        | Kind::NotConnected => ConnectFailure::Disconnected,
        _ => ConnectFailure::Other,
    }
}

/// Returns the time of the header `Retry-After`, in either of its two forms, or `None` for a date
/// in the past.
pub fn parse_retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(
        date.duration_since(SystemTime::now())
            .unwrap_or(Duration::ZERO),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retry_after(value: &str) -> Option<Duration> {
        let value = value.parse().unwrap();
        parse_retry_after(&HeaderMap::from_iter([(header::RETRY_AFTER, value)]))
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(retry_after("120"), Some(Duration::from_secs(120)));
        assert_eq!(retry_after("soon"), None);
        assert_eq!(retry_after("-1"), None);
        assert_eq!(
            retry_after("Fri, 31 Dec 1999 23:59:59 GMT"),
            Some(Duration::ZERO)
        );
        let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(100));
        let wait = retry_after(&date).unwrap();
        assert!((98..=100).contains(&wait.as_secs()), "{wait:?}");
    }

    #[test]
    fn a_mistake_is_a_type_error() {
        let error =
            ConnectError::invalid("no such scheme").into_error(|cause| format!("x: {cause}"));
        assert!(error.is_type_error() && !error.is_disconnected());
        assert_eq!(error.message(), "x: no such scheme");
        let error =
            ConnectError::io(&io::ErrorKind::ConnectionRefused.into()).into_error(str::to_owned);
        assert!(error.is_disconnected());
        assert_eq!(error.connect_failure(), Some(&ConnectFailure::Refused));
    }
}
