//! Promises of this process.

use std::{
    any::Any,
    cell::RefCell,
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, Weak},
};

use crate::{
    graph::{
        cancellation::Cancellation,
        cycle::unless_circular,
        engine::{
            effort,
            invoke::{Operation, Origin, invoke},
            resolve_args::JoinAll,
        },
        error::Error,
        hook::{Hook, Settled, Waiter, Waiters, add_waiter, cycle},
        local_object::LocalObject,
        offload::{Job, Offloaded, offload},
        payload::{Path, Payload},
        peer_call::{PeerCall, RunningCall},
        remote::Peer,
        work,
        work::Work,
    },
    runtime::Handle,
    util::lock::LockExt,
};

/// A promise whose outcome comes from this process: from a handler that has not finished, a call
/// whose arguments are awaited, or a future of the application.
///
/// Calls on the promise are queued, and performed in order when it settles. Calls that are made
/// meanwhile are appended to the queue, so that none overtakes another.
pub(crate) struct PromiseState {
    state: Mutex<Phase>,
    /// Tracks whether anybody needs the result of the handler. It is notified when this promise is
    /// dropped.
    cancellation: Option<Arc<Cancellation>>,
}

enum Phase {
    Pending(Pending),
    /// The outcome is set, and the queued calls are being performed.
    Flushing(Pending, Hook),
    Settled(Hook),
}

impl Phase {
    /// Nobody asks for the outcome any more.
    const SPENT: Self = Self::Settled(Hook::Starting);
}

/// The number of promises that a thread keeps for reuse.
const MAX_SPENT: usize = 32;

thread_local! {
    /// Promises whose outcome was taken. An awaited local call reuses their memory.
    static SPENT: RefCell<Vec<Arc<PromiseState>>> = const { RefCell::new(Vec::new()) };
}

fn take_spent() -> Option<Arc<PromiseState>> {
    SPENT
        .try_with(|list| list.borrow_mut().pop())
        .ok()
        .flatten()
}

#[derive(Default)]
struct Pending {
    calls: VecDeque<Queued>,
    waiters: Waiters,
    /// The object whose queue must run for this to settle.
    source: Option<Arc<LocalObject>>,
    /// The batches that must be sent for this to settle.
    batches: Vec<Weak<dyn Peer>>,
    /// The promise whose queue contains the call that computes this. Whatever that one waits for,
    /// this one waits for too.
    upstream: Weak<PromiseState>,
    /// A wait that only serves this promise.
    join: Weak<JoinAll>,
    /// True if this is the result of a handler, which does not keep it alive.
    is_of_handler: bool,
    /// Keeps this alive until it settles, since there are calls on it.
    itself: Option<Arc<PromiseState>>,
}

impl Pending {
    fn queue(&mut self, queued: Queued, promise: &Arc<PromiseState>) {
        self.calls.push_back(queued);
        if self.is_of_handler && self.itself.is_none() {
            self.itself = Some(promise.clone());
        }
    }
}

/// A call that was made before its target was known.
struct Queued {
    path: Path,
    operation: Operation,
    origin: Origin,
    result: Arc<PromiseState>,
    /// Counts a peer's call as in flight.
    running: Option<RunningCall>,
}

impl PromiseState {
    pub(crate) fn new() -> Arc<Self> {
        Self::pending(Pending::default(), None)
    }

