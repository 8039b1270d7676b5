//! Ends of sessions and attempts, and how to react to them.

use std::{fmt, sync::Arc, time::Duration};

use capnweb_core::{ConnectFailure, EndCause, Error};

/// The stage at which an attempt or a session failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// The closure of [`prepare`](crate::ClientBuilder::prepare).
    Prepare,
    /// Dialing and the handshakes.
    Connect,
    /// The closure of [`on_connect`](crate::ClientBuilder::on_connect).
    Greet,
    /// The session was already up.
    Session,
}

/// The end of a session, or of an attempt to open one.
#[derive(Clone, Debug)]
pub struct Ending {
    url: Arc<str>,
    stage: Stage,
    error: Error,
    lasted: Duration,
    reaction: Reaction,
}

/// A client's reaction to an [`Ending`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reaction {
    /// Connects again after a pause, to the next server.
    Backoff,
    /// Connects to another server after up to a second of jitter: this server announced that it is
    /// going away.
    Move,
    /// Avoids the server for as long as it asked, or for a pause if it did not say how long.
    Wait(Option<Duration>),
    /// Prepares the attempt again, to get a new token.
    Renew,
    /// Waits for [`Client::retry_now`](crate::Client::retry_now): the server refused a new token
    /// too.
    Refuse,
    /// Connects again after a pause, but gives up on the server after the third such end in a row.
    Suspect,
    /// Gives up on the server, since no attempt can succeed. If it was the last server, the client
    /// closes.
    GiveUp,
}

impl Ending {
    pub(crate) fn new(url: Arc<str>, stage: Stage, error: Error, lasted: Duration) -> Self {
        let reaction = usual_reaction(stage, &error);
        Self {
            url,
            stage,
            error,
            lasted,
            reaction,
        }
    }

    /// Sets the reaction, which may depend on earlier ends.
    pub(crate) fn set_reaction(&mut self, reaction: Reaction) {
        self.reaction = reaction;
    }

    /// Returns the server's URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the stage that was reached.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// Returns the error that ended the session or attempt.
    pub fn error(&self) -> &Error {
        &self.error
    }

    /// Returns how long the session was up.
    pub fn lasted(&self) -> Duration {
        self.lasted
    }

    /// Returns the WebSocket close code, if there was one.
    pub fn close_code(&self) -> Option<u16> {
        self.error.session_end()?.close_code()
    }

