//! Writing to a stream of the peer.

use std::{
    sync::{Arc, Mutex, MutexGuard, Weak},
    task::{Context, Poll, Waker},
};

use capnweb_wire::encode::{Envelope, Operation, Target};

use super::{
    SessionGuard, SessionInner,
    end::shut_down,
    flow_control::{FlowControl, InFlight},
    locked::Locked,
    send::NotSent,
};
use crate::{
    graph::{
        error::{Error, Result},
        hook::{Hook, Waiter},
        hooks::StreamRecord,
        import::Import,
        observe::Direction,
        payload::{Payload, View},
        remote::{Notify, TakeOutcome},
        stream::{Acknowledgement, Destination},
        work::{self, Work},
    },
    limits::Limit,
    runtime::SystemInstant as Instant,
    util::lock::LockExt,
};

/// The state of a stream of the peer, shared with the pending writes.
pub(crate) struct RemoteStream {
    state: Mutex<StreamState>,
}

struct StreamState {
    /// The pipe or writable. It is dropped, and so released, once all answers have arrived.
    target: Option<Arc<Import>>,
    control: FlowControl,
    error: Option<Error>,
    /// True once the peer has answered `close`.
    closed: bool,
    waker: Option<Waker>,
}

/// A sent `stream` message that is not answered yet.
struct SentMessage {
    stream: Arc<RemoteStream>,
    what: What,
}

enum What {
    /// A chunk. If it was forwarded, its own writer waits for the acknowledgement.
    Write(InFlight, Option<Acknowledgement>),
    Close,
    Abort,
}

impl TakeOutcome for SentMessage {
    /// Handles the peer's answer, or the reason why there will be none.
    fn take_outcome(self: Box<Self>, outcome: &Hook) {
        let error = match outcome {
            Hook::Broken(error) => Some(error.clone()),
            _ => None,
        };
        self.stream.answered(self.what, error);
    }
}

impl RemoteStream {
    fn lock(&self) -> MutexGuard<'_, StreamState> {
        self.state.acquire()
    }

    fn answered(&self, what: What, error: Option<Error>) {
        let mut state = self.lock();
        let done = !matches!(what, What::Write(..)) || error.is_some();
        let mut owed = None;
        match (what, error) {
            (What::Write(write, acknowledgement), None) => {
                state.control.acknowledged(&write, Instant::now());
                owed = acknowledgement.map(|owed| (owed, Ok(())));
            }
            (What::Write(write, acknowledgement), Some(error)) => {
                state.control.failed(&write);
                owed = acknowledgement.map(|owed| (owed, Err(error.clone())));
                state.error.get_or_insert(error);
            }
            (What::Close, None) => state.closed = true,
            // An earlier write has failed, which is the reason.
            (What::Close, Some(error)) => {
                state.error.get_or_insert(error);
            }
            (What::Abort, _) => {}
        }
        let target = if done { state.target.take() } else { None };
        let waker = state.waker.take();
        drop(state);
        if let Some((acknowledgement, result)) = owed {
            acknowledgement.settle(result);
        }
        release(target);
        waker.into_iter().for_each(Waker::wake);
    }

    fn set_error(&self, error: &Error) {
        self.lock().error.get_or_insert_with(|| error.clone());
    }

    /// Fails all further writes.
    fn fail(&self, error: &Error) {
        let mut state = self.lock();
        state.error.get_or_insert_with(|| error.clone());
        let target = state.target.take();
        let waker = state.waker.take();
        drop(state);
        release(target);
        waker.into_iter().for_each(Waker::wake);
    }

    /// Handles the end of the session, or an outcome from the peer for something that has none.
    fn target_settled(&self) {
        let target = self.lock().target.clone();
        if let Some(resolution) = target.as_ref().and_then(|target| target.resolution()) {
            self.fail(&match resolution {
                Hook::Broken(error) => error,
                _ => Error::protocol("a stream was settled like a promise"),
            });
        }
        release(target);
    }
}

impl Notify for RemoteStream {
    fn notify(self: Arc<Self>, _: u64) {
        self.target_settled();
    }
}

fn release(target: Option<Arc<Import>>) {
    if let Some(target) = target {
        work::submit(Work::DropHook(Hook::Import(target)));
    }
}

