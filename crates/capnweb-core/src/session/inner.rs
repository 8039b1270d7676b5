//! The state of a session, divided into parts, and its lock.

use std::{
    sync::{
        Arc, Mutex, OnceLock, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::{
    SessionGuard, SessionOptions, call_queue::CallQueue, counts::Counts, evaluation::Evaluation,
    export_table::ExportTable, import_table::ImportTable, keep_alive::Life, locked::Locked,
    receive::PeerAbort,
};
use crate::{
    graph::{
        error::Error,
        hooks::{CallRecord, SessionHooks},
        import::Import,
        observe::{SessionInfo, SessionRole},
        peer_call::{OpenCall, Resource},
        peer_edges::PeerEdges,
        remote::OnEnd,
        stream::Pipe,
        work::Work,
    },
    limits::Limits,
    outgoing::Backlog,
    runtime::{Handle, Instant, Scope},
    util::{seq_table::SeqTable, sharded_map::ShardedMap, wakers, weak_list::WeakList},
};

/// The side of a session, and how its messages are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// A client, whose session lives as long as its handles.
    Client,
    /// A server, whose session lives until its transport ends.
    Server,
    /// A client that sends its messages in one request.
    BatchClient,
    /// A server that answers one request.
    BatchServer,
}

impl Role {
    pub(super) fn is_client(self) -> bool {
        matches!(self, Self::Client | Self::BatchClient)
    }

    pub(super) fn is_batch(self) -> bool {
        matches!(self, Self::BatchClient | Self::BatchServer)
    }
}

/// A session.
pub(crate) struct SessionInner {
    pub(crate) number: u64,
    pub(crate) role: Role,
    pub(crate) options: SessionOptions,
    pub(super) limits: Arc<Limits>,
    /// The runtime that moves streams that were started outside of one.
    pub(super) pump_runtime: OnceLock<Handle>,
    /// Keeps a client's session alive.
    pub(super) guard: Weak<SessionGuard>,
    /// True once the session is over, for reading without the lock. The reason is in the state.
    pub(super) over: AtomicBool,
    /// The group of tasks that may do the session's I/O.
    pub(super) scope: Scope,
    /// The signs of life of the peer.
    pub(crate) life: Life,
    /// True if a driver moves the messages and waits for long work on other threads.
    pub(super) driven: AtomicBool,
    /// True while there is such work, for reading without the lock.
    pub(super) evaluating: AtomicBool,
    /// True once the peer has aborted the session and the close code is awaited, for reading
    /// without the lock. The reason is in the state.
    pub(super) aborted: AtomicBool,
    /// The references that the peer's messages have made, which are cut after the end.
    pub(super) edges: Arc<PeerEdges>,
    /// The foreign code that is told about the session, if there is any.
    pub(super) hooks: Option<Arc<SessionHooks>>,
    state: Mutex<State>,
}

/// The parts of a session's state. Each part owns its invariants and counts.
#[derive(Default)]
pub(super) struct State {
    /// The reason why the session is over, once it is.
    pub(super) ended: Option<Error>,
    /// The errors with which imports break, once the session is over.
    pub(super) import_errors: Option<Arc<ImportErrors>>,
    /// The state of the peer's abort.
    pub(super) abort: PeerAbort,
    /// True once the transport is closed after the end, so that nothing more is sent.
    pub(super) transport_closed: bool,
    pub(super) exports: ExportTable,
    pub(super) imports: ImportTable,
    /// Calls that are under way at the peer, by ID, if they are observed.
    pub(super) observed_calls: Option<Box<ObservedCalls>>,
    pub(super) counts: Counts,
    /// The calls that wait for room.
    pub(super) queue: CallQueue,
    /// The long work on other threads.
    pub(super) evaluation: Evaluation,
    /// The streams that the peer writes to.
    pub(super) pipes: WeakList<Pipe>,
    /// The calls that run as tasks or wait for promises.
    pub(super) open_calls: SeqTable<OpenCall>,
    /// The runtime that stops them after the grace period.
    pub(super) runtime: Option<Handle>,
    pub(super) out: Backlog,
    /// The number of bytes that the driver has taken and not yet sent.
    pub(super) sending: usize,
    /// The calls that the driver has passed to the transport.
    pub(super) handed_over: HandedOver,
    /// The length of a ping that was written when everything else was sent, until it is sent too.
    pub(super) unsent_ping: usize,
    /// The reason why the peer sends nothing more, in a batch.
    pub(super) input_ended: Option<Error>,
    /// The end of the session that the peer has announced, if any.
    pub(super) draining_until: Option<Instant>,
    /// The error that new calls of the peer are rejected with, if this side is about to end.
    pub(super) refusal: Option<Error>,
    /// The state of sending a client's batch.
    pub(super) flush: Flush,
    /// The callbacks for the end, by their number, if there were any.
    pub(super) on_broken: Option<Box<EndCallbacks>>,
    /// The waker of the driver, while it is asleep.
    pub(super) driver: Option<Waker>,
    /// The waiting tasks.
    pub(super) waiting: Waiting,
    /// Work to do once the lock is released.
    pub(super) later: Vec<Work>,
    /// Wakers to wake once the lock is released. Usually there is only the driver, or a task that
    /// awaits a result.
    pub(super) wakers: SmallVec<[Waker; 2]>,
}

/// Callbacks for the end of a session. Their numbers are in the order of their registration.
pub(super) type EndCallbacks = ShardedMap<Arc<dyn OnEnd>>;

/// Calls in progress at the peer, by ID. They are dropped, and so reported, outside the lock.
pub(super) type ObservedCalls = FxHashMap<i64, Box<CallRecord>>;

/// Tasks that wait for an event of a session.
#[derive(Default)]
pub(super) struct Waiting {
    /// Tasks that wait for the outgoing buffer to empty.
    pub(super) ready: Vec<Waker>,
    /// Tasks that wait until everything is answered and written.
    pub(super) drained: Vec<Waker>,
    /// Tasks that wait for the peer's announcement of a drain.
    pub(super) draining: Vec<Waker>,
    /// Tasks that wait for the end.
    pub(super) ended: Vec<Waker>,
    /// Tasks that wait for the transport to close after the end.
    pub(super) closed: Vec<Waker>,
}

/// The calls that were passed to the transport, whether they were sent or not. These may have run.
#[derive(Clone, Copy, Default)]
pub(super) struct HandedOver {
    /// The ID of the first call that was not passed on.
    below: i64,
}

/// The kind of call behind an import that breaks at the end of the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BrokenCall {
    /// The import is a stub. Calls on it after the end are not sent.
    None,
    /// The import is the result of a call that was not passed to the transport.
    Waiting,
    /// The import is the result of a call that was passed to the transport, or a promise of the
    /// peer.
    Taken,
}

