//! Receiving messages: sections 1, 2 and 4 of `docs/protocol.md`.

use std::{
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use capnweb_wire::{
    Form, Frame, Hole, Span, WireError, encode, push_note, scan_attached, scan_frame,
};
use smallvec::SmallVec;

use super::{
    AbortNotice, SessionInner,
    call_queue::QueuedCall,
    drain,
    evaluation::{Decode, LongMessage},
    events,
    export_table::{Export, ExportKind},
    inner::State,
    peer::Token,
    traced,
};
use crate::{
    Attachment,
    graph::{
        cycle::unless_circular,
        engine::{
            effort,
            evaluate::{Evaluator, PreparedOperation, ResolvedRef},
            invoke::{Origin, call_method, invoke},
        },
        error::{Error, Result},
        hook::{Hook, Settled, Waiter},
        local_object::LocalObject,
        offload::{self, LONG_TEXT, Offloaded, is_long_to_read},
        payload::{Payload, View, only_name},
        peer_call::{PeerCall, Resource},
        remote::Notify,
        session_end::EndCause,
        work::{self, Work},
    },
    limits::LimitExceeded,
    util::invariant::Invariant,
};

/// The holes in a message's expression, and its attachments.
#[derive(Clone, Copy)]
struct Holes<'a> {
    holes: &'a [Hole],
    attachments: &'a [Attachment],
    /// The whole message.
    text: &'a str,
}

/// The cost from which the outcome of a peer's promise is counted. The cost of the capability that
/// refers to it covers anything less.
const COUNTED_OUTCOME: usize = 128;

/// Scratch space that is reused across messages.
pub(super) struct Scratch {
    holes: Vec<Hole>,
    /// The origin of the call that is being delivered.
    origin: Origin,
    /// True if the message was reported before it was moved to another thread.
    pub(super) is_reported: bool,
}

/// The handling of an `abort` of the peer.
#[derive(Debug, Default)]
pub(super) enum PeerAbort {
    /// An abort ends the session at once.
    #[default]
    Final,
    /// An abort ends the session once the transport's close code is known.
    AwaitsClose,
    /// An abort has arrived with this reason, but the close code has not.
    Received(Error),
}

impl Scratch {
    pub(super) fn new(shared: &Arc<SessionInner>) -> Self {
        Self {
            holes: Vec::new(),
            origin: Origin::Peer(PeerCall::new(shared.clone(), 0)),
            is_reported: false,
        }
    }
}

impl SessionInner {
    /// Receives one message from the peer, on this thread or on another one.
    ///
    /// # Errors
    ///
    /// Returns an error if the session is over, possibly because of this message. Also returns an
    /// error if the peer has aborted the session and the close code is awaited.
    pub(super) fn take_in(
        self: &Arc<Self>,
        text: &str,
        attachments: &[Attachment],
        scratch: &mut Scratch,
    ) -> Result<()> {
        self.check_alive()?;
        if !scratch.is_reported {
            events::received(self.number, text, attachments, self.hooks.as_ref());
        }
        if is_long_to_read(text) && self.offloads() && !offload::is_offloaded() {
            self.take_in_elsewhere(text, attachments);
            return self.check_alive();
        }
        if let Err(error) = self.receive(text, attachments, scratch) {
            if self.is_aborted() {
                return Err(error);
            }
            self.end(error, AbortNotice::Sent);
        }
        self.check_alive()
    }

    /// Receives a message on another thread.
    #[cold]
    fn take_in_elsewhere(self: &Arc<Self>, text: &str, attachments: &[Attachment]) {
        self.evaluate_elsewhere(LongMessage::new(self, text, attachments));
    }

    /// Receives messages that are decoded on another thread and have `len` bytes until then.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`take_in`](Self::take_in).
    pub(super) fn take_in_encoded(self: &Arc<Self>, len: usize, decode: Decode) -> Result<()> {
        self.check_alive()?;
        self.evaluate_elsewhere(LongMessage::encoded(self, len, decode));
        self.check_alive()
    }

