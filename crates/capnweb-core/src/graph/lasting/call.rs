//! Calls that a slot tends.

use std::sync::{Arc, Mutex, MutexGuard, Weak};

use super::{
    LostCall,
    deadlines::{Deadline, Due},
    group::{Room, unavailable},
    send::{attempt_anywhere, copy_of, is_lost, is_repeatable, refuse_lost_arguments},
    slot::{Slot, Through},
};
use crate::{
    graph::{
        engine::invoke::{Operation, Origin},
        error::Error,
        hook::{Hook, Settled, Waiter, Waiters, add_waiter},
        payload::Path,
        peer_call::RunningCall,
        remote::{Entered, GuardedCall, Notify, Peer},
        work::{self, Work},
    },
    runtime::Instant,
    util::lock::LockExt,
};

/// A call through a slot that waits for a session, may be retried, or has a time limit. It is also
/// the promise of its result.
///
/// ```text
///              sent, and neither repeated nor timed
///   waiting ─────────────────────────────────────────► settled to the session's promise
///    │  ▲ │
///    │  │ └─► sent ──────────────────────────────────► settled to the outcome
///    │  │      │  answered, or late
///    │  └──────┘
///    │     lost with the session, and retried
///    └───────────────────────────────────────────────► settled to an error
///        refused, late, or the slot was closed
/// ```
///
/// While a call waits, its slot refers to it weakly: if the promise is dropped, the call is never
/// sent. Only calls from a peer and detached calls are kept alive by the slot.
pub(crate) struct LastingCall {
    slot: Arc<Slot>,
    /// The call on whose result this call is made, or `None` if it is made on the slot's stub.
    parent: Option<Arc<LastingCall>>,
    path: Path,
    origin: Origin,
    /// The position of this call among all calls of the group.
    number: u64,
    called: Instant,
    /// True if the call is retried when it is lost, because it and the calls that it depends on are
    /// idempotent.
    is_repeated: bool,
    /// True if the call settles only with its outcome.
    is_tracked: bool,
    state: Mutex<State>,
}

struct State {
    phase: Phase,
    /// The operation, as long as it may have to be sent.
    operation: Option<Operation>,
    /// The last attempt.
    sent: Option<Sent>,
    attempts: u32,
    may_have_run: bool,
    /// True if the outcome was requested.
    is_pulled: bool,
    /// True if the slot keeps the call alive while it waits.
    is_held: bool,
    waiters: Waiters,
    room: Option<Room>,
    deadline: Option<Deadline>,
    /// Counts a peer's call as in flight.
    running: Option<RunningCall>,
}

enum Phase {
    Waiting,
    /// An attempt is in progress, or has just failed.
    Busy,
    Sent,
    Settled(Hook),
}

/// An attempt: the promise that it returned, and its session.
#[derive(Clone)]
struct Sent {
    hook: Hook,
    peer: Arc<dyn Peer>,
    generation: u64,
}

/// The target of a call.
enum Target {
    Found(Through),
    Broken(Error),
    /// There is no session for the call.
    Missing,
}

