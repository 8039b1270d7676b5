//! Failures to connect.

use capnweb_core::{ConnectFailure, EndCause, Error, SessionEnd};

/// A failure to connect, before it is converted to an [`Error`].
pub(crate) struct Failure {
    kind: ConnectFailure,
    pub(crate) cause: String,
}

impl Failure {
    pub(crate) fn new(kind: ConnectFailure, cause: impl Into<String>) -> Self {
        Self {
            kind,
            cause: cause.into(),
        }
    }

    /// Creates the failure for a URL or setting that is invalid.
    pub(crate) fn invalid(cause: impl Into<String>) -> Self {
        Self::new(ConnectFailure::InvalidRequest, cause)
    }

    /// Returns the error for this failure, with the given message.
    pub(crate) fn into_error(self, message: String) -> Error {
        let error = match self.kind {
            ConnectFailure::InvalidRequest => Error::type_error(message),
            _ => Error::disconnected(message).with_session_end(SessionEnd::new(EndCause::Network)),
        };
        error.with_connect_failure(self.kind)
    }
}
