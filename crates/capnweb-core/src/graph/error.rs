//! The error type.

use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, OnceLock},
};

use serde::{Serialize, de::DeserializeOwned};

use super::{
    connect_failure::ConnectFailure,
    session_end::{EndCause, SessionEnd},
};
use crate::{
    graph::payload::Payload,
    limits::{Limit, LimitExceeded},
};

/// A result whose error is an [`Error`] by default.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error that a handler throws, that a peer rejects with, or that ends a session.
///
/// It corresponds to JavaScript's `Error` on the wire: a name, a message, optionally a stack, and
/// own properties. It is one word wide, cheap to clone and opaque; methods return its parts.
///
/// JavaScript only knows its own error names: an error of any other name arrives there as a plain
/// `Error`. So use the [`code`](Self::code) for what a client has to distinguish, and further
/// properties for other details: see [`with_prop`](Self::with_prop). An enum with `#[error]` writes
/// and reads both.
///
/// ```
/// use capnweb::Error;
///
/// let error = Error::not_found("no such page").with_prop("page", 7);
/// assert_eq!(error.name(), "Error");
/// assert_eq!(error.code().as_deref(), Some("not_found"));
/// assert_eq!(error.prop::<u32>("page"), Some(7));
/// assert_eq!(error.to_string(), "no such page");
/// ```
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    name: Cow<'static, str>,
    message: String,
    stack: Option<String>,
    /// The own properties, as an object expression.
    props: Option<Payload>,
    /// The cause from the properties, once a reference to it was requested.
    source: OnceLock<Option<Box<Error>>>,
    /// The value that was thrown, if it is not an error object. JavaScript can throw anything.
    thrown: Option<Payload>,
    kind: Kind,
    /// The end of the session, if this error is the reason for one.
    session_end: Option<SessionEnd>,
    /// The limit that was exceeded.
    limit: Option<Limit>,
    connect_failure: Option<ConnectFailure>,
    /// True if the error is the outcome of a call that has certainly not run.
    not_run: bool,
}

#[diagnostic::do_not_recommend]
impl From<LimitExceeded> for Error {
    fn from(exceeded: LimitExceeded) -> Self {
        Self::limit_exceeded(exceeded)
    }
}

/// The origin of an error, which the `is_…` methods report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The error was made by an application, here or at the peer.
    Application,
    /// The session is over, or was never established.
    Disconnected,
    /// A limit was exceeded.
    Limit,
    /// The promise was dropped, or the handler ran out of time.
    Canceled,
    /// The peer broke the protocol.
    Protocol,
}

impl Error {
    /// Creates an error with any name.
    pub fn named(name: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::with_kind(Kind::Application, name, message)
    }

    /// Creates a plain `Error`.
    pub fn new(message: impl Into<String>) -> Self {
        Self::named("Error", message)
    }

    /// Creates a `TypeError`: a value is not of the required type.
    pub fn type_error(message: impl Into<String>) -> Self {
        Self::named("TypeError", message)
    }

    /// Creates a `RangeError`: a value is of the right type but out of range.
    pub fn range_error(message: impl Into<String>) -> Self {
        Self::named("RangeError", message)
    }