    fn evaluate_elsewhere(self: &Arc<Self>, message: Result<LongMessage, LimitExceeded>) {
        let message = match message {
            Ok(message) => message,
            Err(exceeded) => return self.end(exceeded.into(), AbortNotice::Sent),
        };
        if let Err(message) = self.offload(Box::new(message)) {
            // There is no other thread.
            let _offloaded = Offloaded::enter();
            message.run();
        }
    }

    /// Returns whether the peer has aborted the session and the close code is awaited.
    #[inline]
    pub(super) fn is_aborted(&self) -> bool {
        self.aborted.load(Ordering::Acquire)
    }

    /// Checks that the session is neither over nor aborted.
    #[inline]
    pub(super) fn check_alive(&self) -> Result<()> {
        if self.over.load(Ordering::Acquire) || self.is_aborted() {
            return Err(self.reason());
        }
        Ok(())
    }

    /// Returns the reason for which the session is over or aborted.
    #[cold]
    fn reason(&self) -> Error {
        if self.over.load(Ordering::Acquire) {
            return self.end_reason().unwrap_or_else(Error::internal);
        }
        match &self.lock().abort {
            PeerAbort::Received(reason) => reason.clone(),
            PeerAbort::Final | PeerAbort::AwaitsClose => Error::session_over(),
        }
    }

    /// Handles a message, on another thread if that takes long.
    ///
    /// # Errors
    ///
    /// Returns an error if the peer violates the protocol or a limit. The caller then ends the
    /// session. Also returns an error if the peer has aborted the session and the close code is
    /// awaited. The reason is then left in the state.
    fn receive(
        self: &Arc<Self>,
        text: &str,
        attachments: &[Attachment],
        scratch: &mut Scratch,
    ) -> Result<()> {
        let Scratch { holes, origin, .. } = scratch;
        let limits = self.limits.wire();
        let whole;
        let mut scanned = text;
        let frame = if attachments.is_empty() {
            scan_frame(text, limits, holes)?
        } else if let Some(frame) = scan_with_all(text, attachments, limits, holes)? {
            frame
        } else {
            // Insert them into the text, as if the peer had sent only text.
            whole = whole_text(text, attachments);
            scanned = &whole;
            scan_frame(scanned, limits, holes)?
        };
        if let Some(propagator) = self.options.propagator()
            && let Frame::Push(expr) | Frame::Stream(expr) = frame
        {
            let note = push_note(scanned, expr);
            *origin = Origin::Peer(traced::call(self, propagator, note));
        }
        let holes = Holes {
            holes,
            attachments,
            text,
        };
        match frame {
            Frame::Push(expr) => self.push_received(expr, holes, ExportKind::Call, origin),
            Frame::Stream(expr) => self.push_received(expr, holes, ExportKind::Stream, origin),
            Frame::Pipe => self.pipe_received(),
            Frame::Pull(id) => self.peer_pulls(id),
            Frame::Release { id, count } => self.peer_releases(id, count),
            Frame::Resolve(id, expr) => self.resolve_received(id, expr, holes),
            Frame::Reject(id, expr) => self.reject_received(id, expr, holes),
            Frame::Abort(expr) => match self.thrown(expr, holes)? {
                Some(reason) => self.abort_received(reason),
                None => Ok(()),
            },
        }
    }