/// The writing end. Dropping it before it is closed releases the stream, which aborts it.
pub(crate) struct RemoteStreamWriter {
    stream: Arc<RemoteStream>,
    /// True once `close` or `abort` was sent: the target is released when that is answered.
    ending: bool,
    watching: bool,
    /// True in a batch: nothing is answered before it is sent, and nothing can be sent afterwards.
    unanswered: bool,
    /// The session of the target, which the target keeps alive.
    session: Weak<SessionGuard>,
    /// Reports the use of the stream.
    record: Option<StreamRecord>,
}

impl RemoteStreamWriter {
    /// Creates a writer to `target`, an import of the session of `guard`.
    pub(super) fn new(target: Arc<Import>, guard: &Arc<SessionGuard>) -> Self {
        let unanswered = guard.inner().role.is_batch();
        let hooks = guard.inner().hooks.as_ref();
        let mut writer = Self::with(Some(target), None, unanswered, Arc::downgrade(guard));
        writer.record = hooks.map(|hooks| StreamRecord::new(hooks, Direction::Outgoing));
        writer
    }

    /// Creates a writer that fails with `error`.
    pub(crate) fn broken(error: Error) -> Self {
        Self::with(None, Some(error), false, Weak::new())
    }

    fn with(
        target: Option<Arc<Import>>,
        error: Option<Error>,
        unanswered: bool,
        session: Weak<SessionGuard>,
    ) -> Self {
        let state = StreamState {
            target,
            control: FlowControl::default(),
            error,
            closed: false,
            waker: None,
        };
        Self {
            stream: Arc::new(RemoteStream {
                state: Mutex::new(state),
            }),
            ending: false,
            watching: false,
            unanswered,
            session,
            record: None,
        }
    }

    fn target(&self) -> Result<Arc<Import>> {
        let state = self.stream.lock();
        match (&state.error, &state.target) {
            (Some(error), _) => Err(error.clone()),
            (None, Some(target)) => Ok(target.clone()),
            (None, None) => Err(closed()),
        }
    }

    /// Watches for the session's end, even while nothing is being written.
    fn watch(&mut self) {
        if std::mem::replace(&mut self.watching, true) {
            return;
        }
        let Ok(target) = self.target() else { return };
        let this: Weak<dyn Notify> = Arc::<RemoteStream>::downgrade(&self.stream);
        if !target.watch(Waiter::Observer(this, 0)) {
            self.stream.target_settled();
        }
        release(Some(target));
    }

    fn send(&self, method: Method, args: &Payload) -> Result<()> {
        self.send_acknowledged(method, args, &mut None)
    }

    /// Sends a message. Takes `acknowledgement` if the message is sent.
    fn send_acknowledged(
        &self,
        method: Method,
        args: &Payload,
        acknowledgement: &mut Option<Acknowledgement>,
    ) -> Result<()> {
        if let Some(record) = &self.record {
            record.announce();
        }
        let target = self.target()?;
        // The target keeps the session alive.
        let session = self.session.upgrade().ok_or_else(shut_down)?;
        let sent = session.inner().send_stream(
            &target,
            method,
            args.view(),
            &self.stream,
            acknowledgement,
        );
        release(Some(target));
        sent
    }

    /// Sends a chunk. Takes `acknowledgement` if the chunk is sent.
    fn send_chunk(
        &mut self,
        chunk: &Payload,
        acknowledgement: &mut Option<Acknowledgement>,
    ) -> Result<()> {
        if self.ending {
            return Err(closed());
        }
        let args = chunk.view().bracketed();
        let sent = self.send_acknowledged(Method::Write, &args, acknowledgement);
        if let Err(error) = &sent {
            self.send_abort(error);
            self.stream.set_error(error);
        }
        sent
    }

    /// Sends an `abort`, and releases the target when that is answered.
    fn send_abort(&mut self, reason: &Error) {
        let Ok(target) = self.target() else { return };
        release(Some(target));
        let Some(session) = self.session.upgrade() else {
            return;
        };
        let encoded = session.inner().options.encode_error(reason);
        drop(session);
        match self.send(Method::Abort, &encoded.view().bracketed()) {
            Ok(()) => self.ending = true,
            Err(error) => self.stream.fail(&error),
        }
    }