    /// Creates the error that hides an internal one from a peer: `Error: internal error`, with the
    /// code `internal`.
    pub fn internal() -> Self {
        let mut error = Self::new("internal error");
        error.inner_mut().props = Some(Payload::from_static(r#"{"code":"internal"}"#));
        error
    }

    pub(crate) fn with_kind(
        kind: Kind,
        name: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        Self(Arc::new(Inner {
            name: name.into(),
            message: message.into(),
            stack: None,
            props: None,
            source: OnceLock::new(),
            thrown: None,
            kind,
            session_end: None,
            limit: None,
            connect_failure: None,
            not_run: false,
        }))
    }

    /// Creates the error for a connection that failed or is gone, for transports. The message
    /// states the reason.
    pub fn disconnected(message: impl Into<String>) -> Self {
        Self::with_kind(Kind::Disconnected, "Error", message)
    }

    /// Creates the error for a peer that exceeded a limit, for transports. The message names the
    /// limit.
    pub fn limit(message: impl Into<String>) -> Self {
        Self::with_kind(Kind::Limit, "RangeError", message)
    }

    /// Creates the error for a peer that exceeded `limit`, for transports. The message names the
    /// limit.
    pub fn exceeds(limit: Limit, message: impl Into<String>) -> Self {
        LimitExceeded::new(limit, message.into()).into()
    }

    fn limit_exceeded(exceeded: LimitExceeded) -> Self {
        let mut error = Self::limit(exceeded.message);
        error.inner_mut().limit = Some(exceeded.limit);
        error
    }

    /// Returns the error for work that is abandoned at the end of its session.
    pub(crate) fn session_over() -> Self {
        Self::canceled("the call was given up: its session is over, or its runtime was shut down")
    }

    pub(crate) fn canceled(message: impl Into<String>) -> Self {
        Self::with_kind(Kind::Canceled, "Error", message)
    }

    pub(crate) fn protocol(message: impl Into<String>) -> Self {
        Self::with_kind(Kind::Protocol, "Error", message)
    }

    /// Creates the error for a thrown value that is not an error object.
    pub(crate) fn thrown(message: String, value: Payload) -> Self {
        let mut error = Self::new(message);
        error.inner_mut().thrown = Some(value);
        error
    }

    pub(crate) fn received(
        name: String,
        message: String,
        stack: Option<String>,
        props: Option<Payload>,
    ) -> Self {
        let mut error = Self::named(known_name(name), message);
        let inner = error.inner_mut();
        inner.stack = stack;
        inner.props = props;
        error
    }

    fn inner_mut(&mut self) -> &mut Inner {
        Arc::make_mut(&mut self.0)
    }

    /// Adds an own property. It is sent with the error and appears in JavaScript as `error.key`.
    ///
    /// A value that cannot be serialized is omitted, since the error itself must always be sent.
    #[must_use]
    pub fn with_prop(mut self, key: &str, value: impl Serialize) -> Self {
        let old = self.0.props.as_ref();
        if let Ok(props) = crate::graph::payload::object_with(old, key, &value) {
            let inner = self.inner_mut();
            inner.props = Some(props);
            inner.source = OnceLock::new();
        }
        self
    }

    /// Adds a code that programs can distinguish errors by: `error.code` in JavaScript.
    ///
    /// ```
    /// # use capnweb::Error;
    /// let error = Error::range_error("no such page").with_code("no_page");
    /// assert_eq!(error.code().as_deref(), Some("no_page"));
    /// ```
    #[must_use]
    pub fn with_code(self, code: &str) -> Self {
        self.with_prop("code", code)
    }

    /// Adds a cause: the underlying error.
    #[must_use]
    pub fn with_cause(self, cause: Self) -> Self {
        self.with_prop("cause", cause)
    }

    /// Adds the reason why a client could not connect, for transports.
    #[must_use]
    pub fn with_connect_failure(mut self, failure: ConnectFailure) -> Self {
        let is_sent = failure.is_after_request();
        self.inner_mut().connect_failure = Some(failure);
        self.with_may_have_run(is_sent)
    }

    /// Sets whether the call that failed with this error may have run: see
    /// [`may_have_run`](Self::may_have_run).
    ///
    /// Code that makes calls fail must pass `false` only if no peer has seen the call.
    #[must_use]
    pub fn with_may_have_run(mut self, may_have_run: bool) -> Self {
        if self.may_have_run() != may_have_run {
            self.inner_mut().not_run = !may_have_run;
        }
        self
    }

    /// Adds a stack trace. It is revealed to a peer only by
    /// [`SessionOptions::on_send_error`](crate::SessionOptions::on_send_error).
    #[must_use]
    pub fn with_stack(mut self, stack: impl Into<String>) -> Self {
        self.inner_mut().stack = Some(stack.into());
        self
    }

    /// Marks the error as the reason for a session's end, for transports.
    #[must_use]
    pub fn with_session_end(mut self, end: SessionEnd) -> Self {
        self.inner_mut().session_end = Some(end);
        self
    }

    /// Returns the same error as the reason for a session's end. `cause` applies unless the error
    /// or its kind determines another one.
    pub(crate) fn as_end(&self, cause: EndCause) -> Self {
        let end = self.0.session_end.unwrap_or_else(|| {
            SessionEnd::new(match (self.0.kind, cause) {
                (_, EndCause::Here | EndCause::Peer) => cause,
                (Kind::Limit, _) => EndCause::Limit,
                (Kind::Protocol, _) => EndCause::Protocol,
                _ => cause,
            })
        });
        self.clone().with_session_end(end)
    }

    /// Returns the same error without its stack trace.
    #[must_use]
    pub(crate) fn without_stack(mut self) -> Self {
        if self.0.stack.is_some() {
            self.inner_mut().stack = None;
        }
        self
    }

    /// Returns the approximate cost of holding this error for a peer, in bytes. Results that broke
    /// with the same error share the cost.
    pub(crate) fn cost(&self) -> usize {
        let inner = &*self.0;
        let content = [&inner.props, &inner.thrown];
        let content: usize = content.into_iter().flatten().map(Payload::cost).sum();
        let stack = inner.stack.as_ref().map_or(0, String::len);
        let own = size_of::<Inner>() + inner.message.len() + stack + content;
        // The caller itself holds two references: the result, and the hook that the result has
        // settled to.
        own / Arc::strong_count(&self.0).saturating_sub(2).max(1)
    }

    /// Returns whether the error contains no stubs.
    pub(crate) fn is_plain(&self) -> bool {
        let is_plain = |payload: &Option<Payload>| payload.as_ref().is_none_or(Payload::is_plain);
        is_plain(&self.0.props) && is_plain(&self.0.thrown)
    }

    /// Returns the same error without its stubs, which are released.
    pub(crate) fn without_stubs(mut self) -> Self {
        let is_plain = |payload: &Option<Payload>| payload.as_ref().is_none_or(Payload::is_plain);
        if !is_plain(&self.0.props) {
            let props = self.0.props.as_ref().map(Payload::without_caps);
            let inner = self.inner_mut();
            inner.props = props;
            inner.source = OnceLock::new();
        }
        if !is_plain(&self.0.thrown) {
            self.inner_mut().thrown = None;
        }
        self
    }

    /// Returns the name, such as `Error`, `TypeError` or `RangeError`.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Returns the message.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns the stack trace, if its origin chose to reveal it.
    pub fn stack(&self) -> Option<&str> {
        self.0.stack.as_deref()
    }

    /// Returns the code: the property `code`, if it is a string.
    ///
    /// The library itself sets only the code `internal`. Use the `is_…` methods to recognize its
    /// other errors.
    pub fn code(&self) -> Option<String> {
        self.prop("code")
    }

    /// Returns an own property, if it exists and is of type `T`.
    pub fn prop<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        self.0.props.as_ref()?.pick(key)?.decode().ok()
    }

    /// Returns all own properties as an object, if there are any.
    pub fn props(&self) -> Option<&Payload> {
        self.0.props.as_ref()
    }

    /// Returns the underlying error, if there is one.
    pub fn cause(&self) -> Option<Self> {
        self.prop("cause")
    }

    /// Returns the value that was thrown, if it is not an error. JavaScript can throw anything.
    pub fn thrown_value(&self) -> Option<&Payload> {
        self.0.thrown.as_ref()
    }

    /// Returns whether the session is over, could not be established, or never existed.
    pub fn is_disconnected(&self) -> bool {
        self.0.kind == Kind::Disconnected || self.0.session_end.is_some()
    }

    /// Returns how the session ended, if this error is the reason for a session's end.
    pub fn session_end(&self) -> Option<&SessionEnd> {
        self.0.session_end.as_ref()
    }

    /// Returns whether this error is the reason for a session's normal end: see
    /// [`SessionEnd::is_normal`].
    pub fn is_normal_end(&self) -> bool {
        self.0.session_end.is_some_and(|end| end.is_normal())
    }

    /// Returns the limit that was exceeded on this side, if that is what the error is about.
    ///
    /// An error that a peer sent has none, since the peer's limits are its own.
    /// [`is_limit`](Self::is_limit) may nevertheless be true for the end of a session.
    pub fn exceeded_limit(&self) -> Option<Limit> {
        self.0.limit
    }

    /// Returns the reason why a client could not connect, if that is what the error is about.
    pub fn connect_failure(&self) -> Option<&ConnectFailure> {
        self.0.connect_failure.as_ref()
    }

    /// Returns whether the call that failed with this error may have run, completely or in part.
    ///
    /// If it is false, no peer has seen the call, so it can be retried without running twice. This
    /// is the case if
    ///
    /// - the session ended before the transport had taken the call, or before the call was made;
    /// - the call waited for a session and was refused, dropped or too late (see
    ///   [`lasting`](crate::lasting));
    /// - the call could not be written, for example because an argument was too large;
    /// - the client of a batch could not send its request.
    ///
    /// In all other cases it is true: for a call that was sent and not answered, and for a call
    /// that the peer or a local object has answered with an error. Calls on the promise of a failed
    /// call fail with the same error.
    ///
    /// ```
    /// # use capnweb_core::{Session, SessionOptions};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let (session, connection) = Session::client(SessionOptions::new());
    /// let api = session.main();
    /// drop(connection); // The connection is lost.
    /// let error = api.call("pay", (10,)).await.unwrap_err();
    /// assert!(error.is_disconnected() && !error.may_have_run());
    /// # }
    /// ```
    pub fn may_have_run(&self) -> bool {
        !self.0.not_run
    }

    /// Returns whether a limit was exceeded. The message names it.
    pub fn is_limit(&self) -> bool {
        self.0.kind == Kind::Limit
    }

    /// Returns whether the promise was dropped before it settled, or a handler was not given the
    /// time to finish.
    pub fn is_canceled(&self) -> bool {
        self.0.kind == Kind::Canceled
    }

    /// Returns whether the peer violated the protocol.
    pub fn is_protocol(&self) -> bool {
        self.0.kind == Kind::Protocol
    }

    /// Returns whether the name is `TypeError`.
    pub fn is_type_error(&self) -> bool {
        self.name() == "TypeError"
    }

    /// Returns whether the name is `RangeError`.
    pub fn is_range_error(&self) -> bool {
        self.name() == "RangeError"
    }
}

/// Defines constructors for the error codes that many systems share.
macro_rules! codes {
    ($($(#[$doc:meta])* $code:ident;)*) => {
        impl Error {
            $($(#[$doc])*
            pub fn $code(message: impl Into<String>) -> Self {
                Self::new(message).with_code(stringify!($code))
            })*
        }

        #[cfg(test)]
        const CODES: &[(&str, fn(&'static str) -> Error)] = &[$((stringify!($code), Error::$code)),*];
    };
}

codes! {
    /// Creates an error with the code `invalid_argument`: an argument is wrong regardless of the
    /// state of the system.
    invalid_argument;
    /// Creates an error with the code `failed_precondition`: the system is not in the state that
    /// the call requires.
    failed_precondition;
    /// Creates an error with the code `out_of_range`: an argument is past the end of the valid
    /// range.
    out_of_range;
    /// Creates an error with the code `unauthenticated`: the caller is not identified.
    unauthenticated;
    /// Creates an error with the code `permission_denied`: the caller is identified but may not do
    /// this.
    permission_denied;
    /// Creates an error with the code `not_found`: the requested thing does not exist.
    not_found;
    /// Creates an error with the code `already_exists`: the thing to be created exists already.
    already_exists;
    /// Creates an error with the code `aborted`: a concurrent operation interfered. Retry the whole
    /// transaction.
    aborted;
    /// Creates an error with the code `resource_exhausted`: a quota or a rate limit was exceeded.
    resource_exhausted;
    /// Creates an error with the code `unimplemented`: the operation is not supported.
    unimplemented;
    /// Creates an error with the code `unavailable`: the same call may succeed later.
    unavailable;
    /// Creates an error with the code `deadline_exceeded`: the operation took too long.
    deadline_exceeded;
    /// Creates an error with the code `data_loss`: data is lost or damaged.
    data_loss;
}

/// Returns `name` as a static string, without an allocation, if it is one of JavaScript's own.
fn known_name(name: String) -> Cow<'static, str> {
    for known in ["Error", "TypeError", "RangeError"] {
        if name == known {
            return Cow::Borrowed(known);
        }
    }
    Cow::Owned(name)
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name(), self.message()) {
            ("Error", message) if !message.is_empty() => f.write_str(message),
            (name, "") => f.write_str(name),
            (name, message) => write!(f, "{name}: {message}"),
        }
    }
}

/// Writes what [`Display`](fmt::Display) writes, and the properties. Programs whose `main` returns
/// an error print it this way.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        match &self.0.props {
            Some(props) => write!(f, " {props:?}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    /// Returns the [cause](Self::cause).
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        let source = self.0.source.get_or_init(|| self.cause().map(Box::new));
        source
            .as_deref()
            .map(|cause| cause as &(dyn std::error::Error + 'static))
    }
}

#[diagnostic::do_not_recommend]
impl From<capnweb_wire::SerError> for Error {
    fn from(error: capnweb_wire::SerError) -> Self {
        Self::type_error(error.to_string())
    }
}

#[diagnostic::do_not_recommend]
impl From<capnweb_wire::DeError> for Error {
    fn from(error: capnweb_wire::DeError) -> Self {
        Self::type_error(error.to_string())
    }
}

#[diagnostic::do_not_recommend]
impl From<capnweb_wire::WireError> for Error {
    fn from(error: capnweb_wire::WireError) -> Self {
        use capnweb_wire::WireError;
        let limit = match &error {
            WireError::MessageTooLarge { .. } => Some(Limit::MessageSize),
            WireError::TooDeep { .. } => Some(Limit::Depth),
            WireError::BigIntTooLong { .. } => Some(Limit::BigIntDigits),
            _ => None,
        };
        let kind = match limit {
            Some(_) => Kind::Limit,
            None => Kind::Protocol,
        };
        let mut result = Self::with_kind(kind, "TypeError", error.to_string());
        result.inner_mut().limit = limit;
        result
    }
}

/// Conversion of foreign errors into internal errors whose details the peer does not see.
pub trait OrInternal<T> {
    /// Logs the error in full on this side and returns "internal error" for the caller.
    ///
    /// ```
    /// use capnweb::{OrInternal, Result};
    ///
    /// fn read_secret() -> Result<String> {
    ///     Ok(std::fs::read_to_string("/no/such/file").or_internal()?)
    /// }
    /// assert_eq!(read_secret().unwrap_err().message(), "internal error");
    /// ```
    fn or_internal(self) -> Result<T>;
}

impl<T, E: fmt::Display + fmt::Debug> OrInternal<T> for std::result::Result<T, E> {
    fn or_internal(self) -> Result<T> {
        self.map_err(|error| stays_here(&error))
    }
}

/// Logs an error whose details must not reach the peer, and returns the error to send instead.
pub(crate) fn stays_here<E: fmt::Display + fmt::Debug>(error: &E) -> Error {
    tracing::error!(target: "capnweb", %error, detail = ?error, "internal error in a handler");
    Error::internal()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_is_the_source() {
        use std::error::Error as _;

        let root = Error::new("root");
        assert!(root.source().is_none());
        let error = Error::new("top").with_cause(Error::new("middle").with_cause(root));
        let middle = error.source().map(ToString::to_string);
        assert_eq!(middle.as_deref(), Some("middle"));
        let root = error.source().and_then(std::error::Error::source);
        assert_eq!(root.map(ToString::to_string).as_deref(), Some("root"));
        // Another cause replaces one that was already requested.
        let error = error.with_cause(Error::new("other"));
        assert_eq!(
            error.source().map(ToString::to_string).as_deref(),
            Some("other")
        );
    }

    #[test]
    fn codes_are_called_like_their_constructors() {
        for (code, new) in CODES {
            let error = new("message");
            assert_eq!(error.code().as_deref(), Some(*code));
            assert_eq!((error.name(), error.message()), ("Error", "message"));
        }
        assert_eq!(Error::internal().code().as_deref(), Some("internal"));
        assert_eq!(Error::new("message").code(), None);
        assert_eq!(Error::new("message").with_prop("code", 7).code(), None);
    }
}