    fn push_received(
        self: &Arc<Self>,
        expr: &str,
        found: Holes<'_>,
        kind: ExportKind,
        origin: &mut Origin,
    ) -> Result<()> {
        let holes = found.holes;
        let mut state = self.lock();
        if state.ended.is_some() {
            return Ok(());
        }
        if !state.queue.is_empty() {
            // If there is room by now, this call does not have to wait behind the queued ones.
            drop(state);
            self.start_queued();
            state = self.lock();
        }
        self.check_limits(&state)?;
        let export = Export::starting(kind);
        // Plain data, such as a ping, is answered until the end, and so are writes to streams.
        if let Some(refusal) = &state.refusal
            && kind == ExportKind::Call
            && !holes.is_empty()
        {
            let refused = Hook::Broken(refusal.clone());
            let id = state.exports.push(export);
            drop(state);
            self.set_result(id, refused);
            return Ok(());
        }
        let direct = match (kind, simple_call(expr, holes)) {
            (ExportKind::Call, Some(call)) if !self.is_busy(&state) && state.queue.is_empty() => {
                state
                    .direct_target(call.target)
                    .filter(|_| call.method != drain::METHOD)
                    .map(|target| (target, call))
            }
            _ => None,
        };
        if let Some((target, call)) = direct {
            let id = state.exports.push(export);
            drop(state);
            origin.is_now_call(id);
            let result = call_method(&target, call.method, View::plain(call.args), origin);
            self.set_result(id, result);
            return Ok(());
        }
        if kind == ExportKind::Call
            && let Some(time) = announced_drain(expr, holes)
        {
            let id = state.exports.push(export);
            state.drain_announced(time);
            drop(state);
            self.set_result(id, Hook::Value(Payload::undefined()));
            return Ok(());
        }
        drop(state);
        if self.takes_long(holes) {
            self.take_in_elsewhere(found.text, found.attachments);
            return Ok(());
        }
        // Look this up before the result has an ID, since it cannot refer to itself.
        let refs = self.resolve_ids(holes, found.attachments)?;
        let mut state = self.lock();
        if state.ended.is_some() {
            return Ok(());
        }
        let id = state.exports.push(export);
        drop(state);
        origin.is_now_call(id);
        // A write to a stream runs no handler, and its memory is counted. So it does not have to
        // wait, and all writes keep their order.
        let is_write = matches!(
            (holes.first(), refs.first()),
            (Some(root), Some(ResolvedRef::Export { hook: Hook::PipeWriter(_), .. }))
                if root.span.len() == expr.len()
        );
        // Plain data, such as a ping, does not run anything.
        let result = if is_write || holes.is_empty() {
            evaluate_push(expr, holes, refs, origin)
        } else {
            self.start_or_queue(expr, holes, refs, id, origin)
        };
        self.set_result(id, result);
        if kind == ExportKind::Stream {
            self.answer(id);
        }
        Ok(())
    }

    /// Ends the session with the reason of the peer's abort, or keeps the reason until the close
    /// code is known.
    ///
    /// # Errors
    ///
    /// Returns the reason if it is kept.
    fn abort_received(&self, reason: Error) -> Result<()> {
        let mut state = self.lock();
        if let PeerAbort::Final = state.abort {
            drop(state);
            self.end_by(EndCause::Peer, reason, AbortNotice::Silent);
            return Ok(());
        }
        let earlier = std::mem::replace(&mut state.abort, PeerAbort::Received(reason.clone()));
        self.aborted.store(true, Ordering::Release);
        drop(state);
        drop(earlier);
        Err(reason)
    }

    /// Returns whether evaluating an expression with these holes takes long because some of them
    /// refer to long values, which may be copied for each hole.
    fn takes_long(&self, holes: &[Hole]) -> bool {
        if offload::is_offloaded() || !self.offloads() {
            return false;
        }
        let (mut len, mut hooks) = (0, SmallVec::<[Hook; 4]>::new());
        let state = self.lock();
        for hole in holes {
            let is_export = matches!(hole.form, Form::Import | Form::Pipeline | Form::Remap);
            match state.exports.get(hole.id).filter(|_| is_export) {
                None => {}
                Some(export) => match export.hook() {
                    Hook::Value(payload) => len += payload.size(),
                    hook @ (Hook::Promise(_) | Hook::Import(_)) => hooks.push(hook.clone()),
                    _ => {}
                },
            }
        }
        drop(state);
        for hook in hooks {
            if let Settled::Yes(Hook::Value(payload)) = hook.follow() {
                len += payload.size();
            }
        }
        len > LONG_TEXT
    }

