//! The state of a session, in parts, and its lock.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, OnceLock, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};

use smallvec::SmallVec;
use tokio::{runtime::Handle, time::Instant};

use super::{
    SessionGuard, SessionOptions, call_queue::CallQueue, counts::Counts, evaluation::Evaluation,
    export_table::ExportTable, import_table::ImportTable, keep_alive::Life, locked::Locked,
};
use crate::{
    graph::{
        error::Error,
        import::Import,
        peer_call::{OpenCall, Resource},
        peer_edges::PeerEdges,
        remote::OnEnd,
        stream::Pipe,
        work::Work,
    },
    limits::Limits,
    outgoing::Backlog,
    util::{seq_table::SeqTable, wakers, weak_list::WeakList},
};

/// Who started the session, and how its messages travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Lives while anything of it is held.
    Client,
    /// Lives until its transport ends.
    Server,
    /// A client whose messages go out in one request.
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
    /// The runtime that moves streams, if they come from outside of one.
    pub(super) pump_runtime: OnceLock<Handle>,
    /// Keeps a client's session alive.
    pub(super) guard: Weak<SessionGuard>,
    /// Whether the session is over, to be read without the lock. The reason is in the state.
    pub(super) over: AtomicBool,
    /// Signs of life of the peer.
    pub(crate) life: Life,
    /// Whether a driver moves the messages, and waits for long work that is done elsewhere.
    pub(super) driven: AtomicBool,
    /// Whether there is such work, to be read without the lock.
    pub(super) evaluating: AtomicBool,
    /// What the peer's messages have tied: cut after the end.
    pub(super) edges: Arc<PeerEdges>,
    state: Mutex<State>,
}

/// The parts of a session's state. Each part owns its invariants and what is counted of it.
#[derive(Default)]
pub(super) struct State {
    /// Why the session is over, once it is.
    pub(super) ended: Option<Error>,
    /// The same, for calls that the transport was not given.
    pub(super) unsent: Option<Error>,
    /// Whether the transport is closed too, after the end: nothing more is sent.
    pub(super) transport_closed: bool,
    pub(super) exports: ExportTable,
    pub(super) imports: ImportTable,
    pub(super) counts: Counts,
    /// Calls that wait for room.
    pub(super) queue: CallQueue,
    /// Long work that is done elsewhere.
    pub(super) evaluation: Evaluation,
    /// Streams that the peer writes to.
    pub(super) pipes: WeakList<Pipe>,
    /// Calls that run as tasks or wait for promises.
    pub(super) open_calls: SeqTable<OpenCall>,
    /// The runtime that stops them when their time is up.
    pub(super) runtime: Option<Handle>,
    pub(super) out: Backlog,
    /// Bytes in the hands of the driver, not yet sent.
    pub(super) sending: usize,
    /// The calls that the driver has handed to the transport.
    pub(super) handed_over: HandedOver,
    /// The bytes of a ping that was written when all else was sent, until it is sent too.
    pub(super) unsent_ping: usize,
    /// Why nothing more comes from the peer, in a batch.
    pub(super) input_ended: Option<Error>,
    /// When the peer wants the session to be over, if it has said so.
    pub(super) draining_until: Option<Instant>,
    /// For the client of a batch.
    pub(super) flush: Flush,
    /// Callbacks for the end, in the order of their registration.
    pub(super) on_broken: BTreeMap<u64, Arc<dyn OnEnd>>,
    /// Wakes the driver, which is asleep if this is there.
    pub(super) driver: Option<Waker>,
    /// Tasks that wait.
    pub(super) waiting: Waiting,
    /// Work that is put off until the lock is released.
    pub(super) later: Vec<Work>,
    /// Wakers for then. Mostly it is the driver, or a task that awaits a result.
    pub(super) wakers: SmallVec<[Waker; 2]>,
}

/// Tasks that wait for something of a session.
#[derive(Default)]
pub(super) struct Waiting {
    /// For the outgoing buffer to empty.
    pub(super) ready: Vec<Waker>,
    /// For everything to be answered and written.
    pub(super) drained: Vec<Waker>,
    /// For the peer to announce a drain.
    pub(super) draining: Vec<Waker>,
    /// For the end.
    pub(super) ended: Vec<Waker>,
    /// For the transport to be closed after it.
    pub(super) closed: Vec<Waker>,
}

