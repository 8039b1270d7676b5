//! The state of a session, and its lock.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::{Deref, DerefMut},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};

use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use tokio::runtime::Handle;

use super::{
    Limits, Outgoing, SessionOptions,
    export::Export,
    handle::Life,
    import::{Import, ImportEntry},
    pipes::Pipes,
    running::{Parked, Unfinished},
    table::SeqTable,
};
use crate::{
    broken::Registration,
    error::Error,
    hook::{Hook, Waiter, Waiters},
    work::{self, Work},
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
}

/// A session.
pub(crate) struct Shared {
    pub(super) number: u64,
    pub(super) role: Role,
    pub(super) options: SessionOptions,
    pub(super) limits: Arc<Limits>,
    /// The runtime that moves streams, if they come from outside of one.
    pub(super) pump_runtime: OnceLock<Handle>,
    /// What keeps a client's session alive.
    pub(super) life: Weak<Life>,
    /// Whether the session is over, to be asked without the lock. The reason is in the state.
    pub(super) over: AtomicBool,
    state: Mutex<State>,
}

/// The tables and buffers.
#[derive(Default)]
pub(super) struct State {
    /// Why the session is over, once it is.
    pub(super) ended: Option<Error>,
    /// Export 0.
    pub(super) main: Option<Hook>,
    /// What the peer's pushes made: it names them 1, 2, 3 ….
    pub(super) pushes: SeqTable<Export>,
    /// What we exported: −1, −2, −3 ….
    pub(super) exports: SeqTable<Export>,
    /// Import 0.
    pub(super) peer_main: Weak<Import>,
    /// What our pushes made: 1, 2, 3 ….
    pub(super) calls: SeqTable<ImportEntry>,
    /// What the peer exported: −1, −2, −3 ….
    pub(super) imports: FxHashMap<i64, ImportEntry>,
    pub(super) out: Outgoing,
    /// Bytes in the hands of the driver, not yet sent.
    pub(super) sending: usize,
    /// Wakes the driver, which is asleep if this is there.
    pub(super) driver: Option<Waker>,
    /// Wakes tasks that wait for the outgoing buffer to empty.
    pub(super) ready: Vec<Waker>,
    /// Callbacks for the end, in the order of their registration.
    pub(super) broken: BTreeMap<u64, Arc<Registration>>,
    /// Wakes tasks that wait for the end.
    pub(super) closed: Vec<Waker>,
    /// The peer's calls that have not finished.
    pub(super) running: usize,
    /// The peer's calls that have not been started.
    pub(super) parked: VecDeque<Parked>,
    /// Bytes that are held for those.
    pub(super) parked_bytes: usize,
    /// Bytes held for the peer.
    pub(super) held: usize,
    /// Outcomes that the peer waits for.
    pub(super) unanswered: usize,
    /// Outcomes that were sent and not released: the peer may not have read them yet.
    pub(super) unread: usize,
    /// Streams that are being written to the peer.
    pub(super) pumping: usize,
    /// Wakes tasks that wait for those two to be 0.
    pub(super) drained: Vec<Waker>,
    /// How many of `pushes` are writes to streams.
    pub(super) streams: usize,
    /// Bytes that the peer has written to streams and nobody has read.
    pub(super) stream_bytes: usize,
    /// The streams that the peer writes to.
    pub(super) pipes: Pipes,
    /// Calls of the peer's that run as tasks or wait for promises.
    pub(super) tasks: SeqTable<Unfinished>,
    /// The runtime that stops them when their time is up.
    pub(super) runtime: Option<Handle>,
    /// Why nothing more comes from the peer, in a batch.
    pub(super) input_ended: Option<Error>,
    /// For the client of a batch.
    pub(super) flush: Flush,
    /// What is put off until the lock is released.
    pub(super) later: Vec<Work>,
    /// Who is woken then. Mostly it is the driver, or who awaits a result.
    wakers: SmallVec<[Waker; 2]>,
}

/// When a batch goes out.
#[derive(Default)]
pub(super) struct Flush {
    /// It goes as soon as the streams in it are written.
    pub(super) requested: bool,
    /// Wakes the task that sends it.
    pub(super) waiting: Option<Waker>,
}

static NEXT_NUMBER: AtomicU64 = AtomicU64::new(1);