impl HandedOver {
    /// Returns the kind of call behind `import`.
    pub(super) fn call_of(self, import: &Import) -> BrokenCall {
        match import.id() {
            1.. if import.id() < self.below => BrokenCall::Taken,
            1.. => BrokenCall::Waiting,
            _ if import.is_promise() => BrokenCall::Taken,
            _ => BrokenCall::None,
        }
    }
}

/// The errors with which imports break at the end of a session.
pub(super) struct ImportErrors {
    /// The calls that were passed to the transport when the session ended.
    pub(super) handed_over: HandedOver,
    /// False for a batch whose request could not be sent.
    pub(super) is_request_sent: bool,
    /// True if the messages that waited at the end are still sent.
    pub(super) is_rest_sent: bool,
    /// The error for calls that may have run.
    pub(super) may_have_run: Error,
    /// The error for calls that have not run.
    pub(super) not_run: Error,
}

impl ImportErrors {
    /// Returns the error for `import`.
    pub(super) fn of(&self, import: &Import) -> &Error {
        match self.handed_over.call_of(import) {
            BrokenCall::Taken if self.is_request_sent => &self.may_have_run,
            BrokenCall::Waiting if self.is_rest_sent => &self.may_have_run,
            BrokenCall::Taken | BrokenCall::Waiting | BrokenCall::None => &self.not_run,
        }
    }
}

