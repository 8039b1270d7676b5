//! Settings of a session.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use super::{KeepAlive, compat::PeerVersion};
use crate::{
    graph::{
        error::Error,
        payload::{Payload, encode_error, encode_error_value},
    },
    limits::Limits,
};

type OnSendError = dyn Fn(&Error) -> Option<Error> + Send + Sync;

/// Settings of a session. The defaults suit untrusted peers.
///
/// ```
/// use capnweb::{Error, SessionOptions};
///
/// // Reveal stack traces, as one would in development.
/// let options = SessionOptions::new().on_send_error(|error| Some(error.clone()));
/// ```
#[derive(Clone)]
pub struct SessionOptions {
    limits: Arc<Limits>,
    on_send_error: Option<Arc<OnSendError>>,
    grace_period: Duration,
    busy_poll: Duration,
    peer_version: PeerVersion,
    keep_alive: Option<KeepAlive>,
    #[cfg(feature = "describe")]
    introspection: bool,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            limits: Arc::default(),
            on_send_error: None,
            grace_period: Duration::from_secs(30),
            busy_poll: Duration::from_micros(50),
            peer_version: PeerVersion::default(),
            keep_alive: Some(KeepAlive::default()),
            #[cfg(feature = "describe")]
            introspection: false,
        }
    }
}

