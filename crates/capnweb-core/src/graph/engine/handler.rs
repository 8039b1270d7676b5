//! Running handlers.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, OnceLock, Weak},
    task::{Context as TaskContext, Poll, Waker},
};

use tracing::{Span, Value, field};

use crate::graph::{
    cancellation::Cancellation,
    engine::{
        invoke::{Origin, not_a_function},
        target::{Answer, AnswerFuture, AnswerKind, Call, Encode, Encoded, Get, Property},
    },
    error::{Error, Result},
    hook::Hook,
    local_object::LocalObject,
    offload::{Job, offload},
    payload::{Path, Payload, View},
    peer_call::{OpenCall, PeerCall, RunningCall},
    promise_state::PromiseState,
    work,
    work::Work,
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
    let cancellation = OnceLock::new();
    let call = Call::new(method, args, target, origin, &cancellation);
    match catch_unwind(AssertUnwindSafe(|| object.call(call))) {
        Ok(answer) => run(answer, method, origin, &span, cancellation.get().cloned()),
        Err(_) => Some(Hook::Broken(panicked(method))),
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
    let cancellation = OnceLock::new();
    let get = Get::new(name, target, origin, &cancellation);
    match catch_unwind(AssertUnwindSafe(|| object.get(get))) {
        Ok(Property::Undefined) => Found::Undefined,
        Ok(Property::Method) => Found::Method,
        Ok(Property::Value(answer)) => {
            let span = span(name, origin);
            let _entered = span.enter();
            let value = run(answer, name, origin, &span, cancellation.get().cloned());
            Found::Value(value.unwrap_or_else(|| not_a_function(&Path::of(name))))
        }
        Err(_) => Found::Value(Hook::Broken(panicked(name))),
    }
}

fn span(method: &str, origin: &Origin) -> Span {
    let session = match origin {
        Origin::Peer(call) => call.session_number(),
        Origin::App | Origin::Local => 0,
    };
    tracing::debug_span!(target: "capnweb", "call", method, session, outcome = field::Empty)
}

/// Returns the hook for an answer, or `None` if the answer is that there is no such method.
fn run(
    answer: Answer,
    method: &str,
    origin: &Origin,
    span: &Span,
    cancellation: Option<Arc<Cancellation>>,
) -> Option<Hook> {
    let mut future = match answer.0 {
        AnswerKind::Ready(result) => return Some(outcome(result, span)),
        AnswerKind::Long(encode) => return Some(encode_long(encode, method, origin, span)),
        AnswerKind::NotFound => {
            record(span, "not a function");
            return None;
        }
        AnswerKind::Future(future) => future,
    };
    // Poll once inline. A handler that is ready costs no task, and calls start in order.
    let mut cx = TaskContext::from_waker(Waker::noop());
    Some(
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut cx))) {
            Ok(Poll::Ready(Encoded::Now(result))) => outcome(result, span),
            Ok(Poll::Ready(Encoded::Later(encode))) => encode_long(encode, method, origin, span),
            Ok(Poll::Pending) => spawn(future, method, origin, span, cancellation),
            Err(_) => Hook::Broken(panicked(method)),
        },
    )
}

fn spawn(
    future: AnswerFuture,
    method: &str,
    origin: &Origin,
    span: &Span,
    cancellation: Option<Arc<Cancellation>>,
) -> Hook {
    let runtime = match tokio::runtime::Handle::try_current() {
        Ok(runtime) => runtime,
        Err(_) => {
            return Hook::Broken(Error::new(format!(
                "`{method}` does not finish at once and needs a Tokio runtime to continue; \
                 await the call inside one"
            )));
        }
    };
    let result = PromiseState::of_handler(cancellation);
    let running = match origin {
        Origin::Peer(call) => match call.admit() {
            Ok(()) => Some(RunningCall::new(call)),
            Err(error) => return Hook::Broken(error.into()),
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
        method: method.to_owned(),
        span: span.clone(),
        result: Arc::downgrade(&result),
        running,
        call,
    });
    if let Some(registration) = registration {
        registration.set(OpenCall::Task(task.abort_handle()));
    }
    Hook::Promise(result)
}

fn outcome(result: Result<Payload>, span: &Span) -> Hook {
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
    method: String,
    span: Span,
    /// The promise of the result, while it is still referenced.
    result: Weak<PromiseState>,
    running: Option<RunningCall>,
    /// The call, if it is a peer's.
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

    /// Finishes with a value that takes long to encode.
    fn finish_later(&mut self, encode: Encode, span: &Span) {
        let Some(result) = self.result.upgrade() else {
            return drop(self.running.take());
        };
        let job = Encoding {
            encode,
            method: std::mem::take(&mut self.method),
            span: span.clone(),
            result,
            _running: self.running.take(),
        };
        job.start(self.call.as_ref());
    }
}

/// Encodes a value, which takes long.
fn encode_long(encode: Encode, method: &str, origin: &Origin, span: &Span) -> Hook {
    let Origin::Peer(call) = origin else {
        return outcome(encode(), span);
    };
    let result = PromiseState::new();
    let job = Encoding {
        encode,
        method: method.to_owned(),
        span: span.clone(),
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
            result,
            _running,
        } = *self;
        let _entered = span.enter();
        let outcome = match catch_unwind(AssertUnwindSafe(encode)) {
            Ok(encoded) => outcome(encoded, &span),
            Err(_) => Hook::Broken(panicked(&method)),
        };
        drop(_running);
        result.settle(outcome);
    }

    fn cancel(self: Box<Self>) {
        self.result.settle(Hook::Broken(Error::session_over()));
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
        let outcome = match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(Encoded::Now(result))) => outcome(result, &span),
            Ok(Poll::Ready(Encoded::Later(encode))) => {
                this.future = None;
                this.finish_later(encode, &span);
                return Poll::Ready(());
            }
            Err(_) => Hook::Broken(panicked(&this.method)),
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
            self.finish(Hook::Broken(Error::canceled(format!(
                "`{}` was stopped before it finished: its runtime was shut down or its time was up",
                self.method
            ))));
        }
    }
}
