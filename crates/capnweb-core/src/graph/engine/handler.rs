//! Running handlers.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, OnceLock, Weak},
    task::{Context as TaskContext, Poll},
};

use tracing::{Level, Span, Value, field};

use crate::{
    graph::{
        cancellation::Cancellation,
        engine::{
            invoke::{Origin, not_a_function},
            target::{Answer, AnswerFuture, AnswerKind, Call, Encode, Encoded, Get, Property},
        },
        error::{Error, Result},
        hook::Hook,
        hooks::{CallRecord, SessionHooks},
        local_object::LocalObject,
        observe::{CallInfo, CallKind, Direction},
        offload::{Job, offload},
        payload::{Path, Payload, View},
        peer_call::{OpenCall, PeerCall, RunningCall},
        promise_state::PromiseState,
        work,
        work::Work,
    },
    runtime::{Handle, InlineWaker},
};

/// Calls a method. Returns `None` if there is no such method. The promises in `args` must have
/// settled.
pub(crate) fn call(
    target: &Arc<LocalObject>,
    method: &str,
    args: View<'_>,
    origin: &Origin,
) -> Option<Hook> {
    let span = span(method, origin);
    let _entered = span.enter();
    let object = target.target();
    let record = start(target, method, origin);
    let cancellation = OnceLock::new();
    let call = Call::new(method, args, target, origin, &cancellation);
    match catch_unwind(AssertUnwindSafe(|| object.call(call))) {
        Ok(answer) => {
            let cancellation = cancellation.get().cloned();
            run(answer, method, origin, &span, record, cancellation)
        }
        Err(_) => Some(outcome(Err(panicked(method)), &span, record)),
    }
}

/// The result of reading a property.
pub(crate) enum Found {
    Undefined,
    Method,
    /// The value, or a promise of it.
    Value(Hook),
}

/// Reads a property.
pub(crate) fn get(target: &Arc<LocalObject>, name: &str, origin: &Origin) -> Found {
    let object = target.target();
    let record = match origin {
        Origin::Peer(call) => SessionHooks::of(call).map(|hooks| {
            with_info(target, CallKind::Get, name, |call| {
                CallRecord::new(&hooks, call)
            })
        }),
        Origin::App | Origin::Local => None,
    };
    let cancellation = OnceLock::new();
    let get = Get::new(name, target, origin, &cancellation);
    let property = catch_unwind(AssertUnwindSafe(|| object.get(get)));
    match property {
        Ok(Property::Undefined) => {
            forget(record);
            Found::Undefined
        }
        Ok(Property::Method) => {
            forget(record);
            Found::Method
        }
        Ok(Property::Value(answer)) => {
            report_start(record.as_deref());
            let span = span(name, origin);
            let _entered = span.enter();
            let cancellation = cancellation.get().cloned();
            let value = run(answer, name, origin, &span, record, cancellation);
            Found::Value(value.unwrap_or_else(|| not_a_function(&Path::of(name))))
        }
        Err(_) => {
            report_start(record.as_deref());
            Found::Value(outcome(Err(panicked(name)), &Span::none(), record))
        }
    }
}

/// Reports the start of a read, once it is known to run something.
fn report_start(record: Option<&CallRecord>) {
    if let Some(record) = record {
        record.start_report().report();
    }
}

/// Drops the record of a read that found nothing to run.
fn forget(record: Option<Box<CallRecord>>) {
    if let Some(record) = record {
        record.forget();
    }
}

/// Reports that a call of a peer starts, if it is observed.
#[inline]
fn start(target: &Arc<LocalObject>, method: &str, origin: &Origin) -> Option<Box<CallRecord>> {
    match origin {
        Origin::Peer(call) => Some(start_observed(&SessionHooks::of(call)?, target, method)),
        Origin::App | Origin::Local => None,
    }
}

#[cold]
fn start_observed(
    hooks: &Arc<SessionHooks>,
    target: &Arc<LocalObject>,
    method: &str,
) -> Box<CallRecord> {
    with_info(target, CallKind::Call, method, |call| {
        CallRecord::start(hooks, call)
    })
}

