//! The settings of a session.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use tracing::Span;

use super::{KeepAlive, SessionGuard, compat::PeerVersion};
use crate::{
    graph::{
        error::Error,
        hook::Hook,
        hooks::SessionHooks,
        intercept::Interceptor,
        observe::{Observer, SessionInfo},
        payload::{Payload, encode_error, encode_error_value},
        propagate::{Propagator, TracePropagator},
    },
    limits::Limits,
};

type OnSendError = dyn Fn(&Error) -> Option<Error> + Send + Sync;
/// Is told of a stub of another session that this session has sent under an ID.
type OnRelay = dyn Fn(Arc<SessionGuard>, i64, Hook) + Send + Sync;

/// The settings of a session. The defaults suit untrusted peers.
///
/// ```
/// use capnweb::{Error, SessionOptions};
///
/// // Reveal stack traces, for development.
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
    observer: Option<Arc<dyn Observer>>,
    interceptors: Arc<[Arc<dyn Interceptor>]>,
    transport: &'static str,
    span: Option<Span>,
    propagator: Option<Propagator>,
    on_relay: Option<Arc<OnRelay>>,
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
            observer: None,
            interceptors: Arc::default(),
            transport: "other",
            span: None,
            propagator: None,
            on_relay: None,
            #[cfg(feature = "describe")]
            introspection: false,
        }
    }
}

