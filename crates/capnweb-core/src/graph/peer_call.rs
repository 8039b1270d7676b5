//! Calls that came from a peer, and what is counted for them.

use std::{
    any::Any,
    fmt,
    sync::{Arc, Mutex, Weak},
    task::{Context, Poll},
};

use tokio::{runtime::Handle, task::AbortHandle};

use super::offload::{self, Job};
use crate::{
    limits::{LimitExceeded, Limits},
    util::lock::LockExt,
};

/// A resource that is counted for a peer while a [`Charge`] exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resource {
    /// Calls that have not finished.
    Calls,
    /// Bytes retained besides those of the tables and queues.
    RetainedBytes,
    /// Bytes that the peer has written to streams and nobody has read.
    StreamBytes,
    /// Streams that are being written to the peer. They hold a batch up.
    Pumps,
}

/// The session by which a call of a peer arrived.
pub(crate) trait CallScope: Send + Sync {
    /// Returns the number of the session, for logs.
    fn session_number(&self) -> u64;

    /// Returns the limits that apply to the peer.
    fn limits(&self) -> &Arc<Limits>;

    /// Returns what is cut at the end of the session.
    ///
    /// They are a `PeerEdges`. Its type is hidden here so that this module does not depend on the graph.
    fn edges(&self) -> &(dyn Any + Send + Sync);

    /// Checks whether one more call may be in flight.
    ///
    /// # Errors
    ///
    /// Fails if there are too many already: one message can hold very many calls.
    fn admit(&self) -> Result<(), LimitExceeded>;

    /// Returns whether the peer has released the result of call `id`.
    fn is_released(&self, id: i64) -> bool;

    /// Waits until the peer has released the result of call `id`.
    fn poll_released(&self, id: i64, cx: &Context<'_>) -> Poll<()>;

    /// Counts `amount` more of `resource`. Ends the session if a limit is passed.
    fn charge(&self, resource: Resource, amount: usize);

    /// Counts `amount` less of `resource`.
    fn refund(&self, resource: Resource, amount: usize);

    /// Registers a call to be stopped when its time is up. Returns its key, and whether the session
    /// is over: the caller then starts the grace period, once it holds no lock.
    fn register_call(&self, call: OpenCall) -> (u64, bool);

    /// Stops the registered calls when the session's grace period is over.
    fn start_grace_period(&self);

    /// Removes a call that has finished.
    fn unregister_call(&self, key: u64);

    /// Returns the runtime that runs the session's tasks; `None` if it was never in one.
    fn runtime(&self) -> Option<Handle>;

    /// Returns whether the session is over.
    fn is_over(&self) -> bool;

    /// Returns whether long work is [offloaded](Self::offload).
    fn offloads(&self) -> bool;

    /// Returns whether there is offloaded work that is not done.
    fn is_evaluating(&self) -> bool;

    /// Has `job` run on another thread, behind those that were given before, while nothing more is
    /// read from the peer.
    ///
    /// # Errors
    ///
    /// Returns the job if it cannot be moved.
    fn offload(self: Arc<Self>, job: Box<dyn Job>) -> Result<(), Box<dyn Job>>;

    /// Returns the session itself, for the layers above.
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

/// A call of a peer, as its handler knows it.
#[derive(Clone)]
pub(crate) struct PeerCall {
    scope: Arc<dyn CallScope>,
    /// The export that the result goes to. It is 0 for a part of an outcome, which has no promise of
    /// its own that could be dropped.
    id: i64,
}

impl PeerCall {
    pub(crate) fn new(scope: Arc<dyn CallScope>, id: i64) -> Self {
        Self { scope, id }
    }

    /// Turns to another call of the same peer.
    pub(crate) fn set_id(&mut self, id: i64) {
        self.id = id;
    }

    /// Returns the session by which the call arrived.
    pub(crate) fn scope(&self) -> &Arc<dyn CallScope> {
        &self.scope
    }

    pub(crate) fn session_number(&self) -> u64 {
        self.scope.session_number()
    }

    /// Counts `amount` of `resource` for the peer until the charge is dropped.
    pub(crate) fn charge(&self, resource: Resource, amount: usize) -> Charge {
        Charge::new(self.scope.clone(), resource, amount)
    }

    /// Returns the runtime that runs the session's streams; `None` if it was never in one.
    pub(crate) fn runtime(&self) -> Option<Handle> {
        self.scope.runtime()
    }

    pub(crate) fn limits(&self) -> &Arc<Limits> {
        self.scope.limits()
    }

    /// Checks whether one more call may be in flight.
    ///
    /// # Errors
    ///
    /// Fails if there are too many already: one message can hold very many calls.
    pub(crate) fn admit(&self) -> Result<(), LimitExceeded> {
        self.scope.admit()
    }

    /// Returns whether the session is over.
    pub(crate) fn is_over(&self) -> bool {
        self.scope.is_over()
    }

    /// Returns whether long work has to be [offloaded](Self::offload): not on a thread that may be
    /// occupied.
    pub(crate) fn offloads(&self) -> bool {
        !offload::is_offloaded() && self.scope.offloads()
    }

    /// Returns whether work of the peer has been offloaded and is not done: other work that is to
    /// come after it has to be offloaded too.
    pub(crate) fn is_evaluating(&self) -> bool {
        !offload::is_offloaded() && self.scope.is_evaluating()
    }

    /// Has `job` run on another thread.
    ///
    /// # Errors
    ///
    /// Returns the job if it cannot be moved, or has been moved already.
    pub(crate) fn offload(&self, job: Box<dyn Job>) -> Result<(), Box<dyn Job>> {
        if offload::is_offloaded() {
            Err(job)
        } else {
            self.scope.clone().offload(job)
        }
    }

    /// Returns whether the peer has released the result.
    pub(crate) fn is_released(&self) -> bool {
        self.id != 0 && self.scope.is_released(self.id)
    }

    /// Waits until the peer has released the result.
    pub(crate) fn poll_released(&self, cx: &Context<'_>) -> Poll<()> {
        match self.id {
            0 => Poll::Pending,
            id => self.scope.poll_released(id, cx),
        }
    }
}

impl fmt::Debug for PeerCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerCall")
            .field("session", &self.session_number())
            .field("id", &self.id)
            .finish()
    }
}