impl SessionOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// What the peer may use.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = Arc::new(limits);
        self
    }

    /// Looks at each error before it is sent, whether it was thrown or is part of a value.
    ///
    /// What the function returns is sent in its place, with its stack trace if it has one; `None`
    /// sends the error as it is, without. Without such a function the stack trace of an error is not
    /// sent. (Errors inside the properties of an error that a peer has sent pass as they came.)
    #[must_use]
    pub fn on_send_error(
        mut self,
        function: impl Fn(&Error) -> Option<Error> + Send + Sync + 'static,
    ) -> Self {
        self.on_send_error = Some(Arc::new(function));
        self
    }

    /// How long handlers that are running when the session ends may go on. Default: 30 seconds.
    #[must_use]
    pub fn grace_period(mut self, period: Duration) -> Self {
        self.grace_period = period;
        self
    }

    /// Sets how a peer that is gone without a word is noticed. Default: a ping after 20 seconds
    /// without a byte, and the end after 20 more.
    #[must_use]
    pub fn keep_alive(mut self, keep_alive: KeepAlive) -> Self {
        self.keep_alive = Some(keep_alive);
        self
    }

    /// Sends no pings, and waits for a silent peer for as long as it takes.
    ///
    /// A peer that is cut off is then noticed only if the transport notices, for which TCP has its
    /// own probes; one that is frozen never is.
    #[must_use]
    pub fn no_keep_alive(mut self) -> Self {
        self.keep_alive = None;
        self
    }

    /// How long a session that has nothing to do looks for the next message before it sleeps. Default: 50 microseconds.
    ///
    /// It looks only if the last waits were shorter than this, so a session whose messages are further apart never does;
    /// meanwhile the other tasks of the runtime run. To wake a thread takes longer than a call, so this makes calls that
    /// follow each other closely faster. What it costs is processor time, at most this after each burst of messages.
    /// [`Duration::ZERO`] switches it off. Meanwhile answers to a peer that has not read many of those before may be held
    /// back, for a millisecond at most, so that they go together. It has an effect only in a runtime of one thread (`current_thread`): in one of
    /// several it would gain nothing.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use capnweb::SessionOptions;
    ///
    /// // A machine whose battery counts for more than speed.
    /// let options = SessionOptions::new().busy_poll(Duration::ZERO);
    /// ```
    #[must_use]
    pub fn busy_poll(mut self, time: Duration) -> Self {
        self.busy_poll = time;
        self
    }

    /// Sends only what a peer of this version understands. Default: the latest version.
    ///
    /// A peer ends the session at a form that it does not know. So what an older one does not know
    /// is sent as the nearest form that it does:
    ///
    /// | before | what | is sent as |
    /// |---|---|---|
    /// | 0.11 | a URL | a string |
    /// | 0.11 | a typed array, an `ArrayBuffer` or a `DataView` | a `Uint8Array` of the same bytes |
    /// | 0.8 | a Blob | a stream of its bytes |
    /// | 0.8 | an invalid date | `null` |
    ///
    /// Each message that may hold such a form is read and written again, so set it only for peers that
    /// need it. What is received needs no setting.
    ///
    /// ```
    /// use capnweb::{PeerVersion, SessionOptions};
    ///
    /// let options = SessionOptions::new().peer_version(PeerVersion::V0_7);
    /// ```
    #[must_use]
    pub fn peer_version(mut self, version: PeerVersion) -> Self {
        self.peer_version = version;
        self
    }

    /// Lets the peer read the property `$interface` of objects of this process. Default: `false`.
    ///
    /// Its value is the [`Description`](crate::describe::Description) of the interface and of all that it
    /// reaches. So it tells whoever can connect about methods that they could call only after a login, for
    /// instance. To tell those who have logged in alone, leave it off, and return a `Description` from a method of
    /// the object that they get.
    ///
    /// An interface that has a property of that name keeps it. Within this process the property can always be
    /// read.
    ///
    /// ```
    /// # use capnweb_core::{Result, Session, StubType as _, pair};
    /// use capnweb_core::{SessionOptions, describe::{self, Description}};
    ///
    /// #[capnweb_macros::interface(crate = "capnweb_core")]
    /// trait Greeter {
    ///     fn greet(&self, name: String) -> Result<String>;
    /// }
    /// # struct Server;
    /// # impl Greeter for Server {
    /// #     fn greet(&self, name: String) -> Result<String> { Ok(name) }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
    /// # let (left, right) = pair();
    ///
    /// let options = SessionOptions::new().introspection(true);
    /// # let (_, mut connection) = Session::server(options);
    /// # connection.set_main(GreeterStub::new(Server).into_stub());
    /// # tokio::spawn(connection.drive(left));
    /// # let (session, connection) = Session::client(SessionOptions::new());
    /// # tokio::spawn(connection.drive(right));
    /// # let api = session.main();
    ///
    /// // At a peer whose options these are:
    /// let description: Description = api.get(describe::PROPERTY).fetch().await?;
    /// assert_eq!(description.interfaces[0].methods[0].name, "greet");
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "describe")]
    #[must_use]
    pub fn introspection(mut self, is_allowed: bool) -> Self {
        self.introspection = is_allowed;
        self
    }

    #[cfg(feature = "describe")]
    pub(super) fn introspection_ref(&self) -> bool {
        self.introspection
    }

    /// What the peer may use.
    pub fn limits_ref(&self) -> &Limits {
        &self.limits
    }

    /// Returns how a peer that is gone without a word is noticed; `None` if it is not.
    pub fn keep_alive_ref(&self) -> Option<&KeepAlive> {
        self.keep_alive.as_ref()
    }

    pub(super) fn limits_arc(&self) -> Arc<Limits> {
        self.limits.clone()
    }

    pub(super) fn peer_version_ref(&self) -> PeerVersion {
        self.peer_version
    }

    pub(crate) fn busy_poll_time(&self) -> Duration {
        self.busy_poll
    }

    pub(super) fn grace(&self) -> Duration {
        self.grace_period
    }

    /// Encodes an error that was thrown.
    pub(crate) fn encode_error(&self, error: &Error) -> Payload {
        encode_error(&|error| self.redact(error), error)
    }

    /// Encodes an error that is a value.
    pub(super) fn encode_error_value(&self, error: &Error) -> Payload {
        encode_error_value(&|error| self.redact(error), error)
    }

    /// Returns what is sent in place of an error.
    fn redact(&self, error: &Error) -> Error {
        let Some(function) = &self.on_send_error else {
            return error.clone().without_stack();
        };
        match catch_unwind(AssertUnwindSafe(|| function(error))) {
            Ok(Some(rewritten)) => rewritten,
            Ok(None) => error.clone().without_stack(),
            Err(_) => {
                tracing::error!(target: "capnweb", %error, "on_send_error panicked");
                Error::internal()
            }
        }
    }
}

impl fmt::Debug for SessionOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("SessionOptions");
        shown
            .field("limits", &self.limits)
            .field("on_send_error", &self.on_send_error.is_some())
            .field("grace_period", &self.grace_period)
            .field("busy_poll", &self.busy_poll)
            .field("peer_version", &self.peer_version)
            .field("keep_alive", &self.keep_alive);
        #[cfg(feature = "describe")]
        shown.field("introspection", &self.introspection);
        shown.finish()
    }
}
