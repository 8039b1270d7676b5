//! A promise of this process.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    hook::{Hook, Waiter, add_waiter},
    local::LocalTarget,
    payload::Path,
    perform::{Origin, Request, perform},
    work::{self, Work},
};

/// A promise whose outcome comes from this process: a handler that has not finished, a call whose
/// arguments are awaited, a future of the application.
///
/// Calls made on it are queued and performed, in order, when it settles. While that goes on further
/// calls are put behind them, so that none overtakes another.
pub(crate) struct Deferred {
    state: Mutex<State>,
}

enum State {
    Pending(Pending),
    /// The outcome is there, and the calls that were queued are being performed.
    Flushing(Pending, Hook),
    Settled(Hook),
}

#[derive(Default)]
struct Pending {
    calls: VecDeque<Queued>,
    waiters: Vec<Waiter>,
    /// The object whose queue has to be driven for this to settle.
    source: Option<Arc<LocalTarget>>,
}

/// A call made before its target was known.
struct Queued {
    path: Path,
    request: Request,
    origin: Origin,
    result: Arc<Deferred>,
}

impl Deferred {
    pub(crate) fn new() -> Arc<Self> {
        Self::from_source(None)
    }

    /// One that settles when `target` has run what is queued for it.
    pub(crate) fn queued(target: Arc<LocalTarget>) -> Arc<Self> {
        Self::from_source(Some(target))
    }

    fn from_source(source: Option<Arc<LocalTarget>>) -> Arc<Self> {
        let pending = Pending {
            source,
            ..Pending::default()
        };
        Arc::new(Self {
            state: Mutex::new(State::Pending(pending)),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The outcome, once all that was queued before it has been performed.
    pub(crate) fn outcome(&self) -> Option<Hook> {
        match &*self.lock() {
            State::Settled(hook) => Some(hook.clone()),
            State::Pending(_) | State::Flushing(..) => None,
        }
    }

    /// Gives this the outcome that its outcome has, to shorten a chain.
    pub(crate) fn point_at(&self, end: Hook) {
        let mut state = self.lock();
        let old = match &mut *state {
            State::Settled(hook) => std::mem::replace(hook, end),
            State::Pending(_) | State::Flushing(..) => end,
        };
        drop(state);
        work::submit(Work::DropHook(old));
    }

    /// Runs what this waits for, if that is a queue that awaiting drives.
    pub(crate) fn drive(&self) {
        let source = match &*self.lock() {
            State::Pending(pending) | State::Flushing(pending, _) => pending.source.clone(),
            State::Settled(_) => None,
        };
        if let Some(target) = source {
            target.run_queue();
        }
    }

    /// Registers `waiter`; false if there is nothing to wait for any more.
    pub(crate) fn wait(&self, waiter: &mut Option<Waiter>) -> bool {
        let mut state = self.lock();
        match &mut *state {
            State::Pending(pending) | State::Flushing(pending, _) => {
                add_waiter(&mut pending.waiters, waiter);
                true
            }
            State::Settled(_) => false,
        }
    }

    /// Queues a call. Gives the request back if the promise has settled.
    pub(crate) fn enqueue(
        &self,
        path: &Path,
        request: Request,
        origin: &Origin,
    ) -> Result<Hook, (Request, Hook)> {
        let mut state = self.lock();
        match &mut *state {
            State::Pending(pending) | State::Flushing(pending, _) => {
                let result = Self::from_source(pending.source.clone());
                pending.calls.push_back(Queued {
                    path: path.clone(),
                    request,
                    origin: origin.clone(),
                    result: result.clone(),
                });
                Ok(Hook::Promise(result))
            }
            State::Settled(hook) => Err((request, hook.clone())),
        }
    }

    /// Settles the promise. Only the first time counts.
    pub(crate) fn settle(self: &Arc<Self>, outcome: Hook) {
        work::submit(Work::Settle(self.clone(), outcome));
    }

    /// [`Self::settle`], from the work queue.
    pub(crate) fn settle_now(self: &Arc<Self>, outcome: Hook) {
        {
            let mut state = self.lock();
            if let State::Pending(pending) = &mut *state {
                let pending = std::mem::take(pending);
                *state = State::Flushing(pending, outcome.clone());
            } else {
                drop(state);
                work::submit(Work::DropHook(outcome));
                return;
            }
        }
        // Two names for the same hook: the one in the state is for `outcome()`.
        loop {
            let mut state = self.lock();
            let State::Flushing(pending, _) = &mut *state else {
                return;
            };
            if let Some(queued) = pending.calls.pop_front() {
                drop(state);
                let result = perform(
                    outcome.clone(),
                    &queued.path,
                    queued.request,
                    &queued.origin,
                );
                queued.result.settle(result);
                continue;
            }
            let waiters = std::mem::take(&mut pending.waiters);
            // With what is left of it goes the object that it came from.
            let old = std::mem::replace(&mut *state, State::Settled(outcome));
            drop(state);
            drop(old);
            work::submit_all(waiters.into_iter().map(Work::Notify));
            return;
        }
    }
}

impl Drop for Deferred {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        let state = std::mem::replace(state, State::Pending(Pending::default()));
        let pending = match state {
            State::Settled(hook) => return work::submit(Work::DropHook(hook)),
            State::Flushing(pending, hook) => {
                work::submit(Work::DropHook(hook));
                pending
            }
            State::Pending(pending) => pending,
        };
        if !pending.waiters.is_empty() {
            work::submit(Work::DropWaiters(pending.waiters));
        }
        // Whoever holds a result of these would wait for ever.
        for queued in pending.calls {
            queued
                .result
                .settle(Hook::Broken(crate::error::Error::canceled(
                    "RPC was canceled because the RpcPromise was disposed.",
                )));
        }
    }
}