/// Describes a call of a peer on an object of this process.
pub(crate) fn with_info<R>(
    target: &Arc<LocalObject>,
    kind: CallKind,
    method: &str,
    then: impl FnOnce(&CallInfo<'_>) -> R,
) -> R {
    let object = target.target();
    // A method that was read as a property has its name still.
    let bound = object.bound_method().filter(|_| method.is_empty());
    let method = bound.unwrap_or(method);
    then(&CallInfo {
        side: Direction::Incoming,
        kind,
        method,
        is_declared: object.declares(method),
    })
}

fn span(method: &str, origin: &Origin) -> Span {
    if !tracing::span_enabled!(target: "capnweb", Level::DEBUG, "call", method, session, outcome) {
        return Span::none();
    }
    let (session, parent) = match origin {
        Origin::Peer(call) => (call.session_number(), call.scope().span()),
        Origin::App | Origin::Local => (0, None),
    };
    let span = match parent {
        Some(parent) => tracing::debug_span!(
            target: "capnweb",
            parent: parent,
            "call",
            method,
            session,
            outcome = field::Empty
        ),
        None => {
            tracing::debug_span!(target: "capnweb", "call", method, session, outcome = field::Empty)
        }
    };
    if let Origin::Peer(call) = origin {
        call.set_parent(&span);
    }
    span
}

/// Runs a future that precedes a call. Returns the hook for its outcome.
pub(crate) fn wait(future: AnswerFuture, method: &str, origin: &Origin) -> Hook {
    let answer = Answer(AnswerKind::Future(future));
    run(answer, method, origin, &Span::none(), None, None)
        .unwrap_or_else(|| Hook::Broken(Error::internal()))
}

/// Returns the hook for an answer, or `None` if the answer is that there is no such method.
fn run(
    answer: Answer,
    method: &str,
    origin: &Origin,
    span: &Span,
    call: Option<Box<CallRecord>>,
    cancellation: Option<Arc<Cancellation>>,
) -> Option<Hook> {
    let mut future = match answer.0 {
        AnswerKind::Ready(result) => return Some(outcome(result, span, call)),
        AnswerKind::Long(encode) => return Some(encode_long(encode, method, origin, span, call)),
        AnswerKind::NotFound => {
            record(span, "not a function");
            if let Some(call) = call {
                call.not_found();
            }
            return None;
        }
        AnswerKind::Future(future) => future,
    };
    // Poll once inline. A handler that is ready costs no task, and calls start in order.
    let waker = InlineWaker::new();
    let mut cx = TaskContext::from_waker(waker.waker());
    Some(
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut cx))) {
            Ok(Poll::Ready(Encoded::Now(result))) => outcome(result, span, call),
            Ok(Poll::Ready(Encoded::Later(encode))) => {
                encode_long(encode, method, origin, span, call)
            }
            Ok(Poll::Pending) => spawn(future, waker, method, origin, span, call, cancellation),
            Err(_) => outcome(Err(panicked(method)), span, call),
        },
    )
}

fn spawn(
    future: AnswerFuture,
    waker: InlineWaker,
    method: &str,
    origin: &Origin,
    span: &Span,
    record: Option<Box<CallRecord>>,
    cancellation: Option<Arc<Cancellation>>,
) -> Hook {
    let runtime = match Handle::try_current() {
        Ok(runtime) => runtime,
        Err(_) => {
            let error = Error::new(format!(
                "`{method}` does not finish at once and needs a Tokio runtime to continue; \
                 await the call inside one"
            ));
            return outcome(Err(error), span, record);
        }
    };
    let result = PromiseState::of_handler(cancellation);
    let running = match origin {
        Origin::Peer(call) => match call.admit() {
            Ok(()) => Some(RunningCall::new(call)),
            Err(error) => return outcome(Err(error.into()), span, record),
        },
        Origin::App | Origin::Local => None,
    };
    let registration = running.as_ref().map(RunningCall::registration);
    let call = match origin {
        Origin::Peer(call) => Some(call.clone()),
        Origin::App | Origin::Local => None,
    };
    let task = runtime.spawn(Handling {
        future: Some(future),
        waker,
        method: method.to_owned(),
        span: span.clone(),
        record,
        result: Arc::downgrade(&result),
        running,
        call,
    });
    if let Some(registration) = registration {
        registration.set(OpenCall::Task(task.abort_handle()));
    }
    Hook::Promise(result)
}

/// Reports an outcome, and returns the hook for it.
fn outcome(result: Result<Payload>, span: &Span, call: Option<Box<CallRecord>>) -> Hook {
    let result = match call {
        Some(call) => call.finish(result),
        None => result,
    };
    match result {
        Ok(payload) => {
            record(span, "ok");
            payload.into_hook()
        }
        Err(error) => {
            record(span, field::display(&error));
            Hook::Broken(error)
        }
    }
}

