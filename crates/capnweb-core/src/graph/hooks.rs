//! A session's observer and interceptors, and the records of the calls and streams reported to
//! them.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    error::Error,
    intercept::{InterceptedCall, Interceptor, VerdictKind, Wait},
    observe::{CallInfo, CallKind, CallOutcome, Direction, MessageInfo, Observer, SessionInfo},
    payload::{Payload, View},
    peer_call::PeerCall,
};
use crate::limits::Limit;

/// The application code that a session calls. A session without any has no `SessionHooks`.
pub(crate) struct SessionHooks {
    info: SessionInfo,
    observer: Option<Arc<dyn Observer>>,
    interceptors: Arc<[Arc<dyn Interceptor>]>,
}

impl SessionHooks {
    pub(crate) fn new(
        info: SessionInfo,
        observer: Option<Arc<dyn Observer>>,
        interceptors: Arc<[Arc<dyn Interceptor>]>,
    ) -> Self {
        Self {
            info,
            observer,
            interceptors,
        }
    }

    /// Returns the hooks of the session that a call arrived through, if it has any.
    #[inline]
    pub(crate) fn of(call: &PeerCall) -> Option<Arc<Self>> {
        call.hooks()?.downcast().ok()
    }

    /// Returns true if there are interceptors.
    #[inline]
    pub(crate) fn intercepts(&self) -> bool {
        !self.interceptors.is_empty()
    }

    /// Asks the interceptors whether a call may proceed.
    pub(crate) fn before(
        self: &Arc<Self>,
        info: CallInfo<'_>,
        args: Option<View<'_>>,
    ) -> VerdictKind {
        self.before_from(0, info, args)
    }

    /// Asks the interceptors whether a call may proceed, starting at index `first`.
    fn before_from(
        self: &Arc<Self>,
        first: usize,
        info: CallInfo<'_>,
        args: Option<View<'_>>,
    ) -> VerdictKind {
        for (at, interceptor) in self.interceptors.iter().enumerate().skip(first) {
            let call = InterceptedCall {
                session: &self.info,
                info,
                args,
            };
            let asked = catch_unwind(AssertUnwindSafe(|| interceptor.before(&call)));
            match asked.map(|verdict| verdict.0) {
                Ok(VerdictKind::Proceed) => {}
                Ok(VerdictKind::Reject(error)) => return VerdictKind::Reject(error),
                Ok(VerdictKind::Wait(wait)) => {
                    return VerdictKind::Wait(self.then_ask(at + 1, wait, info, args));
                }
                Err(_) => return VerdictKind::Reject(self.panicked()),
            }
        }
        VerdictKind::Proceed
    }

    /// Waits for one interceptor's verdict, then asks the interceptors from index `next` on.
    fn then_ask(
        self: &Arc<Self>,
        next: usize,
        wait: Wait,
        info: CallInfo<'_>,
        args: Option<View<'_>>,
    ) -> Wait {
        if next == self.interceptors.len() {
            return wait;
        }
        let (call, args) = (self.start_report(&info), args.map(View::to_payload));
        Box::pin(async move {
            wait.await?;
            let args = args.as_ref().map(Payload::view);
            let verdict = call.hooks.before_from(next, call.info(), args);
            match verdict {
                VerdictKind::Proceed => Ok(()),
                VerdictKind::Reject(error) => Err(error),
                VerdictKind::Wait(wait) => wait.await,
            }
        })
    }

    /// Shows a call's outcome to the interceptors, the last one first. Returns the error that
    /// replaces the outcome, if any.
    fn after(&self, info: &CallInfo<'_>, failure: Option<&Error>) -> Option<Error> {
        let mut replaced = None;
        for interceptor in self.interceptors.iter().rev() {
            let outcome = replaced.as_ref().or(failure).map_or(Ok(()), Err);
            let after = || interceptor.after(&self.info, info, outcome);
            match catch_unwind(AssertUnwindSafe(after)) {
                Ok(None) => {}
                Ok(error) => replaced = error,
                Err(_) => replaced = Some(self.panicked()),
            }
        }
        replaced
    }

    fn panicked(&self) -> Error {
        tracing::error!(target: "capnweb", session = self.info.id, "an interceptor panicked");
        Error::internal()
    }

    /// Returns the `StartReport` of a call.
    pub(crate) fn start_report(self: &Arc<Self>, call: &CallInfo<'_>) -> StartReport {
        StartReport {
            hooks: self.clone(),
            side: call.side,
            kind: call.kind,
            method: call.method.into(),
            is_declared: call.is_declared,
        }
    }

    /// Calls the observer. A panic in it must not affect anything else.
    fn tell(&self, tell: impl FnOnce(&dyn Observer, &SessionInfo)) {
        let Some(observer) = &self.observer else {
            return;
        };
        if catch_unwind(AssertUnwindSafe(|| tell(&**observer, &self.info))).is_err() {
            tracing::error!(target: "capnweb", session = self.info.id, "an observer panicked");
        }
    }

    pub(crate) fn opened(&self) {
        self.tell(|observer, session| observer.session_opened(session));
    }

    pub(crate) fn ended(&self, reason: &Error) {
        self.exceeded(reason);
        self.tell(|observer, session| observer.session_ended(session, reason));
    }

    pub(crate) fn message(&self, message: &MessageInfo<'_>) {
        self.tell(|observer, session| observer.message(session, message));
    }

    /// Reports the limit that an error is about, if there is one.
    pub(crate) fn exceeded(&self, error: &Error) {
        if let Some(limit) = error.exceeded_limit() {
            self.limit_exceeded(limit);
        }
    }

    fn limit_exceeded(&self, limit: Limit) {
        self.tell(|observer, session| observer.limit_exceeded(session, limit));
    }
}