impl SessionOptions {
    /// Creates the default settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the limits on the resources that the peer can use.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = Arc::new(limits);
        self
    }

    /// Sets a function that sees each error before it is sent, whether it was thrown or is part of
    /// a value.
    ///
    /// If the function returns an error, that one is sent instead, including its stack trace if it
    /// has one. If it returns `None`, the original error is sent without its stack trace. By
    /// default, stack traces are never sent. (Errors in the properties of an error that a peer has
    /// sent are forwarded unchanged.)
    #[must_use]
    pub fn on_send_error(
        mut self,
        function: impl Fn(&Error) -> Option<Error> + Send + Sync + 'static,
    ) -> Self {
        self.on_send_error = Some(Arc::new(function));
        self
    }

    /// Sets how long running handlers may continue after the session has ended. Default: 30
    /// seconds.
    #[must_use]
    pub fn with_grace_period(mut self, period: Duration) -> Self {
        self.grace_period = period;
        self
    }

    /// Sets how a vanished peer is detected. By default, a ping is sent after 20 seconds without a
    /// byte, and the session ends after 20 more.
    #[must_use]
    pub fn with_keep_alive(mut self, keep_alive: KeepAlive) -> Self {
        self.keep_alive = Some(keep_alive);
        self
    }

    /// Disables pings, so that a silent peer is never disconnected.
    ///
    /// A peer that is cut off is then detected only by the transport, for example by TCP's own
    /// probes. A frozen peer is never detected.
    #[must_use]
    pub fn without_keep_alive(mut self) -> Self {
        self.keep_alive = None;
        self
    }

    /// Sets the observer of each session's messages, calls, streams and end.
    #[must_use]
    pub fn with_observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Adds an [`Interceptor`], which runs before and after each call.
    ///
    /// Before a call, interceptors are asked in the order in which they were added, until one
    /// rejects the call. Afterwards they see the outcome in the reverse order.
    #[must_use]
    pub fn with_interceptor(mut self, interceptor: impl Interceptor) -> Self {
        let added: Arc<dyn Interceptor> = Arc::new(interceptor);
        self.interceptors = (self.interceptors.iter().cloned()).chain([added]).collect();
        self
    }

    /// Sets the parent of the spans of the peer's calls. Default: the span in which the session's
    /// driver runs, if any.
    ///
    /// Servers set it for each session, for example to a span whose parent was sent by the client.
    #[must_use]
    pub fn with_span(mut self, span: Span) -> Self {
        self.span = Some(span);
        self
    }

    /// Sets the propagator of traces, so that each call belongs to the trace of the span in which
    /// the peer made it. Default: none.
    ///
    /// The context of the current span is sent with each call, about 60 bytes. The contexts that
    /// the peer sends become the parents of the spans of its calls, instead of
    /// [`with_span`](Self::with_span). Both ends need the option: without it, nothing is sent, and
    /// what the peer sends is ignored.
    ///
    /// Within a long session, this tells apart the requests that calls belong to. Without it, all
    /// calls are children of the session's span.
    #[must_use]
    pub fn with_trace_propagator(mut self, propagator: impl TracePropagator) -> Self {
        self.propagator = Some(Propagator::new(propagator));
        self
    }

    pub(crate) fn set_on_relay(&mut self, function: Arc<OnRelay>) {
        self.on_relay = Some(function);
    }

    pub(super) fn relay_hook(&self) -> Option<&OnRelay> {
        self.on_relay.as_deref()
    }

    pub(super) fn propagator(&self) -> Option<&Propagator> {
        self.propagator.as_ref()
    }

    pub(super) fn span(&self) -> Option<&Span> {
        self.span.as_ref()
    }

    /// Sets the name of the transport for observers. Default: `other`.
    ///
    /// The transports of this library set it themselves. An HTTP batch is always a `batch`.
    #[must_use]
    pub fn with_transport(mut self, name: &'static str) -> Self {
        self.transport = name;
        self
    }

    /// Sets how long an idle session polls for the next message before it sleeps. Default: 50
    /// microseconds.
    ///
    /// Waking a thread takes longer than a call, so polling makes calls that follow each other
    /// closely faster. It costs processor time: at most this time after each burst of messages. A
    /// session polls only if its last waits were shorter than this, so a session whose messages are
    /// further apart never does. Other tasks of the runtime run between the polls.
    ///
    /// If a peer has not read many earlier answers, further answers may be held back during this
    /// time, for at most a millisecond, so that they are sent together.
    ///
    /// [`Duration::ZERO`] disables polling. This setting only has an effect in a runtime with one
    /// thread (`current_thread`); with several threads, polling would not help.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use capnweb::SessionOptions;
    ///
    /// // Save the battery at the expense of speed.
    /// let options = SessionOptions::new().with_busy_poll(Duration::ZERO);
    /// ```
    #[must_use]
    pub fn with_busy_poll(mut self, time: Duration) -> Self {
        self.busy_poll = time;
        self
    }

    /// Sets the version of the peer. Only forms that this version understands are sent. Default:
    /// the latest version.
    ///
    /// A peer ends the session when it receives an unknown form. So these forms are replaced for
    /// older peers:
    ///
    /// | before | form | sent as |
    /// |---|---|---|
    /// | 0.11 | a URL | a string |
    /// | 0.11 | a typed array, an `ArrayBuffer` or a `DataView` | a `Uint8Array` of the same bytes |
    /// | 0.8 | a Blob | a stream of its bytes |
    /// | 0.8 | an invalid date | `null` |
    ///
    /// Each message that may contain such a form is parsed and written again, so set this only for
    /// peers that need it. Received messages need no setting.
    ///
    /// ```
    /// use capnweb::{PeerVersion, SessionOptions};
    ///
    /// let options = SessionOptions::new().with_peer_version(PeerVersion::V0_7);
    /// ```
    #[must_use]
    pub fn with_peer_version(mut self, version: PeerVersion) -> Self {
        self.peer_version = version;
        self
    }

    /// Sets whether the peer can read the property `$interface` of objects of this process.
    /// Default: `false`.
    ///
    /// Its value is the [`Description`](crate::describe::Description) of the interface and of
    /// everything that it refers to. So any client can read about all methods, even those that
    /// require a login. To show the description only to users who have logged in, leave this off,
    /// and return a `Description` from a method of the user's object.
    ///
    /// An interface with its own property of that name keeps it. Within this process, the property
    /// can always be read.
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
    /// let options = SessionOptions::new().with_introspection(true);
    /// # let (_, mut connection) = Session::server(options);
    /// # connection.set_main(GreeterStub::new(Server).into_stub());
    /// # tokio::spawn(connection.drive(left));
    /// # let (session, connection) = Session::client(SessionOptions::new());
    /// # tokio::spawn(connection.drive(right));
    /// # let api = session.main();
    ///
    /// // At the peer of a session with these options:
    /// let description: Description = api.get(describe::PROPERTY).fetch().await?;
    /// assert_eq!(description.interfaces[0].methods[0].name, "greet");
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "describe")]
    #[must_use]
    pub fn with_introspection(mut self, is_allowed: bool) -> Self {
        self.introspection = is_allowed;
        self
    }

    #[cfg(feature = "describe")]
    pub(super) fn introspection_ref(&self) -> bool {
        self.introspection
    }

    /// Returns the limits on the resources that the peer can use.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Returns the keep-alive settings, or `None` if pings are disabled.
    pub fn keep_alive(&self) -> Option<&KeepAlive> {
        self.keep_alive.as_ref()
    }

    /// Returns the foreign code that a session is to call, if there is any.
    pub(super) fn hooks(
        &self,
        info: impl FnOnce(&'static str) -> SessionInfo,
    ) -> Option<Arc<SessionHooks>> {
        if self.observer.is_none() && self.interceptors.is_empty() {
            return None;
        }
        Some(Arc::new(SessionHooks::new(
            info(self.transport),
            self.observer.clone(),
            self.interceptors.clone(),
        )))
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

    /// Returns the error to send instead of `error`.
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
            .field("keep_alive", &self.keep_alive)
            .field("observer", &self.observer.is_some())
            .field("span", &self.span)
            .field("trace_propagator", &self.propagator.is_some())
            .field("interceptors", &self.interceptors.len())
            .field("on_relay", &self.on_relay.is_some())
            .field("transport", &self.transport);
        #[cfg(feature = "describe")]
        shown.field("introspection", &self.introspection);
        shown.finish()
    }
}