/// The calls that a transport has been given, sent or not: those that may have run.
#[derive(Clone, Copy, Default)]
pub(super) struct HandedOver {
    /// The ID of the first call that it has not been given.
    below: i64,
}

impl HandedOver {
    /// No call at all.
    pub(super) const NOTHING: Self = Self { below: i64::MIN };

    /// Returns whether the outcome of `import` can be that of a call that was handed over. Nothing
    /// was asked of a stub when it breaks.
    pub(super) fn includes(self, import: &Import) -> bool {
        match import.id() {
            _ if self.below == Self::NOTHING.below => false,
            1.. => import.id() < self.below,
            _ => import.is_promise(),
        }
    }
}

impl State {
    /// Returns the reason for which `import` breaks, if the session is over.
    pub(super) fn end_of(&self, import: &Import) -> Option<Error> {
        let ended = self.ended.as_ref()?;
        let reason = match self.handed_over.includes(import) {
            true => ended,
            false => self.unsent.as_ref().unwrap_or(ended),
        };
        Some(reason.clone())
    }

    /// Notes that the transport gets all messages before that of the call with the ID `next_call`,
    /// or all that there are.
    #[inline]
    pub(super) fn hand_over(&mut self, next_call: Option<i64>) {
        self.handed_over.below = next_call.unwrap_or_else(|| self.imports.next_call());
    }
}

/// When a batch goes out.
#[derive(Default)]
pub(super) struct Flush {
    /// It goes as soon as the streams in it are written.
    pub(super) requested: bool,
    /// It goes even if nothing of it is held any more.
    pub(super) by_hand: bool,
    /// Wakes the task that sends it.
    pub(super) waiting: Option<Waker>,
}

static NEXT_NUMBER: AtomicU64 = AtomicU64::new(1);

impl SessionInner {
    pub(crate) fn new(role: Role, options: SessionOptions, guard: Weak<SessionGuard>) -> Arc<Self> {
        Arc::new(Self {
            number: NEXT_NUMBER.fetch_add(1, Ordering::Relaxed),
            role,
            limits: options.limits_arc(),
            options,
            pump_runtime: OnceLock::new(),
            guard,
            over: AtomicBool::new(false),
            life: Life::default(),
            driven: AtomicBool::new(false),
            evaluating: AtomicBool::new(false),
            edges: Arc::default(),
            state: Mutex::default(),
        })
    }

    pub(super) fn lock(&self) -> Locked<'_> {
        Locked::new(&self.state)
    }

    /// Returns what `ready` finds in the state. If it finds nothing, registers the task in the list
    /// that `list` names.
    pub(super) fn poll_state<R>(
        &self,
        cx: &Context<'_>,
        ready: impl FnOnce(&State) -> Option<R>,
        list: impl FnOnce(&mut Waiting) -> &mut Vec<Waker>,
    ) -> Poll<R> {
        // Wakers are foreign code: cloned before the lock, and dropped after it.
        let mut waker = Some(cx.waker().clone());
        let mut state = self.lock();
        if let Some(found) = ready(&state) {
            return Poll::Ready(found);
        }
        wakers::register(list(&mut state.waiting), &mut waker);
        drop(state);
        Poll::Pending
    }

    /// Remembers the runtime, for pumps that are started from outside of one.
    pub(super) fn set_runtime(&self) {
        if self.pump_runtime.get().is_none()
            && let Ok(runtime) = Handle::try_current()
        {
            // The first will do: any runtime will.
            let _ = self.pump_runtime.set(runtime);
        }
    }
}

impl State {
    /// Returns whether everything is answered, and everything written that was to be.
    pub(super) fn is_answered(&self) -> bool {
        self.exports.unanswered() == 0
            && self.counts.of(Resource::Pumps) == 0
            && !self.evaluation.is_running()
    }

    /// Returns whether all messages are sent and flushed, but for a ping.
    pub(super) fn is_flushed(&self) -> bool {
        self.unsent_bytes() == self.unsent_ping
    }

    /// Returns whether it is time to send a batch.
    pub(super) fn is_flush_due(&self) -> bool {
        self.flush.requested && self.counts.of(Resource::Pumps) == 0
    }
}
