//! Calls from a peer, and the resources that they use.

use std::{
    any::Any,
    fmt,
    sync::{Arc, Mutex, Weak},
    task::{Context, Poll},
};

use tracing::Span;

use super::offload::{self, Job};
use crate::{
    limits::{LimitExceeded, Limits},
    runtime::{AbortHandle, Handle},
    util::lock::LockExt,
};

/// A resource that is counted for a peer while a [`Charge`] exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resource {
    /// Calls that have not finished.
    Calls,
    /// Bytes that are retained in addition to those of the tables and queues.
    RetainedBytes,
    /// Bytes that the peer has written to streams and that have not been read.
    StreamBytes,
    /// Streams that are being written to the peer. They delay the end of a batch.
    Pumps,
}

/// The session that a peer's call arrived by.
pub(crate) trait CallScope: Send + Sync {
    /// Returns the number of the session, for logs.
    fn session_number(&self) -> u64;

    /// Returns the limits that apply to the peer.
    fn limits(&self) -> &Arc<Limits>;

    /// Returns the foreign code that is told about calls, if there is any.
    ///
    /// It is a `SessionHooks`. Its type is hidden for the same reason as that of the
    /// [`edges`](Self::edges).
    fn hooks(&self) -> Option<Arc<dyn Any + Send + Sync>>;

    /// Returns the parent of the spans of calls, if it is set.
    fn span(&self) -> Option<&Span>;

    /// Makes the span of a call a part of the trace that the peer has sent with it, if it has sent
    /// one.
    fn set_parent(&self, _span: &Span) {}

    /// Returns whether the peer may read the descriptions of objects.
    #[cfg(feature = "describe")]
    fn is_introspectable(&self) -> bool;

    /// Returns the references that are cut at the end of the session.
    ///
    /// They are a `PeerEdges`. Its type is hidden here so that this module does not depend on the
    /// graph.
    fn edges(&self) -> &(dyn Any + Send + Sync);

    /// Checks whether one more call may be in flight.
    ///
    /// # Errors
    ///
    /// Returns an error if there are too many already. A single message can contain a large number
    /// of calls.
    fn admit(&self) -> Result<(), LimitExceeded>;

    /// Returns whether the peer has released the result of call `id`.
    fn is_released(&self, id: i64) -> bool;

    /// Waits until the peer has released the result of call `id`.
    fn poll_released(&self, id: i64, cx: &Context<'_>) -> Poll<()>;

    /// Counts `amount` more of `resource`. Ends the session if a limit is exceeded.
    fn charge(&self, resource: Resource, amount: usize);

    /// Counts `amount` less of `resource`.
    fn refund(&self, resource: Resource, amount: usize);

    /// Registers a call to be stopped when its time is up. Returns its key, and whether the session
    /// is over. If it is over, the caller starts the grace period once it holds no lock.
    fn register_call(&self, call: OpenCall) -> (u64, bool);

    /// Starts the session's grace period, after which the registered calls are stopped.
    fn start_grace_period(&self);

    /// Removes a call that has finished.
    fn unregister_call(&self, key: u64);

    /// Returns the runtime of the session's tasks, or `None` if the session was never in one.
    fn runtime(&self) -> Option<Handle>;

    /// Returns whether the session is over.
    fn is_over(&self) -> bool;

    /// Returns whether long work is [offloaded](Self::offload).
    fn offloads(&self) -> bool;

    /// Returns whether there is offloaded work that is not done yet.
    fn is_evaluating(&self) -> bool;

    /// Runs `job` on another thread, after all earlier jobs. Meanwhile, nothing more is read from
    /// the peer.
    ///
    /// # Errors
    ///
    /// Returns the job if it cannot be moved.
    fn offload(self: Arc<Self>, job: Box<dyn Job>) -> Result<(), Box<dyn Job>>;

    /// Returns the session itself, for the layers above.
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

/// The peer's call that a handler is running.
#[derive(Clone)]
pub(crate) struct PeerCall {
    scope: Arc<dyn CallScope>,
    /// The ID of the export that the result goes to. It is 0 for a part of an outcome, which has no
    /// promise of its own that could be dropped.
    id: i64,
}

impl PeerCall {
    pub(crate) fn new(scope: Arc<dyn CallScope>, id: i64) -> Self {
        Self { scope, id }
    }

    /// Changes to another call of the same peer.
    pub(crate) fn set_id(&mut self, id: i64) {
        self.id = id;
    }

    /// Makes `span` a part of the trace that the peer has sent with the call, if it has sent one.
    #[inline]
    pub(crate) fn set_parent(&self, span: &Span) {
        if !span.is_disabled() {
            self.scope.set_parent(span);
        }
    }

    /// Returns the session that the call arrived by.
    pub(crate) fn scope(&self) -> &Arc<dyn CallScope> {
        &self.scope
    }

    pub(crate) fn session_number(&self) -> u64 {
        self.scope.session_number()
    }

    /// Returns the foreign code that is told about the call, if there is any.
    #[inline]
    pub(crate) fn hooks(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        self.scope.hooks()
    }

    /// Counts `amount` of `resource` for the peer until the charge is dropped.
    pub(crate) fn charge(&self, resource: Resource, amount: usize) -> Charge {
        Charge::new(self.scope.clone(), resource, amount)
    }

    /// Returns the runtime of the session's streams, or `None` if the session was never in one.
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
    /// Returns an error if there are too many already. A single message can contain a large number
    /// of calls.
    pub(crate) fn admit(&self) -> Result<(), LimitExceeded> {
        self.scope.admit()
    }

    /// Returns whether the session is over.
    pub(crate) fn is_over(&self) -> bool {
        self.scope.is_over()
    }

    /// Returns whether long work must be [offloaded](Self::offload). This is not necessary on a
    /// thread that may be occupied.
    pub(crate) fn offloads(&self) -> bool {
        !offload::is_offloaded() && self.scope.offloads()
    }

    /// Returns whether offloaded work for the peer is not done yet. Work that must come after it
    /// has to be offloaded too.
    pub(crate) fn is_evaluating(&self) -> bool {
        !offload::is_offloaded() && self.scope.is_evaluating()
    }

    /// Runs `job` on another thread.
    ///
    /// # Errors
    ///
    /// Returns the job if it cannot be moved, or was already moved.
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

/// An amount of a resource that is counted for a peer until this is dropped.
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

    /// Takes over an amount that has already been counted.
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

    /// Counts a call that retains `bytes` bytes while it waits.
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

/// A waiting operation that can be stopped.
pub(crate) trait Stop: Send + Sync {
    /// Stops waiting, because the awaited event may never happen.
    fn stop(&self);
}

/// An unfinished call, which must end when its time is up.
pub(crate) enum OpenCall {
    /// The call's handler runs.
    Task(AbortHandle),
    /// The call waits for promises in its arguments.
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

/// The registration of an open call, through which it is stopped when its time is up.
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
    /// Registers the call to be stopped.
    pub(crate) fn set(&self, call: OpenCall) {
        let mut state = self.state.acquire();
        if !matches!(*state, RegistrationState::Empty) {
            return;
        }
        let (key, is_over) = self.scope.register_call(call);
        *state = RegistrationState::Set(key);
        drop(state);
        if is_over {
            // The call waited in a queue for something that outlived the session. It gets the grace
            // period too.
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