/// An amount of a resource that is counted for a peer for as long as this exists.
pub(crate) struct Charge {
    scope: Arc<dyn CallScope>,
    resource: Resource,
    amount: usize,
}

impl Charge {
    pub(crate) fn new(scope: Arc<dyn CallScope>, resource: Resource, amount: usize) -> Self {
        if amount > 0 {
            scope.charge(resource, amount);
        }
        Self {
            scope,
            resource,
            amount,
        }
    }

    /// Takes over an amount that has been counted already.
    pub(crate) fn of_counted(scope: Arc<dyn CallScope>, resource: Resource, amount: usize) -> Self {
        Self {
            scope,
            resource,
            amount,
        }
    }

    /// Counts `amount` more.
    pub(crate) fn grow(&mut self, amount: usize) {
        self.amount += amount;
        self.scope.charge(self.resource, amount);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if self.amount > 0 {
            self.scope.refund(self.resource, self.amount);
        }
    }
}

/// Counts a call among those in flight until it is dropped.
pub(crate) struct RunningCall {
    registration: Arc<CallRegistration>,
    _call: Charge,
    _retained: Charge,
}

impl RunningCall {
    pub(crate) fn new(call: &PeerCall) -> Self {
        Self::retaining(call, 0)
    }

    /// Counts a call for which `bytes` are retained while it waits.
    pub(crate) fn retaining(call: &PeerCall, bytes: usize) -> Self {
        Self {
            _call: call.charge(Resource::Calls, 1),
            _retained: call.charge(Resource::RetainedBytes, bytes),
            registration: Arc::new(CallRegistration {
                scope: call.scope.clone(),
                state: Mutex::default(),
            }),
        }
    }

    pub(crate) fn registration(&self) -> Arc<CallRegistration> {
        self.registration.clone()
    }
}

impl Drop for RunningCall {
    fn drop(&mut self) {
        self.registration.finish();
    }
}

/// Something that waits, and can be told to stop.
pub(crate) trait Stop: Send + Sync {
    /// Stops waiting: what is waited for may never come.
    fn stop(&self);
}

/// A call that has not finished, and has to when its time is up.
pub(crate) enum OpenCall {
    /// Its handler runs.
    Task(AbortHandle),
    /// It waits for promises in its arguments.
    Waiting(Weak<dyn Stop>),
}

impl OpenCall {
    /// Stops the call.
    pub(crate) fn stop(&self) {
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

/// The place where an open call is known, so that it can be stopped when its time is up.
pub(crate) struct CallRegistration {
    scope: Arc<dyn CallScope>,
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

impl CallRegistration {
    /// Registers what is to be stopped.
    pub(crate) fn set(&self, call: OpenCall) {
        let mut state = self.state.acquire();
        if !matches!(*state, RegistrationState::Empty) {
            return;
        }
        let (key, is_over) = self.scope.register_call(call);
        *state = RegistrationState::Set(key);
        drop(state);
        if is_over {
            // It waited in a queue for something that outlived the session: it has its time too.
            self.scope.start_grace_period();
        }
    }

    fn finish(&self) {
        let old = std::mem::replace(&mut *self.state.acquire(), RegistrationState::Finished);
        if let RegistrationState::Set(key) = old {
            self.scope.unregister_call(key);
        }
    }
}
