//! Calls of the peer's that are under way, and those that have to wait.

use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    task::{Context, Poll},
};

use capnweb_wire::Hole;
use tokio::{runtime::Handle, task::AbortHandle};

use super::{
    Session,
    end::Say,
    receive::evaluate_push,
    shared::{Locked, Shared},
};
use crate::{
    deferred::Deferred,
    deliver::Join,
    error::Error,
    evaluate::Ground,
    hook::{Hook, Settled, Waiter},
    perform::Origin,
    stream::Buffered,
};

/// A call of the peer's, as its handler knows it.
#[derive(Clone)]
pub(crate) struct PeerCall {
    shared: Arc<Shared>,
    /// The export that the result goes to; 0 for what is part of an outcome, and has no promise of its own
    /// that could be dropped.
    id: i64,
}

impl PeerCall {
    pub(super) fn new(shared: Arc<Shared>, id: i64) -> Self {
        Self { shared, id }
    }

    /// Turns to another call of the same peer's.
    pub(crate) fn set_id(&mut self, id: i64) {
        self.id = id;
    }

    pub(crate) fn session_number(&self) -> u64 {
        self.shared.number
    }

    /// Counts what the call holds in a stream until it is read.
    pub(crate) fn buffer(&self, bytes: usize) -> Buffered {
        Buffered::new(self.shared.clone(), bytes)
    }

    /// Counts what is held for the peer beside what its messages say. Nothing yet.
    pub(crate) fn hold(&self) -> Held {
        Held {
            shared: self.shared.clone(),
            bytes: 0,
        }
    }

    /// What runs the session's streams; `None` if it was never in a runtime.
    pub(crate) fn runtime(&self) -> Option<Handle> {
        let current = Handle::try_current().ok();
        current.or_else(|| self.shared.pump_runtime.get().cloned())
    }

    pub(crate) fn limits(&self) -> &Arc<super::Limits> {
        &self.shared.limits
    }

    /// Whether one more call may be unfinished.
    ///
    /// # Errors
    ///
    /// If there are too many already: one message can hold very many calls.
    pub(crate) fn admit(&self) -> Result<(), Error> {
        let state = self.shared.lock();
        let limit = self.shared.limits.max_calls();
        // The message that goes over the limit ends the session; here it is only kept from doing
        // more than that.
        if state.running + state.parked.len() <= limit {
            return Ok(());
        }
        drop(state);
        Err(Error::limit(format!(
            "the session exceeds {limit} calls in flight (limit max_calls)"
        )))
    }

    /// A handle; `None` if a client's session has been dropped.
    pub(crate) fn session(&self) -> Option<Session> {
        self.shared.life.upgrade().map(Session::from_life)
    }

    /// Whether the peer has let go of the result.
    pub(crate) fn is_released(&self) -> bool {
        self.id != 0 && self.shared.lock().export(self.id).is_none()
    }

    /// Ready when the peer has let go of the result.
    pub(crate) fn poll_released(&self, cx: &Context<'_>) -> Poll<()> {
        if self.id == 0 {
            return Poll::Pending;
        }
        let mut waker = cx.waker().clone();
        let mut state = self.shared.lock();
        let Some(export) = state.export_mut(self.id) else {
            return Poll::Ready(());
        };
        let released = export.released();
        match released.iter_mut().find(|known| known.will_wake(&waker)) {
            Some(known) => std::mem::swap(known, &mut waker),
            None => released.push(waker),
        }
        Poll::Pending
    }
}

impl std::fmt::Debug for PeerCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PeerCall")
            .field("session", &self.shared.number)
            .field("id", &self.id)
            .finish()
    }
}

/// Counts a call among those in flight until it is dropped.
pub(crate) struct RunningCall {
    call: PeerCall,
    /// Bytes that are held while it waits.
    held: usize,
    registration: Arc<Registration>,
}

/// Bytes that are held for a peer for as long as this is there.
pub(crate) struct Held {
    shared: Arc<Shared>,
    bytes: usize,
}

impl Held {
    /// So many more. If that is too much the session ends.
    pub(crate) fn grow(&mut self, bytes: usize) {
        self.bytes += bytes;
        let mut state = self.shared.lock();
        state.held += bytes;
        // The answer to a batch is complete before its blobs are, and nothing more can come then.
        let checked = match state.ended {
            Some(_) => Ok(()),
            None => self.shared.check_limits(&state),
        };
        drop(state);
        if let Err(error) = checked {
            self.shared.end(error, Say::Abort);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.held = state.held.saturating_sub(self.bytes);
    }
}

/// A call that has not finished, and has to when its time is up.
pub(crate) enum Unfinished {
    /// Its handler runs.
    Task(AbortHandle),
    /// It waits for promises in its arguments.
    Waiting(Weak<Join>),
}

impl Unfinished {
    pub(super) fn stop(&self) {
        match self {
            Self::Task(task) => task.abort(),
            Self::Waiting(join) => {
                if let Some(join) = join.upgrade() {
                    join.stop();
                }
            }
        }
    }
}

/// Where an unfinished call is known, so that it can be stopped when its time is up.
pub(crate) struct Registration {
    shared: Arc<Shared>,
    state: Mutex<RegistrationState>,
}

#[derive(Default)]
enum RegistrationState {
    #[default]
    Empty,
    Set(u64),
    /// The handler finished before its task was registered.
    Finished,
}

impl RunningCall {
    pub(crate) fn new(call: &PeerCall) -> Self {
        Self::holding(call, 0)
    }