impl Shared {
    pub(super) fn new(role: Role, options: SessionOptions, life: Weak<Life>) -> Arc<Self> {
        Arc::new(Self {
            number: NEXT_NUMBER.fetch_add(1, Ordering::Relaxed),
            role,
            limits: options.limits_arc(),
            options,
            pump_runtime: OnceLock::new(),
            life,
            over: AtomicBool::new(false),
            state: Mutex::default(),
        })
    }

    pub(super) fn lock(&self) -> Locked<'_> {
        #[cfg(any(test, debug_assertions))]
        one_lock::enter();
        Locked {
            state: Some(self.state.lock().unwrap_or_else(PoisonError::into_inner)),
        }
    }
}

impl Shared {
    /// Lets `change` at the callbacks for the end; gives the reason instead if the session is over.
    pub(crate) fn with_registrations(
        &self,
        change: impl FnOnce(&mut BTreeMap<u64, Arc<Registration>>),
    ) -> Option<Error> {
        let mut state = self.lock();
        if let Some(ended) = &state.ended {
            return Some(ended.clone());
        }
        change(&mut state.broken);
        None
    }
}

impl Shared {
    /// What `ready` finds in the state; if it finds nothing, the task is put on the list that
    /// `wakers` names, once.
    pub(super) fn poll_state<R>(
        &self,
        cx: &Context<'_>,
        ready: impl FnOnce(&State) -> Option<R>,
        wakers: impl FnOnce(&mut State) -> &mut Vec<Waker>,
    ) -> Poll<R> {
        // Wakers are foreign code: cloned before the lock, and dropped after it.
        let mut waker = cx.waker().clone();
        let mut state = self.lock();
        if let Some(found) = ready(&state) {
            return Poll::Ready(found);
        }
        let wakers = wakers(&mut state);
        match wakers.iter_mut().find(|known| known.will_wake(&waker)) {
            Some(known) => std::mem::swap(known, &mut waker),
            None => wakers.push(waker),
        }
        Poll::Pending
    }
}

/// The state, locked.
///
/// What may not happen under the lock is put off with [`later`](Self::later) and
/// [`wake`](Self::wake), and happens right after unlocking.
pub(super) struct Locked<'a> {
    /// Always there until the drop.
    state: Option<MutexGuard<'a, State>>,
}

impl Locked<'_> {
    /// Does this after unlocking.
    pub(super) fn later(&mut self, work: Work) {
        self.later.push(work);
    }

    /// Notifies these after unlocking.
    pub(super) fn notify(&mut self, waiters: Waiters) {
        for waiter in waiters {
            match waiter {
                Waiter::Task(waker) => self.wakers.push(waker),
                waiter => self.later(Work::Notify(waiter)),
            }
        }
    }

    /// Wakes these after unlocking.
    pub(super) fn wake(&mut self, wakers: impl IntoIterator<Item = Waker>) {
        self.wakers.extend(wakers);
    }

    /// Wakes the driver after unlocking, if it is asleep.
    pub(super) fn wake_driver(&mut self) {
        if let Some(driver) = self.driver.take() {
            self.wakers.push(driver);
        }
    }

    /// Writes a message, and sees to it that it is sent.
    pub(super) fn write(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.out.message(write);
        self.wake_driver();
    }
}

impl Deref for Locked<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        match &self.state {
            Some(state) => state,
            None => unreachable!("the state is there until the drop"),
        }
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut State {
        match &mut self.state {
            Some(state) => state,
            None => unreachable!("the state is there until the drop"),
        }
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let Some(mut state) = self.state.take() else {
            return;
        };
        // Usually there is nothing, and that is the hot path.
        if state.wakers.is_empty() && state.later.is_empty() {
            drop(state);
            #[cfg(any(test, debug_assertions))]
            one_lock::leave();
            return;
        }
        let wakers = std::mem::take(&mut state.wakers);
        let later = std::mem::take(&mut state.later);
        drop(state);
        #[cfg(any(test, debug_assertions))]
        one_lock::leave();
        wakers.into_iter().for_each(Waker::wake);
        work::submit_all(later);
    }
}

/// In builds with assertions: a thread never holds two sessions' locks, or one twice.
#[cfg(any(test, debug_assertions))]
mod one_lock {
    use std::cell::Cell;

    thread_local! {
        static HELD: Cell<bool> = const { Cell::new(false) };
    }

    pub(super) fn enter() {
        let held = HELD.replace(true);
        assert!(
            !held,
            "a session is locked while this thread holds a session's lock"
        );
    }

    pub(super) fn leave() {
        HELD.set(false);
    }
}