impl LastingCall {
    pub(super) fn new(
        slot: &Arc<Slot>,
        parent: Option<Arc<Self>>,
        path: &Path,
        operation: Operation,
        origin: &Origin,
        is_idempotent: bool,
    ) -> Arc<Self> {
        let options = &slot.group().options;
        let is_repeated = is_idempotent && options.retry.is_some() && is_repeatable(&operation);
        let is_tracked = is_repeated || options.call_timeout.is_some();
        let running = match origin {
            Origin::Peer(call) => Some(RunningCall::retaining(call, operation.cost() + path.len())),
            Origin::App | Origin::Local => None,
        };
        let call = Arc::new(Self {
            slot: slot.clone(),
            parent,
            path: path.clone(),
            origin: origin.clone(),
            number: slot.group().number(),
            called: Instant::now(),
            is_repeated,
            is_tracked,
            state: Mutex::new(State {
                phase: Phase::Waiting,
                operation: Some(operation),
                sent: None,
                attempts: 0,
                may_have_run: false,
                is_pulled: false,
                is_held: matches!(origin, Origin::Peer(_)),
                waiters: Waiters::new(),
                room: None,
                deadline: None,
                running,
            }),
        });
        if let Some(deadline) = slot.group().answer_deadline(&call) {
            call.lock().deadline = Some(deadline);
        }
        call
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.acquire()
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn called(&self) -> Instant {
        self.called
    }

    pub(super) fn has_parent(&self) -> bool {
        self.parent.is_some()
    }

    pub(super) fn is_held(&self) -> bool {
        self.lock().is_held
    }

    /// Makes a call on the result, which is tended like this one.
    pub(crate) fn invoke(
        self: &Arc<Self>,
        path: &Path,
        operation: Operation,
        origin: &Origin,
        is_idempotent: bool,
    ) -> Hook {
        let is_idempotent = is_idempotent && self.is_repeated;
        let parent = Some(self.clone());
        self.slot
            .start(parent, path, operation, origin, is_idempotent)
    }

    /// Reserves room for this call to wait, unless it has some. If there is none, the call fails,
    /// and this returns false.
    pub(super) fn find_room(self: &Arc<Self>, reason: &Error) -> bool {
        let bytes = {
            let state = self.lock();
            match (&state.room, &state.operation) {
                (None, Some(operation)) => operation.cost() + self.path.len(),
                _ => return true,
            }
        };
        match self.slot.group().room(self, bytes, reason) {
            Ok(room) => {
                let mut state = self.lock();
                let unused = match state.phase {
                    Phase::Settled(_) => Some(room),
                    _ => state.room.replace(room),
                };
                drop(state);
                drop(unused);
                true
            }
            Err(error) => {
                self.fail(error);
                false
            }
        }
    }

    /// Fails this call if it has waited too long, so that it is not sent.
    pub(super) fn check_wait(self: &Arc<Self>) {
        let is_overdue = self.lock().room.as_ref().is_some_and(Room::is_overdue);
        if is_overdue {
            self.expire(Due::Wait);
        }
    }

    /// Makes an attempt, on the parent's result or on the slot's stub. Returns false if there is no
    /// session for it, so that it has to wait.
    pub(super) fn try_send(self: &Arc<Self>, through: Option<&Through>) -> bool {
        let target = match &self.parent {
            None => through.map_or(Target::Missing, |through| Target::Found(through.clone())),
            Some(parent) => parent.target(through),
        };
        match target {
            Target::Found(target) => self.send_to(target),
            Target::Broken(error) => {
                self.conclude(Hook::Broken(error), |_| true);
                true
            }
            Target::Missing => false,
        }
    }

    fn send_to(self: &Arc<Self>, target: Through) -> bool {
        let mut state = self.lock();
        if !matches!(state.phase, Phase::Waiting) {
            return true;
        }
        let Some(operation) = state.operation.take() else {
            return true;
        };
        if self.is_repeated {
            state.operation = Some(copy_of(&operation));
        }
        state.phase = Phase::Busy;
        drop(state);
        if let Err(error) = refuse_lost_arguments(&operation) {
            self.fail(error);
            return true;
        }
        let Through {
            hook,
            peer,
            generation,
        } = target;
        match attempt_anywhere(hook, &peer, &self.path, operation, &self.origin) {
            Ok(hook) => {
                self.sent(Sent {
                    hook,
                    peer,
                    generation,
                });
                true
            }
            Err(operation) => {
                let mut state = self.lock();
                if matches!(state.phase, Phase::Settled(_)) {
                    drop(state);
                    return true;
                }
                let copy = state.operation.replace(operation);
                state.phase = Phase::Waiting;
                drop(state);
                drop(copy);
                false
            }
        }
    }

    fn sent(self: &Arc<Self>, sent: Sent) {
        let mut state = self.lock();
        if matches!(state.phase, Phase::Settled(_)) {
            // The call has exceeded its time limit.
            drop(state);
            return;
        }
        state.attempts += 1;
        let (room, running) = (state.room.take(), state.running.take());
        let is_pulled = state.is_pulled;
        let hook = sent.hook.clone();
        let old = state.sent.replace(sent);
        let waiters = if self.is_tracked {
            state.phase = Phase::Sent;
            Waiters::new()
        } else {
            state.phase = Phase::Settled(hook.clone());
            std::mem::take(&mut state.waiters)
        };
        drop(state);
        drop((room, running, old));
        if self.is_tracked {
            self.slot.note_sent(self);
        }
        if is_pulled {
            pull(&hook);
        }
        work::submit_all(waiters.into_iter().map(Work::Notify));
        if self.is_tracked {
            self.look();
        }
    }

    /// Handles the outcome of the attempt, or registers for it. Returns whether the attempt is
    /// still in progress.
    pub(super) fn look(self: &Arc<Self>) -> bool {
        loop {
            let sent = {
                let state = self.lock();
                match (&state.phase, &state.sent) {
                    (Phase::Sent, Some(sent)) => sent.clone(),
                    _ => return false,
                }
            };
            let pending = match sent.hook.follow() {
                Settled::Yes(Hook::Broken(error)) if is_lost(&error, &sent.peer) => {
                    self.slot.lost(sent.generation);
                    self.lost(sent.generation, error);
                    return false;
                }
                Settled::Yes(outcome) | Settled::Not(outcome @ Hook::Value(_)) => {
                    self.answered(outcome);
                    return false;
                }
                Settled::Not(pending) => pending,
            };
            let this: Weak<dyn Notify> = Arc::<Self>::downgrade(self);
            let waiter = Waiter::Observer(this, 0);
            let is_registered = match &pending {
                Hook::Import(import) => import.watch(waiter),
                Hook::Promise(promise) => promise.wait(&mut Some(waiter)),
                Hook::Call(call) => call.watch(waiter),
                _ => true,
            };
            if is_registered {
                return true;
            }
        }
    }

    fn answered(self: &Arc<Self>, outcome: Hook) {
        let is_first = self.conclude(outcome, |phase| matches!(phase, Phase::Sent));
        if is_first
            && self.is_repeated
            && let Some(policy) = &self.slot.group().options.retry
        {
            policy.answered();
        }
    }

    /// Handles the end of the session on which the attempt was made.
    fn lost(self: &Arc<Self>, generation: u64, error: Error) {
        let mut state = self.lock();
        let is_current = matches!(state.phase, Phase::Sent)
            && (state.sent.as_ref()).is_some_and(|sent| sent.generation == generation);
        if !is_current {
            return;
        }
        state.phase = Phase::Busy;
        state.may_have_run |= error.may_have_run();
        let lost = LostCall {
            attempts: state.attempts,
            called: self.called,
            error: &error,
        };
        drop(state);
        let policy = self.slot.group().options.retry.as_ref();
        let is_repeated = self.is_repeated && policy.is_some_and(|policy| policy.may_retry(&lost));
        if !is_repeated {
            return self.fail(error);
        }
        let mut state = self.lock();
        if !matches!(state.phase, Phase::Busy) {
            return;
        }
        state.phase = Phase::Waiting;
        drop(state);
        self.slot.dispatch(self);
    }

    /// Settles the call with an error that says whether any attempt may have run.
    pub(super) fn fail(self: &Arc<Self>, error: Error) {
        let may_have_run = error.may_have_run() || self.lock().may_have_run;
        let error = error.with_may_have_run(may_have_run);
        self.conclude(Hook::Broken(error), |_| true);
    }

    /// Handles the expiry of a time limit.
    pub(super) fn expire(self: &Arc<Self>, due: Due) {
        match due {
            Due::Wait => {
                let may_have_run = self.lock().may_have_run;
                let error = unavailable(
                    "there was no session in the time that calls wait for one",
                    &self.slot.reason(),
                )
                .with_may_have_run(may_have_run);
                self.conclude(Hook::Broken(error), |phase| matches!(phase, Phase::Waiting));
            }
            Due::Answer => {
                let state = self.lock();
                let may_have_run =
                    state.may_have_run || matches!(state.phase, Phase::Sent | Phase::Busy);
                drop(state);
                let error = Error::deadline_exceeded("the call was not answered in time");
                self.fail(error.with_may_have_run(may_have_run));
            }
        }
    }

    /// Settles the call once, if its phase satisfies `condition`. Returns whether it did.
    fn conclude(self: &Arc<Self>, outcome: Hook, condition: impl FnOnce(&Phase) -> bool) -> bool {
        let mut state = self.lock();
        if matches!(state.phase, Phase::Settled(_)) || !condition(&state.phase) {
            drop(state);
            work::submit(Work::DropHook(outcome));
            return false;
        }
        let is_broken = matches!(outcome, Hook::Broken(_));
        state.phase = Phase::Settled(outcome);
        let waiters = std::mem::take(&mut state.waiters);
        let charges = (
            state.room.take(),
            state.deadline.take(),
            state.running.take(),
        );
        let rest = match self.is_repeated && !is_broken {
            // Calls on the result may need these again.
            true => (None, None),
            false => (state.operation.take(), state.sent.take()),
        };
        drop(state);
        drop((charges, rest.0));
        if let Some(sent) = rest.1 {
            work::submit(Work::DropHook(sent.hook));
        }
        self.slot.forget(self.number);
        work::submit_all(waiters.into_iter().map(Work::Notify));
        if is_broken {
            // Calls that wait for the result fail too.
            for call in self.slot.waiting_on(self) {
                work::submit(Work::Notify(Waiter::Owned(call, 0)));
            }
        }
        true
    }

    pub(super) fn is_on(&self, parent: &Arc<Self>) -> bool {
        self.parent
            .as_ref()
            .is_some_and(|own| Arc::ptr_eq(own, parent))
    }

    /// Returns the target for calls on the result. It is the promise of the last attempt if its
    /// session is alive, or of another attempt on the slot's stub.
    fn target(self: &Arc<Self>, through: Option<&Through>) -> Target {
        // Go up from this call to the first one whose result can be used,
        let mut chain = vec![self.clone()];
        let mut target = loop {
            let Some(call) = chain.last().cloned() else {
                return Target::Missing;
            };
            match call.standing() {
                Target::Missing => {}
                found => {
                    chain.pop();
                    break found;
                }
            }
            match (&call.parent, through) {
                (Some(parent), _) => chain.push(parent.clone()),
                (None, Some(through)) => break Target::Found(through.clone()),
                (None, None) => return Target::Missing,
            }
        };
        // and down again.
        for call in chain.into_iter().rev() {
            target = match target {
                Target::Found(on) => call.make_anew(on),
                broken => return broken,
            };
        }
        target
    }

    /// Returns the current target of calls on the result.
    fn standing(&self) -> Target {
        let state = self.lock();
        if let Phase::Settled(Hook::Broken(error)) = &state.phase {
            return Target::Broken(error.clone());
        }
        let Some(sent) = state.sent.clone() else {
            return Target::Missing;
        };
        drop(state);
        if sent.peer.is_over() {
            return match sent.hook.follow() {
                Settled::Yes(Hook::Broken(error)) if !self.is_repeated => Target::Broken(error),
                _ => Target::Missing,
            };
        }
        Target::Found(Through {
            hook: sent.hook,
            peer: sent.peer,
            generation: sent.generation,
        })
    }

    /// Repeats this call for a call on its result, although its own outcome has arrived.
    fn make_anew(self: &Arc<Self>, on: Through) -> Target {
        let state = self.lock();
        let operation = match (&state.phase, &state.operation) {
            (Phase::Settled(_), Some(operation)) => copy_of(operation),
            // This call waits too, and is sent before the calls on its result.
            _ => return Target::Missing,
        };
        drop(state);
        if let Err(error) = refuse_lost_arguments(&operation) {
            return Target::Broken(error);
        }
        let Through {
            hook,
            peer,
            generation,
        } = on;
        match attempt_anywhere(hook, &peer, &self.path, operation, &self.origin) {
            Err(_) => Target::Missing,
            Ok(hook) => {
                let sent = Sent {
                    hook: hook.clone(),
                    peer: peer.clone(),
                    generation,
                };
                let old = self.lock().sent.replace(sent);
                if let Some(old) = old {
                    work::submit(Work::DropHook(old.hook));
                }
                Target::Found(Through {
                    hook,
                    peer,
                    generation,
                })
            }
        }
    }
}

impl GuardedCall for LastingCall {
    fn is_repeated(&self) -> bool {
        self.is_repeated
    }