/// Records the outcome in the span. A disabled span would still look up its fields.
fn record(span: &Span, outcome: impl Value) {
    if !span.is_disabled() {
        span.record("outcome", outcome);
    }
}

fn panicked(method: &str) -> Error {
    tracing::error!(target: "capnweb", method, "a handler panicked");
    Error::internal()
}

/// A handler that was not ready at once.
struct Handling {
    /// The handler's future, until it has finished.
    future: Option<AnswerFuture>,
    /// The waker of the first poll, before there was a task.
    waker: InlineWaker,
    method: String,
    span: Span,
    record: Option<Box<CallRecord>>,
    /// The promise of the result, while it is still referenced.
    result: Weak<PromiseState>,
    running: Option<RunningCall>,
    /// The peer's call, if a peer made it.
    call: Option<PeerCall>,
}

impl Handling {
    fn finish(&mut self, outcome: Hook) {
        drop(self.running.take());
        match self.result.upgrade() {
            Some(result) => result.settle(outcome),
            None => work::submit(Work::DropHook(outcome)),
        }
    }

    /// Finishes with a value whose encoding takes long.
    fn finish_later(&mut self, encode: Encode, span: &Span) {
        let Some(result) = self.result.upgrade() else {
            // Nobody needs the value, so it is not encoded.
            if let Some(call) = self.record.take() {
                call.finish_with(None);
            }
            record(span, "ok");
            return drop(self.running.take());
        };
        let job = Encoding {
            encode,
            method: std::mem::take(&mut self.method),
            span: span.clone(),
            record: self.record.take(),
            result,
            _running: self.running.take(),
        };
        job.start(self.call.as_ref());
    }
}

/// Encodes a value whose encoding takes long. Returns the hook for the outcome.
fn encode_long(
    encode: Encode,
    method: &str,
    origin: &Origin,
    span: &Span,
    record: Option<Box<CallRecord>>,
) -> Hook {
    let Origin::Peer(call) = origin else {
        return outcome(encode(), span, record);
    };
    let result = PromiseState::new();
    let job = Encoding {
        encode,
        method: method.to_owned(),
        span: span.clone(),
        record,
        result: result.clone(),
        _running: None,
    };
    job.start(Some(call));
    Hook::Promise(result)
}

/// A value that is being encoded.
struct Encoding {
    encode: Encode,
    method: String,
    span: Span,
    record: Option<Box<CallRecord>>,
    result: Arc<PromiseState>,
    _running: Option<RunningCall>,
}

impl Encoding {
    fn start(self, call: Option<&PeerCall>) {
        match call {
            Some(call) => offload(call, Box::new(self)),
            None => Box::new(self).run(),
        }
    }
}

impl Job for Encoding {
    fn run(self: Box<Self>) {
        let Self {
            encode,
            method,
            span,
            record,
            result,
            _running,
        } = *self;
        let _entered = span.enter();
        let encoded = catch_unwind(AssertUnwindSafe(encode));
        let outcome = outcome(
            encoded.unwrap_or_else(|_| Err(panicked(&method))),
            &span,
            record,
        );
        drop(_running);
        result.settle(outcome);
    }

    fn cancel(self: Box<Self>) {
        let outcome = outcome(Err(Error::session_over()), &self.span, self.record);
        self.result.settle(outcome);
    }
}

impl Future for Handling {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        let this = &mut *self;
        let Some(future) = &mut this.future else {
            return Poll::Ready(());
        };
        let span = this.span.clone();
        let _entered = span.enter();
        this.waker.forward_to(cx);
        let outcome = match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(Encoded::Now(result))) => outcome(result, &span, this.record.take()),
            Ok(Poll::Ready(Encoded::Later(encode))) => {
                this.future = None;
                this.finish_later(encode, &span);
                return Poll::Ready(());
            }
            Err(_) => outcome(Err(panicked(&this.method)), &span, this.record.take()),
        };
        // Drop everything that the handler holds before the answer is written.
        this.future = None;
        this.finish(outcome);
        Poll::Ready(())
    }
}

impl Drop for Handling {
    fn drop(&mut self) {
        if let Some(future) = self.future.take() {
            // A destructor that panics must not leave the caller waiting.
            if catch_unwind(AssertUnwindSafe(|| drop(future))).is_err() {
                tracing::error!(target: "capnweb", method = self.method, "a destructor panicked");
            }
            // Its outcome is reported as unknown.
            drop(self.record.take());
            self.finish(Hook::Broken(Error::canceled(format!(
                "`{}` was stopped before it finished: its runtime was shut down or its time was up",
                self.method
            ))));
        }
    }
}