    /// Creates a promise that has settled to `hook`, for a peer's message that refers to it. It can
    /// be [cut](Self::cut).
    pub(crate) fn reference(hook: Hook) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(Phase::Settled(hook)),
            cancellation: None,
        })
    }

    /// Cuts a [reference](Self::reference): it keeps plain data, and breaks otherwise.
    pub(crate) fn cut(&self, reason: &Error) {
        let Some(hook) = self.outcome() else { return };
        let end = match hook.follow() {
            Settled::Yes(Hook::Value(payload)) if payload.is_plain() => Hook::Value(payload),
            Settled::Yes(Hook::Broken(error)) => Hook::Broken(error.without_stubs()),
            _ => Hook::Broken(reason.clone()),
        };
        drop(hook);
        let mut state = self.lock();
        let old = std::mem::replace(&mut *state, Phase::Settled(end));
        drop(state);
        if let Phase::Settled(old) = old {
            work::submit(Work::DropHook(old));
        }
    }

    /// Creates a promise that settles when `target` has run its queue up to the call.
    pub(crate) fn queued(target: Arc<LocalObject>) -> Arc<Self> {
        let pending = Pending {
            source: Some(target),
            ..Pending::default()
        };
        if let Some(mut spent) = take_spent()
            && let Some(only) = Arc::get_mut(&mut spent)
        {
            only.state = Mutex::new(Phase::Pending(pending));
            return spent;
        }
        Self::pending(pending, None)
    }

    /// Returns the outcome, if it is plain data and only the caller can ask for it. The outcome is
    /// taken out of `this`, whose memory is reused for another call on this thread.
    pub(crate) fn take_plain(this: &mut Arc<Self>) -> Option<Payload> {
        let only = Arc::get_mut(this).filter(|only| only.cancellation.is_none())?;
        let state = only.state.data_mut();
        match std::mem::replace(state, Phase::SPENT) {
            Phase::Settled(Hook::Value(payload)) if payload.is_plain() => Some(payload),
            other => {
                *state = other;
                None
            }
        }
    }

    /// Keeps the memory for another call, if nobody else can ask for the outcome.
    pub(crate) fn keep_if_spent(mut this: Arc<Self>) {
        if Self::take_plain(&mut this).is_some() {
            this.keep();
        }
    }

    /// Keeps a promise whose outcome was [taken](Self::take_plain) for another call.
    pub(crate) fn keep(self: Arc<Self>) {
        let mut spent = Some(self);
        // While the thread is being torn down, the promise is just dropped.
        let _ = SPENT.try_with(|list| {
            let mut list = list.borrow_mut();
            if list.len() < MAX_SPENT {
                list.extend(spent.take());
            }
        });
    }

    /// Creates the result of a handler that is not ready. The promise lives as long as somebody
    /// needs it, which the handler can check.
    pub(crate) fn of_handler(cancellation: Option<Arc<Cancellation>>) -> Arc<Self> {
        let pending = Pending {
            is_of_handler: true,
            ..Pending::default()
        };
        let result = Self::pending(pending, cancellation);
        if let Some(cancellation) = &result.cancellation {
            let this: Weak<dyn Any + Send + Sync> = Arc::<Self>::downgrade(&result);
            cancellation.is_in(this);
        }
        result
    }

    fn pending(pending: Pending, cancellation: Option<Arc<Cancellation>>) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(Phase::Pending(pending)),
            cancellation,
        })
    }

    /// Creates the result of a call in the queue of `upstream`.
    fn downstream(upstream: &Arc<Self>) -> Arc<Self> {
        let pending = Pending {
            upstream: Arc::downgrade(upstream),
            ..Pending::default()
        };
        Self::pending(pending, None)
    }

    fn lock(&self) -> MutexGuard<'_, Phase> {
        self.state.acquire()
    }

    /// Returns whether the outcome is set and all calls that were queued before it are performed.
    pub(crate) fn is_settled(&self) -> bool {
        matches!(&*self.lock(), Phase::Settled(_))
    }

    /// Returns the outcome, once all calls that were queued before it are performed.
    pub(crate) fn outcome(&self) -> Option<Hook> {
        match &*self.lock() {
            Phase::Settled(hook) => Some(hook.clone()),
            Phase::Pending(_) | Phase::Flushing(..) => None,
        }
    }

    /// Returns the outcome, even if earlier calls are still being performed.
    pub(crate) fn known_outcome(&self) -> Option<Hook> {
        match &*self.lock() {
            Phase::Settled(hook) | Phase::Flushing(_, hook) => Some(hook.clone()),
            Phase::Pending(_) => None,
        }
    }

    /// Replaces the outcome by its own outcome, to shorten a chain.
    pub(crate) fn point_at(&self, end: Hook) {
        let mut state = self.lock();
        let old = match &mut *state {
            // An outcome that was cut no longer belongs to a chain.
            Phase::Settled(hook) if hook.is_link() => std::mem::replace(hook, end),
            Phase::Settled(_) | Phase::Pending(_) | Phase::Flushing(..) => end,
        };
        drop(state);
        work::submit(Work::DropHook(old));
    }

    fn with_pending<R>(&self, f: impl FnOnce(&Pending) -> Option<R>) -> Option<R> {
        match &*self.lock() {
            Phase::Pending(pending) | Phase::Flushing(pending, _) => f(pending),
            Phase::Settled(_) => None,
        }
    }

    fn upstream(&self) -> Option<Arc<Self>> {
        self.with_pending(|pending| pending.upstream.upgrade())
    }

    /// Returns the promise that must settle first for this to settle, as far as queues of calls are
    /// concerned.
    fn head(self: &Arc<Self>) -> Arc<Self> {
        /// Two threads can turn the path into a cycle. It has no end, but this search must have
        /// one.
        const MAX_STEPS: usize = 1 << 24;
        let Some(upstream) = self.upstream() else {
            return self.clone();
        };
        std::iter::successors(Some(upstream), |at| at.upstream())
            .take(MAX_STEPS)
            .last()
            .unwrap_or_else(|| self.clone())
    }

    /// Runs the queue that this promise waits for, if awaiting drives it.
    pub(crate) fn drive(self: &Arc<Self>) {
        loop {
            let head = self.head();
            let Some(target) = head.with_pending(|pending| pending.source.clone()) else {
                return;
            };
            target.drive_queue();
            // Without a runtime, nobody else runs the next calls.
            if Arc::ptr_eq(&head, self) || !head.is_settled() || Handle::try_current().is_ok() {
                return;
            }
        }
    }

    /// Returns the batches that must be sent for this to settle.
    pub(crate) fn batches(self: &Arc<Self>) -> Vec<Arc<dyn Peer>> {
        let batches = self.head().with_pending(|pending| {
            Some(pending.batches.iter().filter_map(Weak::upgrade).collect())
        });
        batches.unwrap_or_default()
    }

    /// Records that this cannot settle before `batches` are sent.
    pub(crate) fn needs(&self, batches: &[Arc<dyn Peer>]) {
        if let Phase::Pending(pending) = &mut *self.lock() {
            pending.batches.extend(batches.iter().map(Arc::downgrade));
        }
    }

    /// Records that `join` waits only for this, so that it gives up when this is dropped.
    pub(crate) fn joins(&self, join: &Arc<JoinAll>) {
        if let Phase::Pending(pending) = &mut *self.lock() {
            pending.join = Arc::downgrade(join);
        }
    }

    /// Registers `waiter`. Returns false if there is nothing left to wait for.
    pub(crate) fn wait(&self, waiter: &mut Option<Waiter>) -> bool {
        let mut state = self.lock();
        match &mut *state {
            Phase::Pending(pending) | Phase::Flushing(pending, _) => {
                add_waiter(&mut pending.waiters, waiter);
                true
            }
            Phase::Settled(_) => false,
        }
    }

    /// Queues a call. Returns the operation if the promise has settled.
    pub(crate) fn enqueue(
        self: &Arc<Self>,
        path: &Path,
        operation: Operation,
        origin: &Origin,
    ) -> Result<Hook, (Operation, Hook)> {
        // Do this before locking, since it locks the session.
        let running = match origin {
            Origin::Peer(call) => Some(RunningCall::retaining(call, operation.cost() + path.len())),
            Origin::App | Origin::Local => None,
        };
        let mut state = self.lock();
        match &mut *state {
            Phase::Pending(pending) | Phase::Flushing(pending, _) => {
                let result = Self::downstream(self);
                let queued = Queued {
                    path: path.clone(),
                    operation,
                    origin: origin.clone(),
                    result: result.clone(),
                    running,
                };
                pending.queue(queued, self);
                Ok(Hook::Promise(result))
            }
            Phase::Settled(hook) => {
                let outcome = hook.clone();
                drop(state);
                Err((operation, outcome))
            }
        }
    }

    /// Takes over a call from the queue of a promise that has settled to this one. Returns the call
    /// if this promise has settled too.
    ///
    /// The call's result and the queue on it remain unchanged. So a chain of calls, each on the
    /// previous result, is not rebuilt whenever its first link settles.
    fn take_over(self: &Arc<Self>, queued: Queued) -> Option<Queued> {
        if std::iter::successors(Some(self.clone()), |at| at.upstream())
            .any(|at| Arc::ptr_eq(&at, &queued.result))
        {
            queued.result.settle(Hook::Broken(cycle()));
            return None;
        }
        // Take one lock after the other. If this settles meanwhile, the path ends here anyway.
        if let Phase::Pending(result) = &mut *queued.result.lock() {
            result.upstream = Arc::downgrade(self);
        }
        let mut state = self.lock();
        match &mut *state {
            Phase::Pending(pending) | Phase::Flushing(pending, _) => {
                pending.queue(queued, self);
                None
            }
            Phase::Settled(_) => Some(queued),
        }
    }

    /// Settles the promise. Only the first outcome counts.
    pub(crate) fn settle(self: &Arc<Self>, outcome: Hook) {
        if let Err(outcome) = self.settle_simply(outcome) {
            work::submit(Work::Settle(self.clone(), outcome));
        }
    }

    /// Settles the promise in the usual case: the outcome is plain data, and no calls wait for it.
    /// Nothing has to be performed, so no work queue is needed. Otherwise returns the outcome.
    fn settle_simply(&self, outcome: Hook) -> Result<(), Hook> {
        if !outcome.is_plain() {
            return Err(outcome);
        }
        let mut state = self.lock();
        match &*state {
            Phase::Pending(pending) if pending.calls.is_empty() => {}
            _ => {
                drop(state);
                return Err(outcome);
            }
        }
        let old = std::mem::replace(&mut *state, Phase::Settled(outcome));
        drop(state);
        if let Phase::Pending(mut pending) = old {
            let waiters = std::mem::take(&mut pending.waiters);
            drop(pending);
            work::submit_all(waiters.into_iter().map(Work::Notify));
        }
        Ok(())
    }

    /// Implements [`settle`](Self::settle), called from the work queue.
    pub(crate) fn settle_now(self: &Arc<Self>, outcome: Hook) {
        if let Some(call) = self.postpones(&outcome) {
            let settling = Settling {
                promise: self.clone(),
                outcome,
                has_begun: false,
            };
            return offload(&call, Box::new(settling));
        }
        let outcome = unless_circular(outcome, &Hook::Promise(self.clone()));
        {
            let mut state = self.lock();
            if let Phase::Pending(pending) = &mut *state {
                let pending = std::mem::take(pending);
                *state = Phase::Flushing(pending, outcome.clone());
            } else {
                drop(state);
                work::submit(Work::DropHook(outcome));
                return;
            }
        }
        self.flush(outcome);
    }

    /// Returns the peer's call for which this promise must be settled on another thread: the first
    /// of very many calls, or one whose outcome is long, or one whose peer still has earlier work
    /// to be done.
    fn postpones(&self, outcome: &Hook) -> Option<PeerCall> {
        /// The number of calls from which performing them takes long.
        const MANY_CALLS: usize = 1024;
        let is_long = matches!(outcome, Hook::Value(payload) if payload.is_long());
        let (first, is_many) = self.with_pending(|pending| {
            let is_many = pending.calls.len() >= MANY_CALLS;
            Some((pending.calls.front()?.origin.clone(), is_many))
        })?;
        let Origin::Peer(call) = first else {
            return None;
        };
        let postpones = call.is_evaluating()
            || (is_long || is_many || effort::is_exhausted()) && call.offloads();
        postpones.then_some(call)
    }

    /// Performs the queued calls, and notifies the waiters.
    fn flush(self: &Arc<Self>, outcome: Hook) {
        // These are two references to the same hook. The one in the state is for `outcome()`.
        loop {
            let mut state = self.lock();
            let Phase::Flushing(pending, _) = &mut *state else {
                return;
            };
            if let Some(mut queued) = pending.calls.pop_front() {
                drop(state);
                if let Settled::Not(Hook::Promise(promise)) = outcome.follow() {
                    match promise.take_over(queued) {
                        None => continue,
                        Some(back) => queued = back,
                    }
                }
                drop(queued.running.take());
                let result = invoke(
                    outcome.clone(),
                    &queued.path,
                    queued.operation,
                    &queued.origin,
                );
                queued.result.settle(result);
                // A call that takes long has been moved, so move the calls after it too.
                if let Origin::Peer(call) = queued.origin
                    && call.is_evaluating()
                {
                    let settling = Settling {
                        promise: self.clone(),
                        outcome,
                        has_begun: true,
                    };
                    return offload(&call, Box::new(settling));
                }
                continue;
            }
            let waiters = std::mem::take(&mut pending.waiters);
            // This also drops the object that computed it.
            let old = std::mem::replace(&mut *state, Phase::Settled(outcome));
            drop(state);
            drop(old);
            work::submit_all(waiters.into_iter().map(Work::Notify));
            return;
        }
    }
}

