//! Interception of calls: hooks that run before and after each call.

use std::{fmt, future::Future, pin::Pin};

use super::{
    error::{Error, Result},
    observe::{CallInfo, SessionInfo},
    payload::{Payload, View},
};

/// Runs before and after the calls of a session. Add it with
/// [`SessionOptions::with_interceptor`](crate::SessionOptions::with_interceptor).
///
/// An interceptor sees the calls that the peer makes and those that this process makes on the
/// peer's objects. [`CallInfo::side`] tells them apart. Pipelined calls, calls in a `map` and reads
/// of properties are included. Calls within this process and writes to streams are not.
///
/// ```
/// use capnweb::{
///     Error, Object, Result, Session, SessionOptions,
///     observe::{CallInfo, Direction, InterceptedCall, Interceptor, SessionInfo, Verdict}, pair,
/// };
///
/// /// Allows reads only, and hides the causes of failures.
/// struct ReadOnly;
///
/// impl Interceptor for ReadOnly {
///     fn before(&self, call: &InterceptedCall<'_>) -> Verdict {
///         let is_read = call.info().method().starts_with("get");
///         if call.info().side() == Direction::Outgoing || is_read {
///             Verdict::proceed()
///         } else {
///             Verdict::reject(Error::permission_denied("you may only read"))
///         }
///     }
///
///     fn after(
///         &self,
///         _: &SessionInfo,
///         _: &CallInfo<'_>,
///         outcome: Result<(), &Error>,
///     ) -> Option<Error> {
///         outcome.err().map(|_| Error::new("it did not work"))
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
/// let api = Object::new()
///     .method("getName", async || Ok("Ada"))
///     .method("setName", async |_: String| Ok(()));
/// let (_, mut server) = Session::server(SessionOptions::new().with_interceptor(ReadOnly));
/// server.set_main(api.into_stub());
/// # let (left, right) = pair();
/// # tokio::spawn(server.drive(left));
/// # let (session, connection) = Session::client(SessionOptions::new());
/// # tokio::spawn(connection.drive(right));
///
/// // A client calls.
/// let api = session.main();
/// assert_eq!(api.call("getName", ()).fetch::<String>().await?, "Ada");
/// let error = api.call("setName", ("Eve",)).await.unwrap_err();
/// assert_eq!(error.code().as_deref(), Some("permission_denied"));
/// # Ok(()) }
/// ```
///
/// A peer's call on an object of another session, which a proxy forwards, is intercepted twice: as
/// an incoming call before it is forwarded, and as an outgoing call of the other session.
pub trait Interceptor: Send + Sync + 'static {
    /// Decides on a call before it runs here or is sent to the peer.
    ///
    /// The promises in the arguments of an incoming call have settled. By default, all calls
    /// proceed.
    fn before(&self, call: &InterceptedCall<'_>) -> Verdict {
        let _ = call;
        Verdict::proceed()
    }

    /// Inspects the outcome of a call that was allowed to proceed. Returns an error to replace the
    /// outcome, or `None` to keep it.
    ///
    /// This is not called if the session has ended or the handler was stopped, because there is no
    /// outcome. A call that returned a promise or stub succeeded.
    fn after(
        &self,
        session: &SessionInfo,
        call: &CallInfo<'_>,
        outcome: Result<(), &Error>,
    ) -> Option<Error> {
        let _ = (session, call, outcome);
        None
    }
}

/// A call that an [`Interceptor`] decides on.
#[derive(Clone, Copy)]
pub struct InterceptedCall<'a> {
    pub(crate) session: &'a SessionInfo,
    pub(crate) info: CallInfo<'a>,
    pub(crate) args: Option<View<'a>>,
}

impl<'a> InterceptedCall<'a> {
    /// Returns the session that the call arrived through or is sent through.
    pub fn session(&self) -> &'a SessionInfo {
        self.session
    }

    /// Returns the kind of the call and the name of the method.
    pub fn info(&self) -> &CallInfo<'a> {
        &self.info
    }

    /// Returns a copy of the arguments as an array, or `None` for a read or map.
    pub fn args(&self) -> Option<Payload> {
        self.args.map(|args| args.bracketed())
    }
}

impl fmt::Debug for InterceptedCall<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InterceptedCall")
            .field("session", self.session)
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}

pub(crate) type Wait = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// The decision of an [`Interceptor`] on a call.
pub struct Verdict(pub(crate) VerdictKind);

pub(crate) enum VerdictKind {
    Proceed,
    Reject(Error),
    Wait(Wait),
}

impl Verdict {
    /// Lets the call proceed at once.
    pub fn proceed() -> Self {
        Self(VerdictKind::Proceed)
    }

    /// Rejects the call. It does not run.
    pub fn reject(error: impl Into<Error>) -> Self {
        Self(VerdictKind::Reject(error.into()))
    }

    /// Delays the call until a future completes. The call proceeds if the future succeeds.
    ///
    /// Later calls do not wait and may overtake this one, except calls on its result. A future that
    /// is not ready at once is spawned on the current Tokio runtime.
    ///
    /// ```
    /// use capnweb::Error;
    /// use capnweb::observe::{InterceptedCall, Interceptor, Verdict};
    ///
    /// struct Paid;
    /// # async fn has_paid(session: u64) -> bool { true }
    ///
    /// impl Interceptor for Paid {
    ///     fn before(&self, call: &InterceptedCall<'_>) -> Verdict {
    ///         let session = call.session().id();
    ///         Verdict::wait(async move {
    ///             match has_paid(session).await {
    ///                 true => Ok(()),
    ///                 false => Err(Error::permission_denied("this costs money")),
    ///             }
    ///         })
    ///     }
    /// }
    /// ```
    pub fn wait(future: impl Future<Output = Result<()>> + Send + 'static) -> Self {
        Self(VerdictKind::Wait(Box::pin(future)))
    }
}

impl fmt::Debug for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            VerdictKind::Proceed => f.write_str("Verdict(proceed)"),
            VerdictKind::Reject(error) => f.debug_tuple("Verdict").field(error).finish(),
            VerdictKind::Wait(_) => f.write_str("Verdict(wait)"),
        }
    }
}