    /// Evaluates a push, or queues it behind those that wait for room. It is queued as a whole,
    /// since the calls and reads inside it must come after earlier ones.
    fn start_or_queue(
        self: &Arc<Self>,
        expr: &str,
        holes: &[Hole],
        refs: Vec<ResolvedRef>,
        id: i64,
        origin: &Origin,
    ) -> Hook {
        let mut state = self.lock();
        if let Some(ended) = &state.ended {
            let ended = ended.clone();
            drop(state);
            return Hook::Broken(ended);
        }
        if state.queue.is_empty() && !self.is_busy(&state) {
            drop(state);
            effort::spend(effort::CALL);
            return evaluate_push(expr, holes, refs, origin);
        }
        let call = match origin {
            Origin::Peer(call) => call.clone(),
            Origin::App | Origin::Local => PeerCall::new(self.clone(), id),
        };
        let (queued, result) = QueuedCall::new(expr, holes, refs, call);
        state.queue.push(queued);
        Hook::Promise(result)
    }

    /// Drops `count` references of the peer to export `id`.
    fn peer_releases(&self, id: i64, count: u64) -> Result<()> {
        if id == 0 {
            // The reference implementation counts its main object like any other export. Ours is
            // never released.
            return Ok(());
        }
        let mut state = self.lock();
        if let Some(export) = state.exports.release(id, count)? {
            state.discard(export);
        }
        Ok(())
    }

    /// Starts queued calls while there is room. Returns false if it stopped early because this
    /// takes long.
    pub(super) fn start_queued(self: &Arc<Self>) -> bool {
        loop {
            let mut state = self.lock();
            if state.queue.is_empty() || self.is_busy(&state) {
                return true;
            }
            let stops = self.offloads() && !offload::is_offloaded();
            if stops && (state.evaluation.is_running() || effort::is_exhausted()) {
                return false;
            }
            let call = state.queue.pop();
            drop(state);
            let Some(call) = call else { return true };
            effort::spend(effort::CALL);
            if stops && call.takes_long() {
                if let Err(here) = self.offload(Box::new(call)) {
                    here.run();
                }
            } else {
                call.start();
            }
        }
    }

    /// Sets the result of a push, which may be a promise.
    fn set_result(self: &Arc<Self>, id: i64, result: Hook) {
        if let Hook::Value(payload) = &result
            && payload.is_plain()
        {
            // The usual case: there are no capabilities in it, and its cost is counted at once.
            let cost = payload.cost();
            let mut state = self.lock();
            let left = state.exports.set_result(id, result);
            if matches!(left, Hook::Starting) && state.exports.count_result(id, cost) {
                self.end_if_passed(state);
            } else {
                drop(state);
                drop_unless_starting(left);
            }
            return;
        }
        let left = self.lock().exports.set_result(id, result);
        drop_unless_starting(left);
        self.count_cost(id);
    }

    /// Counts the cost of retaining the result of export `id`, as soon as the result is available.
    pub(super) fn count_cost(self: &Arc<Self>, id: i64) {
        let mut hook = match self.lock().exports.get(id) {
            Some(export) => export.hook().clone(),
            None => return,
        };
        loop {
            let outcome = match hook.follow() {
                Settled::Yes(outcome) => outcome,
                Settled::Not(promise) => {
                    let token = Token::Cost(id).pack();
                    let this: Weak<dyn Notify> = Arc::<Self>::downgrade(self);
                    let waiter = Waiter::Observer(this, token);
                    let waiting = match &promise {
                        Hook::Promise(state) => state.wait(&mut Some(waiter)),
                        Hook::Import(import) => import.watch(waiter),
                        Hook::Call(call) => call.watch(waiter),
                        // A property of a promise, which nobody has read yet.
                        _ => return,
                    };
                    if waiting {
                        return;
                    }
                    hook = promise;
                    continue;
                }
            };
            let cost = outcome.cost();
            if cost == 0 {
                return;
            }
            let mut state = self.lock();
            if state.exports.count_result(id, cost) {
                self.end_if_passed(state);
            }
            return;
        }
    }

    fn resolve_received(self: &Arc<Self>, id: i64, expr: &str, holes: Holes<'_>) -> Result<()> {
        // An outcome is evaluated even if nobody wants it, so that its references are released.
        match self.value(expr, holes)? {
            Some(payload) => self.settle_import(id, Hook::Value(payload)),
            None => Ok(()),
        }
    }