    /// Waits until `ready` returns a result. The task is woken when there may be one.
    fn poll<R>(
        &self,
        cx: &Context<'_>,
        ready: impl FnOnce(&StreamState) -> Option<Result<R>>,
    ) -> Poll<Result<R>> {
        let waker = cx.waker().clone();
        let mut state = self.stream.lock();
        let found = match &state.error {
            Some(error) => Some(Err(error.clone())),
            None => ready(&state),
        };
        // Register it even if there is room, since a write may fail meanwhile.
        let old = state.waker.replace(waker);
        drop(state);
        drop(old);
        found.map_or(Poll::Pending, Poll::Ready)
    }
}

fn closed() -> Error {
    Error::type_error("the stream is closed")
}

impl Destination for RemoteStreamWriter {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.watch();
        let unbounded = self.unanswered;
        self.poll(cx, |state| {
            (unbounded || !state.control.is_full()).then_some(Ok(()))
        })
    }

    fn write(&mut self, chunk: Payload) -> Result<()> {
        self.send_chunk(&chunk, &mut None)
    }

    fn is_acknowledged(&self) -> bool {
        !self.unanswered
    }

    fn write_acknowledged(
        &mut self,
        chunk: Payload,
        acknowledgement: Acknowledgement,
    ) -> Result<()> {
        let mut acknowledgement = Some(acknowledgement);
        let sent = self.send_chunk(&chunk, &mut acknowledgement);
        if let Some(acknowledgement) = acknowledgement {
            acknowledgement.settle(sent.clone());
        }
        sent
    }

    /// Written chunks have already been sent. Like a JavaScript writer, this waits for room.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if self.ending {
            return Poll::Ready(Ok(()));
        }
        self.poll_ready(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if !self.ending {
            self.watch();
            if let Err(error) = self.send(Method::Close, &Payload::from_text("[]")) {
                self.stream.fail(&error);
                return Poll::Ready(Err(error));
            }
            self.ending = true;
        }
        if self.unanswered {
            return Poll::Ready(Ok(()));
        }
        self.poll(cx, |state| state.closed.then_some(Ok(())))
    }

    fn abort(mut self: Box<Self>, reason: Error) {
        if !self.ending {
            self.send_abort(&reason);
        }
    }
}

impl Drop for RemoteStreamWriter {
    fn drop(&mut self) {
        if !self.ending {
            release(self.stream.lock().target.take());
        }
    }
}

/// The methods of a writable stream.
#[derive(Clone, Copy)]
pub(crate) enum Method {
    Write,
    Close,
    Abort,
}

impl Method {
    fn name(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Close => "close",
            Self::Abort => "abort",
        }
    }
}

impl SessionInner {
    /// Sends a call that is answered without a pull, and whose ID is not released.
    fn send_stream(
        self: &Arc<Self>,
        target: &Arc<Import>,
        method: Method,
        args: View<'_>,
        stream: &Arc<RemoteStream>,
        acknowledgement: &mut Option<Acknowledgement>,
    ) -> Result<()> {
        let call = Operation::Call(Target {
            method: Some(method.name()),
            ..Target::new(target.id(), "[]")
        });
        let now = Instant::now();
        let is_batch = self.role.is_batch();
        let limit = self.limits.max_held_bytes();
        let register = |state: &mut Locked<'_>| {
            let what = match method {
                Method::Write => {
                    let size = state.out.last_len_utf16();
                    let in_flight = stream.lock().control.sent(size, now);
                    What::Write(in_flight, acknowledgement.take())
                }
                Method::Close => What::Close,
                Method::Abort => What::Abort,
            };
            let sent = SentMessage {
                stream: stream.clone(),
                what,
            };
            state.imports.push_stream(Box::new(sent));
            let is_write = matches!(method, Method::Write);
            is_batch && is_write && state.is_batch_too_large(&self.limits)
        };
        match self.send_message(target, Some(args), &Envelope::Stream(call), register) {
            Ok(false) => Ok(()),
            Ok(true) => Err(Error::exceeds(
                Limit::HeldBytes,
                format!(
                    "a batch cannot carry a stream of more than {limit} bytes \
                     (limit max_held_bytes)"
                ),
            )),
            Err(NotSent::Failed(error)) => Err(error),
            Err(NotSent::Resolved) => Err(match target.resolution() {
                Some(Hook::Broken(error)) => error,
                _ => Error::protocol("a stream was settled like a promise"),
            }),
        }
    }
}
