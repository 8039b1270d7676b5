//! Calls of the peer's that are under way, and those that have to wait.

use std::{
    future::poll_fn,
    sync::{Arc, Mutex, PoisonError, Weak},
    task::Poll,
};

use tokio::{runtime::Handle, task::AbortHandle};

use super::{Session, shared::Shared};
use crate::{
    deferred::Deferred,
    deliver::Join,
    error::Error,
    hook::Hook,
    payload::Path,
    perform::{Origin, Request, perform},
};

/// A call of the peer's, as its handler knows it.
pub(crate) struct PeerCall {
    shared: Arc<Shared>,
    /// The export that the result goes to.
    id: i64,
}

impl PeerCall {
    pub(super) fn new(shared: Arc<Shared>, id: i64) -> Arc<Self> {
        Arc::new(Self { shared, id })
    }

    pub(crate) fn session_number(&self) -> u64 {
        self.shared.number
    }

    pub(crate) fn limits(&self) -> &Arc<super::Limits> {
        &self.shared.limits
    }

    /// A handle; `None` if a client's session has been dropped.
    pub(crate) fn session(&self) -> Option<Session> {
        self.shared.life.upgrade().map(Session::from_life)
    }

    pub(crate) fn is_canceled(&self) -> bool {
        self.shared.lock().export(self.id).is_none()
    }

    pub(crate) async fn canceled(&self) {
        poll_fn(|cx| {
            let mut state = self.shared.lock();
            match state.export_mut(self.id) {
                Some(export) => {
                    if !export
                        .released
                        .iter()
                        .any(|waker| waker.will_wake(cx.waker()))
                    {
                        export.released.push(cx.waker().clone());
                    }
                    Poll::Pending
                }
                None => Poll::Ready(()),
            }
        })
        .await;
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
    call: Arc<PeerCall>,
    /// Bytes that are held while it waits.
    held: Mutex<usize>,
    registration: Arc<Registration>,
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
    pub(crate) fn new(call: &Arc<PeerCall>) -> Self {
        call.shared.lock().running += 1;
        Self {
            call: call.clone(),
            held: Mutex::new(0),
            registration: Arc::new(Registration {
                shared: call.shared.clone(),
                state: Mutex::default(),
            }),
        }
    }

    pub(crate) fn registration(&self) -> Arc<Registration> {
        self.registration.clone()
    }

    /// Counts bytes that are held while this waits.
    pub(crate) fn hold(&self, bytes: usize) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) += bytes;
        self.call.shared.lock().held += bytes;
    }

    /// The call has an outcome, which is held for the peer from now on.
    pub(crate) fn finish(self, outcome: &Hook) {
        self.call.shared.weigh_result(self.call.id, outcome);
    }
}

impl Drop for RunningCall {
    fn drop(&mut self) {
        let task = self.registration.finish();
        let held = *self.held.get_mut().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.call.shared.lock();
        state.running = state.running.saturating_sub(1);
        state.held = state.held.saturating_sub(held);
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
    pub(super) hook: Hook,
    pub(super) path: Path,
    pub(super) request: Request,
    pub(super) call: Arc<PeerCall>,
    pub(super) result: Arc<Deferred>,
    pub(super) weight: usize,
}

impl Parked {
    fn start(self) {
        let call = self.call.clone();
        let result = perform(
            self.hook,
            &self.path,
            self.request,
            &Origin::Peer(self.call),
        );
        call.shared.weigh_result(call.id, &result);
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
                state.held = state.held.saturating_sub(parked.weight);
            }
            drop(state);
            if let Some(parked) = parked {
                parked.start();
            }
        }
    }

    /// Counts what a call's result costs to hold.
    pub(super) fn weigh_result(&self, id: i64, outcome: &Hook) {
        let Hook::Value(payload) = outcome else {
            return;
        };
        let weight = payload.weight();
        let mut state = self.lock();
        if let Some(export) = state.export_mut(id) {
            export.weight += weight;
            state.held += weight;
        }
    }
}