    fn reject_received(self: &Arc<Self>, id: i64, expr: &str, holes: Holes<'_>) -> Result<()> {
        match self.thrown(expr, holes)? {
            Some(error) => self.settle_import(id, Hook::Broken(error)),
            None => Ok(()),
        }
    }

    /// Settles an import: it is released at once, and its outcome is kept here.
    ///
    /// # Errors
    ///
    /// Returns an error if the import is not a promise, but a stub or stream that was not pulled.
    fn settle_import(&self, id: i64, outcome: Hook) -> Result<()> {
        let outcome = self.intercepted(id, self.unless_circular(id, outcome));
        let failure = match (&self.hooks, &outcome) {
            (Some(_), Hook::Broken(error)) => Some(error.clone()),
            _ => None,
        };
        // The answer to our own call is the application's responsibility.
        let cost = if id < 0 { outcome.cost() } else { 0 };
        let mut state = self.lock();
        let entry = if id == 0 {
            None
        } else {
            state.imports.settle(id)?
        };
        let Some(mut entry) = entry else {
            state.later(Work::DropHook(outcome));
            return Ok(());
        };
        let record = state.take_observed(id);
        if let Some(taker) = entry.take_taker() {
            state.later(Work::TakeOutcome(taker, outcome));
            return Ok(());
        }
        let import = entry.import();
        if let Some(import) = &import
            && !outcome.is_plain()
        {
            self.edges.add_outcome(import);
        }
        if let Some(import) = &import
            && cost >= COUNTED_OUTCOME
        {
            import.set_retained(cost);
            state.counts.charge(Resource::RetainedBytes, cost);
        }
        let left = match &import {
            Some(import) => import.resolve(outcome),
            None => Some(outcome),
        };
        let refs = entry.refs();
        state.write(|out| encode::release(out, id, refs));
        state.notify(entry.into_waiters());
        drop(state);
        if let Some(record) = record {
            record.finish_with(failure.as_ref());
        }
        if let Some(left) = left.filter(|left| !left.is_text()) {
            work::submit(Work::DropHook(left));
        }
        // The import has its outcome. So dropping the last reference can end the session, but
        // nothing else.
        drop(import);
        Ok(())
    }

    /// Returns the outcome of import `id`, or the error with which an interceptor replaces it.
    fn intercepted(&self, id: i64, outcome: Hook) -> Hook {
        if !self.hooks.as_ref().is_some_and(|hooks| hooks.intercepts()) {
            return outcome;
        }
        let state = self.lock();
        let calls = state.observed_calls.as_ref();
        let call = calls
            .and_then(|calls| calls.get(&id))
            .map(|call| call.start_report());
        drop(state);
        let failure = match &outcome {
            Hook::Broken(error) => Some(error),
            _ => None,
        };
        match call.and_then(|call| call.after(failure)) {
            Some(error) => {
                work::submit(Work::DropHook(outcome));
                Hook::Broken(error)
            }
            None => outcome,
        }
    }

    /// Returns the outcome of import `id`, or an error if the outcome leads back to the import.
    fn unless_circular(&self, id: i64, outcome: Hook) -> Hook {
        if outcome.is_plain() {
            return outcome;
        }
        let import = self
            .lock()
            .imports
            .get_mut(id)
            .and_then(|entry| entry.import());
        match import.map(Hook::Import) {
            Some(import) => unless_circular(outcome, &import),
            None => outcome,
        }
    }

    /// Returns the thrown error, or `None` if it takes long to evaluate and is handled on another
    /// thread. Stubs are not allowed in it.
    fn thrown(self: &Arc<Self>, expr: &str, holes: Holes<'_>) -> Result<Option<Error>> {
        let thrown = self.value(expr, holes)?;
        Ok(thrown.map(|thrown| thrown.into_thrown().without_stubs()))
    }