    /// One for which so many bytes are held while it waits.
    pub(crate) fn holding(call: &PeerCall, held: usize) -> Self {
        let mut state = call.shared.lock();
        state.running += 1;
        state.held += held;
        drop(state);
        Self {
            call: call.clone(),
            held,
            registration: Arc::new(Registration {
                shared: call.shared.clone(),
                state: Mutex::default(),
            }),
        }
    }

    pub(crate) fn registration(&self) -> Arc<Registration> {
        self.registration.clone()
    }
}

impl Drop for RunningCall {
    fn drop(&mut self) {
        let task = self.registration.finish();
        let mut state = self.call.shared.lock();
        state.running = state.running.saturating_sub(1);
        state.held = state.held.saturating_sub(self.held);
        let handle = task.and_then(|task| state.tasks.remove(task));
        if !state.parked.is_empty() {
            // There is room for one that waits.
            state.wake_driver();
        }
        drop(state);
        drop(handle);
    }
}

impl Registration {
    /// Registers what is to be stopped.
    pub(crate) fn set(&self, task: Unfinished) {
        let mut mine = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(*mine, RegistrationState::Empty) {
            return;
        }
        let mut state = self.shared.lock();
        *mine = RegistrationState::Set(state.tasks.push(task));
        if state.runtime.is_none() {
            state.runtime = Handle::try_current().ok();
        }
        let ended = state.ended.is_some();
        drop(state);
        drop(mine);
        if ended {
            // It waited in a queue for something that outlived the session: it has its time too.
            self.shared.start_grace_period();
        }
    }

    fn finish(&self) -> Option<u64> {
        let mut mine = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *mine, RegistrationState::Finished) {
            RegistrationState::Set(task) => Some(task),
            RegistrationState::Empty | RegistrationState::Finished => None,
        }
    }
}

/// A call that has arrived and is not started, since too much is under way.
pub(super) struct Parked {
    pub(super) expr: Box<str>,
    pub(super) holes: Box<[Hole]>,
    pub(super) grounds: Vec<Ground>,
    pub(super) call: PeerCall,
    pub(super) result: Arc<Deferred>,
    pub(super) weight: usize,
}

impl Parked {
    fn start(self) {
        let origin = Origin::Peer(self.call);
        let result = evaluate_push(&self.expr, &self.holes, self.grounds, &origin);
        self.result.settle(result);
    }

    pub(super) fn cancel(self, reason: &Error) {
        self.result.settle(Hook::Broken(reason.clone()));
    }
}

impl Shared {
    /// Starts calls that wait, as long as there is room.
    pub(super) fn start_parked(&self) {
        loop {
            let mut state = self.lock();
            if state.parked.is_empty() || self.is_busy(&state) {
                return;
            }
            let parked = state.parked.pop_front();
            if let Some(parked) = &parked {
                state.parked_bytes = state.parked_bytes.saturating_sub(parked.weight);
            }
            drop(state);
            if let Some(parked) = parked {
                parked.start();
            }
        }
    }

    /// Counts what the result of export `id` costs to hold, as soon as it is there.
    pub(crate) fn weigh(self: &Arc<Self>, id: i64) {
        let mut hook = match self.lock().export(id) {
            Some(export) => export.hook.clone(),
            None => return,
        };
        loop {
            let payload = match hook.follow() {
                Settled::Yes(Hook::Value(payload)) => payload,
                Settled::Yes(_) => return,
                Settled::Not(promise) => {
                    let waiter = Waiter::Weigh(Arc::downgrade(self), id);
                    let waiting = match &promise {
                        Hook::Promise(deferred) => deferred.wait(&mut Some(waiter)),
                        Hook::Import(import) => import.watch(waiter),
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
            let weight = payload.weight();
            let mut state = self.lock();
            let Some(export) = state.export_mut(id) else {
                return;
            };
            if std::mem::replace(&mut export.weighed, true) {
                return;
            }
            export.weight += weight;
            self.hold_more(state, weight);
            return;
        }
    }

    /// So many bytes more are held for the peer. If that is too much, the session ends.
    pub(super) fn hold_more(&self, mut state: Locked<'_>, weight: usize) {
        state.held += weight;
        let checked = self.check_limits(&state);
        drop(state);
        if let Err(error) = checked {
            self.end(error, Say::Abort);
        }
    }
}