impl fmt::Debug for SessionHooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionHooks")
            .field("session", &self.info)
            .finish_non_exhaustive()
    }
}

/// A call that has started. If the record is dropped before an outcome is reported, the outcome is
/// reported as unknown.
pub(crate) struct CallRecord {
    hooks: Arc<SessionHooks>,
    side: Direction,
    kind: CallKind,
    method: Arc<str>,
    is_declared: bool,
    started: Instant,
    is_finished: bool,
}

impl CallRecord {
    /// Creates a record, and reports the start of the call.
    pub(crate) fn start(hooks: &Arc<SessionHooks>, call: &CallInfo<'_>) -> Box<Self> {
        hooks.tell(|observer, session| observer.call_started(session, call));
        Self::new(hooks, call)
    }

    /// Creates a record without reporting the start.
    pub(crate) fn new(hooks: &Arc<SessionHooks>, call: &CallInfo<'_>) -> Box<Self> {
        Box::new(Self {
            hooks: hooks.clone(),
            side: call.side,
            kind: call.kind,
            method: call.method.into(),
            is_declared: call.is_declared,
            started: Instant::now(),
            is_finished: false,
        })
    }

    /// Returns the `StartReport` of a call whose record is stored elsewhere.
    pub(crate) fn start_report(&self) -> StartReport {
        StartReport {
            hooks: self.hooks.clone(),
            side: self.side,
            kind: self.kind,
            method: self.method.clone(),
            is_declared: self.is_declared,
        }
    }

    /// Reports that a call could not be sent.
    pub(crate) fn not_sent(mut self, error: &Error) {
        self.hooks.exceeded(error);
        self.report(CallOutcome::Failed(error));
    }

    /// Drops the record of a call that was not made, without a report.
    pub(crate) fn forget(mut self) {
        self.is_finished = true;
    }

    /// Reports that the object has no such method.
    pub(crate) fn not_found(mut self) {
        let error = Error::type_error(format!("'{}' is not a function.", self.method));
        self.report(CallOutcome::Failed(&error));
    }

    /// Reports the outcome. Returns the outcome, or the error that replaces it.
    pub(crate) fn finish<T>(mut self, outcome: Result<T, Error>) -> Result<T, Error> {
        let outcome = match self.hooks.after(&self.info(), outcome.as_ref().err()) {
            Some(error) => Err(error),
            None => outcome,
        };
        match &outcome {
            Ok(_) => self.report(CallOutcome::Ok),
            Err(error) => self.report(CallOutcome::Failed(error)),
        }
        outcome
    }

    /// Reports the outcome: a failure, or success.
    pub(crate) fn finish_with(mut self, failure: Option<&Error>) {
        self.report(failure.map_or(CallOutcome::Ok, CallOutcome::Failed));
    }

    fn report(&mut self, outcome: CallOutcome<'_>) {
        self.is_finished = true;
        let elapsed = self.started.elapsed();
        let call = self.info();
        (self.hooks).tell(|observer, session| {
            observer.call_finished(session, &call, outcome, elapsed);
        });
    }

    fn info(&self) -> CallInfo<'_> {
        CallInfo {
            side: self.side,
            kind: self.kind,
            method: &self.method,
            is_declared: self.is_declared,
        }
    }
}

/// Reports the start of a call that has been written.
pub(crate) struct StartReport {
    hooks: Arc<SessionHooks>,
    side: Direction,
    kind: CallKind,
    method: Arc<str>,
    is_declared: bool,
}

impl StartReport {
    fn info(&self) -> CallInfo<'_> {
        CallInfo {
            side: self.side,
            kind: self.kind,
            method: &self.method,
            is_declared: self.is_declared,
        }
    }

    /// Reports the start of the call.
    pub(crate) fn report(&self) {
        let call = self.info();
        (self.hooks).tell(|observer, session| observer.call_started(session, &call));
    }

    /// Reports that the call was rejected by an interceptor.
    pub(crate) fn reject(&self, error: &Error) {
        self.report();
        let (call, outcome) = (self.info(), CallOutcome::Failed(error));
        (self.hooks).tell(|observer, session| {
            observer.call_finished(session, &call, outcome, Duration::ZERO);
        });
    }

    /// Returns the error with which interceptors replace the call's outcome, if any.
    pub(crate) fn after(&self, failure: Option<&Error>) -> Option<Error> {
        self.hooks.after(&self.info(), failure)
    }
}

impl Drop for CallRecord {
    fn drop(&mut self) {
        if !self.is_finished {
            self.report(CallOutcome::Dropped);
        }
    }
}

/// A stream of a session. Its end is reported when the record is dropped.
pub(crate) struct StreamRecord {
    hooks: Arc<SessionHooks>,
    direction: Direction,
    started: Instant,
    is_announced: AtomicBool,
}

impl StreamRecord {
    /// Creates a record without reporting it, so a lock may be held.
    pub(crate) fn new(hooks: &Arc<SessionHooks>, direction: Direction) -> Self {
        Self {
            hooks: hooks.clone(),
            direction,
            started: Instant::now(),
            is_announced: AtomicBool::new(false),
        }
    }

    /// Reports the stream as opened, the first time only.
    pub(crate) fn announce(&self) {
        if !self.is_announced.swap(true, Ordering::Relaxed) {
            let direction = self.direction;
            (self.hooks).tell(|observer, session| observer.stream_opened(session, direction));
        }
    }

    fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

impl Drop for StreamRecord {
    fn drop(&mut self) {
        self.announce();
        let (direction, elapsed) = (self.direction, self.elapsed());
        (self.hooks).tell(|observer, session| observer.stream_ended(session, direction, elapsed));
    }
}