    /// Evaluates an expression that does not belong to a call. Returns `None` if this takes long.
    /// The whole message is then handled on another thread.
    fn value(self: &Arc<Self>, expr: &str, found: Holes<'_>) -> Result<Option<Payload>> {
        let holes = found.holes;
        if holes.is_empty() {
            return Ok(Some(Payload::received(expr)));
        }
        if self.takes_long(holes) {
            self.take_in_elsewhere(found.text, found.attachments);
            return Ok(None);
        }
        let refs = self.resolve_ids(holes, found.attachments)?;
        // It may contain calls.
        self.check_limits(&self.lock())?;
        let origin = Origin::Peer(PeerCall::new(self.clone(), 0));
        Ok(Some(evaluator(expr, holes, refs, &origin).payload()))
    }
}

/// Scans a message. Returns `None` if one of its attachments is not used by a value.
fn scan_with_all<'a>(
    text: &'a str,
    attachments: &[Attachment],
    limits: &capnweb_wire::Limits,
    holes: &mut Vec<Hole>,
) -> std::result::Result<Option<Frame<'a>>, WireError> {
    let frame = scan_attached(text, attachments, limits, holes)?;
    let found = holes.iter().filter(|hole| hole.form == Form::Bytes).count();
    Ok((found == attachments.len()).then_some(frame))
}

/// Returns the text of a message with all attachments inserted.
fn whole_text(text: &str, attachments: &[Attachment]) -> String {
    let mut whole = Vec::new();
    Attachment::inline(text.as_bytes(), attachments, &mut whole);
    String::from_utf8(whole).or_bug("pieces of UTF-8 text, cut at characters")
}

fn drop_unless_starting(hook: Hook) {
    if !matches!(hook, Hook::Starting) {
        work::submit(Work::DropHook(hook));
    }
}

/// Evaluates a push, and returns its result, which may be a promise.
pub(super) fn evaluate_push(
    expr: &str,
    holes: &[Hole],
    refs: Vec<ResolvedRef>,
    origin: &Origin,
) -> Hook {
    let evaluator = evaluator(expr, holes, refs, origin);
    match evaluator.root_request() {
        None => Hook::Value(evaluator.payload()),
        Some(Err(hook)) => hook,
        Some(Ok(PreparedOperation {
            hook,
            path,
            operation,
        })) => invoke(hook, &path, operation, origin),
    }
}

fn evaluator<'a>(
    text: &'a str,
    holes: &'a [Hole],
    refs: Vec<ResolvedRef>,
    origin: &'a Origin,
) -> Evaluator<'a> {
    let whole = Span {
        start: 0,
        end: u32::try_from(text.len()).unwrap_or(u32::MAX),
    };
    Evaluator {
        text,
        whole,
        holes,
        refs,
        origin,
        budget: None,
    }
}

/// A push of the usual form: `["pipeline", id, ["method"], [plain arguments]]`.
struct SimpleCall<'a> {
    target: i64,
    method: &'a str,
    args: &'a str,
}

fn simple_call<'a>(expr: &'a str, holes: &[Hole]) -> Option<SimpleCall<'a>> {
    let [hole] = holes else { return None };
    if hole.form != Form::Pipeline || hole.span.len() != expr.len() {
        return None;
    }
    Some(SimpleCall {
        target: hole.id,
        method: only_name(hole.path?.of(expr))?,
        args: hole.args?.of(expr),
    })
}

/// Returns the announced time, if a push announces a drain.
fn announced_drain(expr: &str, holes: &[Hole]) -> Option<Duration> {
    /// The maximum length of an announcement, in bytes.
    const MAX_LEN: usize = 128;
    if expr.len() > MAX_LEN {
        return None;
    }
    let call = simple_call(expr, holes)?;
    if call.target != 0 || call.method != drain::METHOD {
        return None;
    }
    drain::announced_time(call.args)
}

impl State {
    /// Returns our local object with this ID, if the export refers to it directly.
    fn direct_target(&self, id: i64) -> Option<Arc<LocalObject>> {
        let hook = match id {
            0 => self.exports.main()?,
            _ => self.exports.get(id)?.hook(),
        };
        match hook {
            Hook::Target(target) => Some(target.clone()),
            _ => None,
        }
    }
}