impl State {
    /// Returns the error with which `import` breaks, if the session is over.
    pub(super) fn end_of(&self, import: &Import) -> Option<Error> {
        let errors = self.import_errors.as_ref()?;
        Some(errors.of(import).clone())
    }

    /// Records that the messages before that of the call `next_call` are passed to the transport,
    /// or all messages if it is `None`.
    #[inline]
    pub(super) fn hand_over(&mut self, next_call: Option<i64>) {
        self.handed_over.below = next_call.unwrap_or_else(|| self.imports.next_call());
    }
}

/// The state of sending a batch.
#[derive(Default)]
pub(super) struct Flush {
    /// True if the batch is to be sent as soon as its streams are written.
    pub(super) requested: bool,
    /// True if it is to be sent even if all of its handles are dropped.
    pub(super) by_hand: bool,
    /// The waker of the task that sends it.
    pub(super) waiting: Option<Waker>,
}

static NEXT_NUMBER: AtomicU64 = AtomicU64::new(1);

impl SessionInner {
    pub(crate) fn new(role: Role, options: SessionOptions, guard: Weak<SessionGuard>) -> Arc<Self> {
        let number = NEXT_NUMBER.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self {
            number,
            hooks: options.hooks(|transport| SessionInfo {
                id: number,
                role: match role.is_client() {
                    true => SessionRole::Client,
                    false => SessionRole::Server,
                },
                transport: match role.is_batch() {
                    true => "batch",
                    false => transport,
                },
                guard: guard.clone(),
            }),
            role,
            limits: options.limits_arc(),
            options,
            pump_runtime: OnceLock::new(),
            guard,
            over: AtomicBool::new(false),
            scope: Scope::current(),
            life: Life::default(),
            driven: AtomicBool::new(false),
            evaluating: AtomicBool::new(false),
            aborted: AtomicBool::new(false),
            edges: Arc::default(),
            state: Mutex::default(),
        })
    }

    pub(super) fn lock(&self) -> Locked<'_> {
        Locked::new(&self.state)
    }

    /// Returns what `ready` finds in the state. If it finds nothing, registers the task in the list
    /// that `list` selects.
    pub(super) fn poll_state<R>(
        &self,
        cx: &Context<'_>,
        ready: impl FnOnce(&State) -> Option<R>,
        list: impl FnOnce(&mut Waiting) -> &mut Vec<Waker>,
    ) -> Poll<R> {
        // Wakers are foreign code: clone them before locking, and drop them after unlocking.
        let mut waker = Some(cx.waker().clone());
        let mut state = self.lock();
        if let Some(found) = ready(&state) {
            return Poll::Ready(found);
        }
        wakers::register(list(&mut state.waiting), &mut waker);
        drop(state);
        Poll::Pending
    }

    /// Stores the current runtime, for pumps that are started outside of one.
    pub(super) fn set_runtime(&self) {
        if self.pump_runtime.get().is_none()
            && let Ok(runtime) = Handle::try_current()
        {
            // If another runtime is already stored, it will do.
            let _ = self.pump_runtime.set(runtime);
        }
    }
}

impl State {
    /// Removes and returns the record of a call that has ended or is no longer needed.
    #[inline]
    pub(super) fn take_observed(&mut self, id: i64) -> Option<Box<CallRecord>> {
        self.observed_calls.as_mut()?.remove(&id)
    }

    /// Returns whether everything is answered and written.
    pub(super) fn is_answered(&self) -> bool {
        self.exports.unanswered() == 0
            && self.counts.of(Resource::Pumps) == 0
            && !self.evaluation.is_running()
    }

    /// Returns whether none of the peer's calls is running or waiting, awaited or not.
    pub(super) fn runs_no_calls(&self) -> bool {
        self.counts.of(Resource::Calls) == 0
    }

    /// Returns whether all messages except pings are sent and flushed.
    pub(super) fn is_flushed(&self) -> bool {
        self.unsent_bytes() == self.unsent_ping
    }

    /// Returns whether it is time to send a batch.
    pub(super) fn is_flush_due(&self) -> bool {
        self.flush.requested && self.counts.of(Resource::Pumps) == 0
    }
}
