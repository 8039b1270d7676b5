//! Receiving messages: sections 1, 2 and 4 of `docs/protocol.md`.

use std::{
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use capnweb_wire::{Form, Frame, Hole, Span, WireError, encode, scan_attached, scan_frame};
use smallvec::SmallVec;

use super::{
    AbortNotice, SessionInner,
    call_queue::QueuedCall,
    drain,
    evaluation::LongMessage,
    events,
    export_table::{Export, ExportKind},
    inner::State,
    peer::Token,
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
    util::invariant::Invariant,
};

/// What was found in a message's expression, and what some of it stands for.
#[derive(Clone, Copy)]
struct Holes<'a> {
    holes: &'a [Hole],
    attachments: &'a [Attachment],
    /// The whole message.
    text: &'a str,
}

/// The cost from which the outcome of a promise of the peer's is counted. What is less is in the cost
/// of the capability that leads to it.
const COUNTED_OUTCOME: usize = 128;

/// What each message needs anew, and is not to be made anew for each.
pub(super) struct Scratch {
    holes: Vec<Hole>,
    /// A peer's, for the call that is being delivered.
    origin: Origin,
}

impl Scratch {
    pub(super) fn new(shared: &Arc<SessionInner>) -> Self {
        Self {
            holes: Vec::new(),
            origin: Origin::Peer(PeerCall::new(shared.clone(), 0)),
        }
    }
}

impl SessionInner {
    /// Takes one message of the peer's in, here or on another thread.
    ///
    /// # Errors
    ///
    /// If the session is over, be it by this message.
    pub(super) fn take_in(
        self: &Arc<Self>,
        text: &str,
        attachments: &[Attachment],
        scratch: &mut Scratch,
    ) -> Result<()> {
        self.check_alive()?;
        if is_long_to_read(text) && self.offloads() && !offload::is_offloaded() {
            self.take_in_elsewhere(text, attachments);
            return self.check_alive();
        }
        if let Err(error) = self.receive(text, attachments, scratch) {
            self.end(error, AbortNotice::Sent);
        }
        self.check_alive()
    }

    /// Has a message taken in on another thread.
    #[cold]
    fn take_in_elsewhere(self: &Arc<Self>, text: &str, attachments: &[Attachment]) {
        let message = match LongMessage::new(self, text, attachments) {
            Ok(message) => message,
            Err(exceeded) => return self.end(exceeded.into(), AbortNotice::Sent),
        };
        if let Err(message) = self.offload(Box::new(message)) {
            // There is no other thread.
            let _offloaded = Offloaded::enter();
            message.run();
        }
    }

    pub(super) fn check_alive(&self) -> Result<()> {
        if self.over.load(Ordering::Acquire) {
            return Err(self.end_reason().unwrap_or_else(Error::internal));
        }
        Ok(())
    }

    /// Does what a message says, or has it done elsewhere if that takes long.
    ///
    /// # Errors
    ///
    /// If the peer broke the protocol or a limit; the caller then ends the session.
    fn receive(
        self: &Arc<Self>,
        text: &str,
        attachments: &[Attachment],
        scratch: &mut Scratch,
    ) -> Result<()> {
        events::received(self.number, text);
        let Scratch { holes, origin } = scratch;
        let limits = self.limits.wire();
        let whole;
        let frame = if attachments.is_empty() {
            scan_frame(text, limits, holes)?
        } else if let Some(frame) = scan_with_all(text, attachments, limits, holes)? {
            frame
        } else {
            // As text they are what they would have been, had the peer sent text.
            whole = whole_text(text, attachments);
            scan_frame(&whole, limits, holes)?
        };
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
            Frame::Abort(expr) => {
                if let Some(reason) = self.thrown(expr, holes)? {
                    self.end_by(EndCause::Peer, reason, AbortNotice::Silent);
                }
                Ok(())
            }
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
            // There may be room by now, and then this one has not to wait behind them.
            drop(state);
            self.start_queued();
            state = self.lock();
        }
        self.check_limits(&state)?;
        let export = Export::starting(kind);
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
        // Looked up before the result has an ID: it cannot refer to itself.
        let refs = self.resolve_ids(holes, found.attachments)?;
        let mut state = self.lock();
        if state.ended.is_some() {
            return Ok(());
        }
        let id = state.exports.push(export);
        drop(state);
        origin.is_now_call(id);
        // A write to a stream runs nothing of its own, and what it holds is counted: it has not to
        // wait, and all that are written keep their order.
        let is_write = matches!(
            (holes.first(), refs.first()),
            (Some(root), Some(ResolvedRef::Export { hook: Hook::PipeWriter(_), .. }))
                if root.span.len() == expr.len()
        );
        // Plain data, a ping for example, runs nothing at all.
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