/// A promise that is being settled on another thread.
struct Settling {
    promise: Arc<PromiseState>,
    outcome: Hook,
    /// True if the outcome is already known and some of the calls have been performed.
    has_begun: bool,
}

impl Job for Settling {
    fn run(self: Box<Self>) {
        if self.has_begun {
            self.promise.flush(self.outcome);
        } else {
            self.promise.settle_now(self.outcome);
        }
    }

    /// Other threads may wait for the outcome too, so do not defer it again.
    fn cancel(self: Box<Self>) {
        let _offloaded = Offloaded::enter();
        self.run();
    }
}

impl Drop for PromiseState {
    fn drop(&mut self) {
        if let Some(cancellation) = self.cancellation.take() {
            work::submit(Work::Canceled(cancellation));
        }
        let state = self.state.data_mut();
        let state = std::mem::replace(state, Phase::SPENT);
        let pending = match state {
            Phase::Settled(hook) if hook.is_text() => return,
            Phase::Settled(hook) => return work::submit(Work::DropHook(hook)),
            Phase::Flushing(pending, hook) => {
                work::submit(Work::DropHook(hook));
                pending
            }
            Phase::Pending(pending) => pending,
        };
        if !pending.waiters.is_empty() {
            work::submit(Work::DropWaiters(pending.waiters));
        }
        if let Some(join) = pending.join.upgrade() {
            work::submit(Work::GiveUp(join));
        }
        // Otherwise those who hold results of these calls would wait for ever.
        for queued in pending.calls {
            queued.result.settle(Hook::Broken(Error::canceled(
                "RPC was canceled because the RpcPromise was disposed.",
            )));
        }
    }
}