    fn outcome(&self) -> Option<Hook> {
        match &self.lock().phase {
            Phase::Settled(outcome) => Some(outcome.clone()),
            _ => None,
        }
    }

    fn sent_promise(&self) -> Option<Hook> {
        let state = self.lock();
        match (&state.phase, &state.sent) {
            (Phase::Sent, Some(sent)) => Some(sent.hook.clone()),
            _ => None,
        }
    }

    fn detach(self: Arc<Self>) {
        let mut state = self.lock();
        state.is_held = true;
        let is_waiting = matches!(state.phase, Phase::Waiting | Phase::Busy);
        drop(state);
        if is_waiting {
            self.slot.hold(&self);
        }
    }

    fn wait(&self, waiter: &mut Option<Waiter>) -> bool {
        let mut state = self.lock();
        if matches!(state.phase, Phase::Settled(_)) {
            return false;
        }
        add_waiter(&mut state.waiters, waiter);
        let was_pulled = std::mem::replace(&mut state.is_pulled, true);
        let sent = match (&state.phase, &state.sent) {
            (Phase::Sent, Some(sent)) if !was_pulled => Some(sent.hook.clone()),
            _ => None,
        };
        drop(state);
        if let Some(hook) = sent {
            pull(&hook);
        }
        true
    }