    /// Returns whether it takes long to evaluate an expression with these holes, since what some of
    /// them stand for is long: it may be copied for each.
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

    /// Evaluates a push, or puts it behind those that wait for room: as a whole, since calls and
    /// reads inside it come after those before it.
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
        let call = PeerCall::new(self.clone(), id);
        let (queued, result) = QueuedCall::new(expr, holes, refs, call);
        state.queue.push(queued);
        Hook::Promise(result)
    }

    /// Drops `count` references of the peer to export `id`.
    fn peer_releases(&self, id: i64, count: u64) -> Result<()> {
        if id == 0 {
            // The reference counts its main object like any other. Ours stays.
            return Ok(());
        }
        let mut state = self.lock();
        if let Some(export) = state.exports.release(id, count)? {
            state.discard(export);
        }
        Ok(())
    }

    /// Starts calls that wait, as long as there is room.
    /// Returns false if it stopped before, since it takes long.
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

    /// Sets the result of a push, or the promise of it.
    fn set_result(self: &Arc<Self>, id: i64, result: Hook) {
        if let Hook::Value(payload) = &result
            && payload.is_plain()
        {
            // The usual case: there is nothing to look for in it, and its cost is counted at once.
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

    /// Counts the cost of retaining the result of export `id`, as soon as it is there.
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
                        // A property of a promise: nobody has asked for it yet.
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
        // An outcome that nobody wants is evaluated all the same, so that what is in it is released.
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

    /// An import has its outcome: it is released at once, and the outcome kept here.
    ///
    /// # Errors
    ///
    /// Fails if the import was no promise: a stub or stream that we did not ask for its outcome.
    fn settle_import(&self, id: i64, outcome: Hook) -> Result<()> {
        let outcome = self.unless_circular(id, outcome);
        // What the peer answers to a call of ours is the application's affair.
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
        if let Some(left) = left.filter(|left| !left.is_text()) {
            work::submit(Work::DropHook(left));
        }
        // It has its outcome: dropping the last reference can be the end of the session, and no more.
        drop(import);
        Ok(())
    }

    /// The outcome of import `id`, unless it leads back to that.
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

    /// What was thrown; `None` if that takes long to read, and is done elsewhere. Stubs have no place in it.
    fn thrown(self: &Arc<Self>, expr: &str, holes: Holes<'_>) -> Result<Option<Error>> {
        let thrown = self.value(expr, holes)?;
        Ok(thrown.map(|thrown| thrown.into_thrown().without_stubs()))
    }

    /// An expression that belongs to no call; `None` if that takes long to evaluate, and is done
    /// elsewhere, with all of its message.
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
        // There can be calls in it.
        self.check_limits(&self.lock())?;
        let origin = Origin::Peer(PeerCall::new(self.clone(), 0));
        Ok(Some(evaluator(expr, holes, refs, &origin).payload()))
    }
}

/// Scans a message; `None` if some of what is beside its text is in no value.
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

/// The text of a message with all that is beside it.
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

/// Does what a push asks for, and gives the result or the promise of it.
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

/// The usual push: `["pipeline", id, ["method"], [plain arguments]]`.
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

/// Returns the time that is left, if a push announces a drain.
fn announced_drain(expr: &str, holes: &[Hole]) -> Option<Duration> {
    /// An announcement is no longer than this, in bytes.
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
    /// The object of ours that `id` is, if it is one straight away.
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