    /// Returns the HTTP status with which the server refused the connection, if it did.
    pub fn status(&self) -> Option<u16> {
        match self.error.connect_failure()? {
            ConnectFailure::Status { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Returns the client's reaction. [`reconnect_if`](crate::ClientBuilder::reconnect_if) can
    /// override it.
    pub fn reaction(&self) -> Reaction {
        self.reaction
    }

    /// Returns whether the client connects again by itself.
    /// [`reconnect_if`](crate::ClientBuilder::reconnect_if) can override this.
    pub fn is_passing(&self) -> bool {
        !matches!(self.reaction, Reaction::GiveUp | Reaction::Refuse)
    }
}

/// Returns the reaction to an end that is the first of its kind.
fn usual_reaction(stage: Stage, error: &Error) -> Reaction {
    if let Some(failure) = error.connect_failure() {
        return of_failure(failure);
    }
    if let Some(end) = error.session_end() {
        return match end.close_code() {
            Some(code) => of_close_code(code),
            None => of_cause(end.cause()),
        };
    }
    of_error(error, stage)
}

fn of_failure(failure: &ConnectFailure) -> Reaction {
    match failure {
        ConnectFailure::InvalidRequest
        | ConnectFailure::NoRuntime
        | ConnectFailure::Certificate => Reaction::GiveUp,
        ConnectFailure::Status {
            code, retry_after, ..
        } => of_status(*code, *retry_after),
        ConnectFailure::Proxy {
            code: Some(407), ..
        } => Reaction::Renew,
        ConnectFailure::NotCapnWeb => Reaction::Suspect,
        _ => Reaction::Backoff,
    }
}

fn of_status(code: u16, retry_after: Option<Duration>) -> Reaction {
    match code {
        401 | 403 => Reaction::Renew,
        404 | 410 => Reaction::GiveUp,
        429 | 503 => Reaction::Wait(retry_after),
        408 | 421 | 425 | 500.. => Reaction::Backoff,
        _ => Reaction::Suspect,
    }
}

fn of_close_code(code: u16) -> Reaction {
    match code {
        1001 | 1012 => Reaction::Move,
        1013 => Reaction::Wait(None),
        1008 | 4401 | 4403 => Reaction::Renew,
        1002 | 1003 | 1007 | 1009 | 1010 => Reaction::Suspect,
        _ => Reaction::Backoff,
    }
}

fn of_cause(cause: EndCause) -> Reaction {
    match cause {
        EndCause::Protocol | EndCause::Limit => Reaction::Suspect,
        _ => Reaction::Backoff,
    }
}

/// Returns the reaction to an error of the application's `prepare` or `on_connect`.
fn of_error(error: &Error, stage: Stage) -> Reaction {
    if error.is_type_error() {
        return Reaction::GiveUp;
    }
    if error.is_protocol() || error.is_limit() {
        return Reaction::Suspect;
    }
    match error.code().as_deref() {
        Some("unauthenticated" | "permission_denied") if stage != Stage::Session => Reaction::Renew,
        _ => Reaction::Backoff,
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match self.stage {
            Stage::Prepare => "prepare",
            Stage::Connect => "connect",
            Stage::Greet => "on_connect",
            Stage::Session => "session",
        };
        write!(f, "{}: {stage}: {}", self.url, self.error)
    }
}

#[cfg(test)]
mod tests {
    use capnweb_core::SessionEnd;

    use super::*;

    fn ending(stage: Stage, error: Error) -> Ending {
        Ending::new("ws://a".into(), stage, error, Duration::ZERO)
    }

    fn failed(failure: ConnectFailure) -> Reaction {
        let error = Error::disconnected("no").with_connect_failure(failure);
        ending(Stage::Connect, error).reaction()
    }

    fn closed(code: u16) -> Reaction {
        let end = SessionEnd::new(EndCause::Peer).with_close_code(code);
        let error = Error::disconnected("closed").with_session_end(end);
        ending(Stage::Session, error).reaction()
    }

    #[test]
    fn losses_and_faults_of_servers_pass() {
        for failure in [
            ConnectFailure::Dns,
            ConnectFailure::Refused,
            ConnectFailure::Unreachable,
            ConnectFailure::Disconnected,
            ConnectFailure::Tls,
            ConnectFailure::Timeout,
            ConnectFailure::Other,
            ConnectFailure::Rejected,
            ConnectFailure::proxy(None),
            ConnectFailure::status(500, None),
            ConnectFailure::status(502, None),
            ConnectFailure::status(504, None),
        ] {
            assert_eq!(failed(failure.clone()), Reaction::Backoff, "{failure}");
        }
        for code in [1000, 1005, 1006, 1011, 1014, 3000, 4000] {
            assert_eq!(closed(code), Reaction::Backoff, "{code}");
        }
        for cause in [EndCause::Network, EndCause::Silence, EndCause::Peer] {
            let error = Error::disconnected("lost").with_session_end(SessionEnd::new(cause));
            assert_eq!(ending(Stage::Session, error).reaction(), Reaction::Backoff);
        }
    }

    #[test]
    fn servers_that_go_away_or_are_busy_say_so() {
        assert_eq!(closed(1001), Reaction::Move);
        assert_eq!(closed(1012), Reaction::Move);
        assert_eq!(closed(1013), Reaction::Wait(None));
        let time = Some(Duration::from_secs(7));
        for code in [429, 503] {
            assert_eq!(
                failed(ConnectFailure::status(code, time)),
                Reaction::Wait(time)
            );
        }
    }

    #[test]
    fn refusals_ask_for_another_token() {
        for code in [1008, 4401, 4403] {
            assert_eq!(closed(code), Reaction::Renew, "{code}");
        }
        for code in [401, 403] {
            assert_eq!(failed(ConnectFailure::status(code, None)), Reaction::Renew);
        }
        assert_eq!(failed(ConnectFailure::proxy(Some(407))), Reaction::Renew);
        for stage in [Stage::Prepare, Stage::Greet] {
            let error = Error::unauthenticated("who?");
            assert_eq!(ending(stage, error).reaction(), Reaction::Renew);
        }
    }

    #[test]
    fn what_cannot_pass_is_given_up() {
        for failure in [
            ConnectFailure::InvalidRequest,
            ConnectFailure::NoRuntime,
            ConnectFailure::Certificate,
            ConnectFailure::status(404, None),
        ] {
            assert_eq!(failed(failure.clone()), Reaction::GiveUp, "{failure}");
        }
        let ending = ending(Stage::Greet, Error::type_error("hello is no function"));
        assert_eq!(ending.reaction(), Reaction::GiveUp);
        assert!(!ending.is_passing());
    }

    #[test]
    fn breaches_of_the_protocol_are_suspect() {
        for code in [1002, 1007, 1009] {
            assert_eq!(closed(code), Reaction::Suspect, "{code}");
        }
        for cause in [EndCause::Protocol, EndCause::Limit] {
            let error = Error::disconnected("broken").with_session_end(SessionEnd::new(cause));
            assert_eq!(ending(Stage::Session, error).reaction(), Reaction::Suspect);
        }
        for failure in [
            ConnectFailure::NotCapnWeb,
            ConnectFailure::status(400, None),
            ConnectFailure::status(426, None),
            ConnectFailure::status(301, None),
        ] {
            assert_eq!(failed(failure.clone()), Reaction::Suspect, "{failure}");
        }
    }
}