    fn watch(&self, waiter: Waiter) -> bool {
        let mut state = self.lock();
        if matches!(state.phase, Phase::Settled(_)) {
            return false;
        }
        add_waiter(&mut state.waiters, &mut Some(waiter));
        true
    }

    fn enter(self: Arc<Self>, path: &Path, mut operation: Operation, origin: &Origin) -> Entered {
        loop {
            let sent = {
                let state = self.lock();
                match (&state.phase, &state.sent) {
                    (Phase::Settled(outcome), _) => {
                        return Entered::Onward(outcome.clone(), operation);
                    }
                    (Phase::Sent, Some(sent)) if !self.slot.is_timed() => sent.clone(),
                    _ => break,
                }
            };
            if let Err(error) = refuse_lost_arguments(&operation) {
                return Entered::Done(Hook::Broken(error));
            }
            match attempt_anywhere(sent.hook, &sent.peer, path, operation, origin) {
                Ok(result) => return Entered::Done(result),
                Err(back) => operation = back,
            }
            self.look();
        }
        Entered::Done(self.invoke(path, operation, origin, false))
    }

    fn repeat(self: Arc<Self>, path: &Path, operation: Operation) -> Hook {
        self.invoke(path, operation, &Origin::App, true)
    }
}

/// Requests the outcome of a promise.
fn pull(hook: &Hook) {
    match hook.follow() {
        Settled::Not(Hook::Import(import)) => import.pull(),
        Settled::Not(Hook::Promise(promise)) => promise.drive(),
        Settled::Not(Hook::Call(call)) => {
            call.wait(&mut None);
        }
        _ => {}
    }
}

impl Notify for LastingCall {
    fn notify(self: Arc<Self>, _: u64) {
        let is_waiting = matches!(self.lock().phase, Phase::Waiting);
        if !is_waiting {
            self.look();
        } else if let Some(parent) = &self.parent
            && let Target::Broken(error) = parent.standing()
        {
            self.fail(error);
        }
    }
}

impl Drop for LastingCall {
    fn drop(&mut self) {
        self.slot.forget(self.number);
        let state = self.state.data_mut();
        let phase = std::mem::replace(&mut state.phase, Phase::Busy);
        let sent = state.sent.take().map(|sent| sent.hook);
        let outcome = match phase {
            Phase::Settled(outcome) => Some(outcome),
            _ => None,
        };
        let parent = self.parent.take().map(|parent| Hook::Call(parent));
        for hook in [sent, outcome, parent].into_iter().flatten() {
            work::submit(Work::DropHook(hook));
        }
        let waiters = std::mem::take(&mut state.waiters);
        if !waiters.is_empty() {
            work::submit(Work::DropWaiters(waiters));
        }
    }
}
