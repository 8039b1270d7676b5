//! The end of a session, as a value.

/// Describes how a session ended: see [`Error::session_end`](crate::Error::session_end).
///
/// ```
/// use capnweb::{EndCause, Error, Session, SessionOptions};
///
/// let (session, _connection) = Session::client(SessionOptions::new());
/// session.close_with(4001, Error::new("signed out"));
/// let reason = session.end_reason().unwrap();
/// let end = reason.session_end().unwrap();
/// assert_eq!((end.cause(), end.close_code()), (EndCause::Here, Some(4001)));
/// assert!(!end.is_normal());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionEnd {
    cause: EndCause,
    close_code: Option<u16>,
    normal: bool,
}

/// The party or event that ended a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EndCause {
    /// This process: [`Session::close`](crate::Session::close) was called, the last handle was
    /// dropped, or the runtime was shut down.
    Here,
    /// The peer closed the connection or sent an `abort`.
    Peer,
    /// The connection was lost or could not be made.
    Network,
    /// The peer was silent: it answered no ping, did not complete a message that it had begun, or
    /// read none of the messages that waited for it. See [`KeepAlive`](crate::KeepAlive).
    Silence,
    /// The peer violated the protocol.
    Protocol,
    /// The peer exceeded a limit. [`Error::exceeded_limit`](crate::Error::exceeded_limit) returns
    /// which one.
    Limit,
}

impl EndCause {
    /// Returns the name for labels of metrics and logs, such as `network`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Here => "here",
            Self::Peer => "peer",
            Self::Network => "network",
            Self::Silence => "silence",
            Self::Protocol => "protocol",
            Self::Limit => "limit",
        }
    }
}

impl SessionEnd {
    /// Creates an end that is not normal and has no close code, for transports.
    pub fn new(cause: EndCause) -> Self {
        Self {
            cause,
            close_code: None,
            normal: false,
        }
    }

    /// Sets the WebSocket close code.
    #[must_use]
    pub fn with_close_code(mut self, code: u16) -> Self {
        self.close_code = Some(code);
        self
    }

    /// Marks the end as normal.
    #[must_use]
    pub fn normal(mut self) -> Self {
        self.normal = true;
        self
    }

    /// Returns the party or event that ended the session.
    pub fn cause(&self) -> EndCause {
        self.cause
    }

    /// Returns the WebSocket close code: the peer's, or the one that was passed to
    /// [`Session::close_with`](crate::Session::close_with). If the connection was lost without a
    /// close frame, the code is 1006.
    pub fn close_code(&self) -> Option<u16> {
        self.close_code
    }

    /// Returns whether the session ended as sessions should: a client dropped its handles, a batch
    /// was answered, or the peer closed the connection properly.
    pub fn is_normal(&self) -> bool {
        self.normal
    }
}
