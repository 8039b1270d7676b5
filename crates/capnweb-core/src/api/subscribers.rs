//! Lists of subscribers that are called together, some of which may be slow.

use std::{
    collections::BTreeMap,
    fmt,
    future::poll_fn,
    sync::{
        Arc, Mutex, OnceLock, Weak,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};

use crate::{
    api::{
        promise::{Pipelined, Promise, StubType},
        session::Session,
    },
    graph::{
        hook::{Hook, Waiter},
        on_broken::BrokenGuard,
        remote::Notify,
    },
    util::{lock::LockExt, seq_table::SeqTable, wakers},
};

/// A list of stubs or callbacks to be notified.
///
/// [`publish`](Self::publish) calls all subscribers and waits for none. A subscriber is removed
/// when a call of it fails or its session ends. A subscriber *lags* if it has
/// [`max_unanswered`](Self::max_unanswered) calls unanswered, or if
/// [`max_unsent_bytes`](Self::max_unsent_bytes) wait to be sent to its peer. So the cost of a slow
/// subscriber is bounded, and the publisher chooses what happens to it:
///
/// | | a subscriber that lags |
/// |---|---|
/// | [`publish`](Self::publish) | is removed, so the remaining ones have missed nothing |
/// | [`publish_or_skip`](Self::publish_or_skip) | misses this call |
/// | [`ready`](Self::ready), then `publish` | is waited for |
///
/// ```
/// use capnweb::{Callback, Result, Subscribers};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
/// let listeners = Subscribers::<Callback<String>>::new();
/// # let (sender, mut heard) = tokio::sync::mpsc::unbounded_channel();
/// # let listener = Callback::new(move |news: String| { let _ = sender.send(news); });
///
/// // In the method that a client subscribes with. Dropping the guard removes the listener.
/// let guard = listeners.add(listener);
///
/// // When there is news.
/// listeners.publish(|listener| listener.call("it works"));
/// assert_eq!(heard.recv().await.as_deref(), Some("it works"));
///
/// drop(guard);
/// assert!(listeners.is_empty());
/// # Ok(()) }
/// ```
///
/// `S` is any stub: a [`Callback`](crate::Callback), the stub of an interface, or a
/// [`Stub`](crate::Stub). A clone is a handle to the same subscribers.
pub struct Subscribers<S> {
    shared: Arc<Shared<S>>,
    max_unanswered: usize,
    max_unsent_bytes: usize,
}

struct Shared<S> {
    state: Mutex<State<S>>,
}

struct State<S> {
    next_key: u64,
    /// Ordered by the time of addition.
    entries: BTreeMap<u64, Arc<Entry<S>>>,
    /// Tasks that wait until no subscriber lags.
    waiting: Vec<Waker>,
}

/// A subscriber.
struct Entry<S> {
    key: u64,
    stub: S,
    /// The calls that the subscriber has not answered.
    calls: Mutex<SeqTable<Hook>>,
    skipped: AtomicU64,
    shared: Weak<Shared<S>>,
    /// Removes the subscriber when its session ends.
    broken: OnceLock<BrokenGuard>,
}

/// The result of [`Subscribers::publish`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// The number of subscribers that were called.
    pub called: usize,
    /// The number of subscribers that lag and were skipped this time.
    pub skipped: usize,
    /// The number of subscribers that lagged and were removed.
    pub removed: usize,
}

/// The distance by which a subscriber has fallen behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lag {
    /// The number of calls that the subscriber has not answered.
    pub unanswered: usize,
    /// The number of bytes that wait to be sent to the subscriber's peer, for these calls or any
    /// other messages.
    pub unsent_bytes: usize,
    /// The number of calls that the subscriber has missed.
    pub skipped: u64,
}

/// Removes a subscriber when it is dropped.
///
/// See [`Subscribers::add`].
#[must_use = "dropping the guard removes the subscriber"]
pub struct SubscriberGuard {
    remove: Option<Box<dyn FnOnce() + Send + Sync>>,
}

impl SubscriberGuard {
    /// Keeps the subscriber until a call of it fails or its session ends.
    pub fn forget(mut self) {
        self.remove = None;
    }
}

impl Drop for SubscriberGuard {
    fn drop(&mut self) {
        if let Some(remove) = self.remove.take() {
            remove();
        }
    }
}

impl fmt::Debug for SubscriberGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SubscriberGuard")
    }
}

/// The default number of unanswered calls at which a subscriber lags.
const MAX_UNANSWERED: usize = 1024;

/// The default number of unsent bytes at which a subscriber lags.
const MAX_UNSENT_BYTES: usize = 16 << 20;

/// The smallest bound that can be set, because a session may count as ready with almost this number
/// of unsent bytes.
const MIN_UNSENT_BYTES: usize = 1 << 20;

impl<S: StubType + 'static> Subscribers<S> {
    /// Creates a list without subscribers.
    pub fn new() -> Self {
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(State {
                    next_key: 0,
                    entries: BTreeMap::new(),
                    waiting: Vec::new(),
                }),
            }),
            max_unanswered: MAX_UNANSWERED,
            max_unsent_bytes: MAX_UNSENT_BYTES,
        }
    }

    /// Sets the number of calls that a subscriber may leave unanswered. The default is 1024, the
    /// minimum 1. Publishing more than this in one go, before any answer can arrive, makes a
    /// subscriber lag.
    #[must_use]
    pub fn max_unanswered(mut self, calls: usize) -> Self {
        self.max_unanswered = calls.max(1);
        self
    }

    /// Sets the number of bytes that may wait to be sent to a subscriber's peer. The default is 16
    /// MiB, the minimum 1 MiB. The call that exceeds the bound is still made.
    #[must_use]
    pub fn max_unsent_bytes(mut self, bytes: usize) -> Self {
        self.max_unsent_bytes = bytes.max(MIN_UNSENT_BYTES);
        self
    }

    /// Adds a subscriber. It stays until the guard is dropped, a call of it fails, or its session
    /// ends.
    ///
    /// A stub that is already broken is not added.
    pub fn add(&self, stub: S) -> SubscriberGuard {
        let mut state = self.shared.state.acquire();
        let key = state.next_key;
        state.next_key += 1;
        let entry = Arc::new(Entry {
            key,
            stub,
            calls: Mutex::default(),
            skipped: AtomicU64::new(0),
            shared: Arc::downgrade(&self.shared),
            broken: OnceLock::new(),
        });
        state.entries.insert(key, entry.clone());
        drop(state);
        let shared = entry.shared.clone();
        let remove = move || {
            if let Some(shared) = shared.upgrade() {
                shared.remove(key);
            }
        };
        let on_broken = remove.clone();
        let broken = entry.stub.as_stub().on_broken(move |_| on_broken());
        // This is the only place that sets it.
        let _ = entry.broken.set(broken);
        SubscriberGuard {
            remove: Some(Box::new(remove)),
        }
    }

    /// Calls all subscribers in the order in which they were added, and removes those that lag.
    ///
    /// `call` makes one call of the given subscriber and returns the promise. It runs outside any
    /// lock.
    pub fn publish<R: Pipelined, E>(&self, call: impl FnMut(&S) -> Promise<R, E>) -> Published {
        self.publish_by(false, call)
    }

    /// Calls all subscribers that do not lag, in the order in which they were added.
    ///
    /// Use it for news that is superseded by the next, such as the position of a cursor.
    pub fn publish_or_skip<R: Pipelined, E>(
        &self,
        call: impl FnMut(&S) -> Promise<R, E>,
    ) -> Published {
        self.publish_by(true, call)
    }

    fn publish_by<R: Pipelined, E>(
        &self,
        skips: bool,
        mut call: impl FnMut(&S) -> Promise<R, E>,
    ) -> Published {
        let mut published = Published::default();
        for entry in self.shared.entries() {
            let lag = entry.lag();
            if self.is_lagging(&lag) {
                if skips {
                    entry.skipped.fetch_add(1, Ordering::Relaxed);
                    published.skipped += 1;
                } else {
                    tracing::debug!(target: "capnweb", ?lag, "removed a lagging subscriber");
                    self.shared.remove(entry.key);
                    published.removed += 1;
                }
                continue;
            }
            let promise = call(&entry.stub);
            entry.called(Promise::as_stub(&promise).clone().into_hook());
            published.called += 1;
        }
        published
    }

    /// Waits until no subscriber lags: back pressure for a publisher that leaves no subscriber
    /// behind.
    ///
    /// A subscriber that never answers is waited for until its session ends. With a timeout, the
    /// next [`publish`](Self::publish) removes it:
    ///
    /// ```
    /// # use capnweb::{Callback, Result, Subscribers};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
    /// # let listeners = Subscribers::<Callback<u32>>::new().max_unanswered(1);
    /// # let deaf = Callback::new(|_: u32| std::future::pending::<()>());
    /// # let _guard = listeners.add(deaf);
    /// # let patience = std::time::Duration::from_millis(1);
    /// for tick in 0..3 {
    ///     // A subscriber that is still behind by then is removed.
    ///     let _ = tokio::time::timeout(patience, listeners.ready()).await;
    ///     listeners.publish(|listener| listener.call(tick));
    /// }
    /// # assert!(listeners.is_empty());
    /// # Ok(()) }
    /// ```
    pub async fn ready(&self) {
        loop {
            poll_fn(|cx| self.poll_answered(cx)).await;
            let unread = (self.shared.entries().into_iter())
                .find(|entry| entry.unsent_bytes() >= self.max_unsent_bytes);
            let Some(entry) = unread else { return };
            if entry.stub.as_stub().ready().await.is_err() {
                self.shared.remove(entry.key);
            }
        }
    }

    /// Waits until no subscriber has too many unanswered calls.
    fn poll_answered(&self, cx: &Context<'_>) -> Poll<()> {
        // Wakers are foreign code: clone them before locking, and drop them after unlocking.
        let mut waker = Some(cx.waker().clone());
        let mut state = self.shared.state.acquire();
        let is_behind = |entry: &Arc<Entry<S>>| entry.calls.acquire().len() >= self.max_unanswered;
        if !state.entries.values().any(is_behind) {
            return Poll::Ready(());
        }
        wakers::register(&mut state.waiting, &mut waker);
        drop(state);
        Poll::Pending
    }

    /// Returns whether a subscriber that is this far behind gets no further calls.
    pub fn is_lagging(&self, lag: &Lag) -> bool {
        lag.unanswered >= self.max_unanswered || lag.unsent_bytes >= self.max_unsent_bytes
    }

    /// Returns the subscribers, each with its lag, in the order in which they were added.
    pub fn list(&self) -> Vec<(S, Lag)> {
        let entries = self.shared.entries().into_iter();
        entries
            .map(|entry| (S::from_stub(entry.stub.as_stub().clone()), entry.lag()))
            .collect()
    }

    /// Returns the number of subscribers.
    pub fn len(&self) -> usize {
        self.shared.state.acquire().entries.len()
    }

    /// Returns whether the list is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<S> Shared<S> {
    fn entries(&self) -> Vec<Arc<Entry<S>>> {
        self.state.acquire().entries.values().cloned().collect()
    }

    fn remove(&self, key: u64) {
        let removed = self.state.acquire().entries.remove(&key);
        // Dropped after unlocking, since it may be the last reference to the stub.
        if removed.is_some() {
            self.wake();
        }
    }

    /// Wakes the waiting tasks. Each of them checks for itself whether a subscriber still lags.
    fn wake(&self) {
        let waiting = std::mem::take(&mut self.state.acquire().waiting);
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl<S: StubType + 'static> Entry<S> {
    fn unsent_bytes(&self) -> usize {
        let session = self.stub.as_stub().session();
        session.as_ref().map_or(0, Session::unsent_bytes)
    }

    fn lag(&self) -> Lag {
        Lag {
            unanswered: self.calls.acquire().len(),
            unsent_bytes: self.unsent_bytes(),
            skipped: self.skipped.load(Ordering::Relaxed),
        }
    }

    /// Counts a call as unanswered until its outcome arrives.
    fn called(self: &Arc<Self>, outcome: Hook) {
        let call = self.calls.acquire().push(outcome);
        self.look_at(call);
    }

    /// Removes the call if it is answered, or subscribes to its outcome.
    fn look_at(self: &Arc<Self>, call: u64) {
        let Some(outcome) = self.calls.acquire().get(call).cloned() else {
            return;
        };
        let this: Weak<dyn Notify> = Arc::<Self>::downgrade(self);
        let Some(outcome) = outcome.subscribe(Waiter::Observer(this, call)) else {
            return;
        };
        let answered = self.calls.acquire().remove(call);
        drop(answered);
        let Some(shared) = self.shared.upgrade() else {
            return;
        };
        if matches!(outcome, Hook::Broken(_)) {
            shared.remove(self.key);
        } else {
            shared.wake();
        }
    }
}

impl<S: StubType + 'static> Notify for Entry<S> {
    fn notify(self: Arc<Self>, call: u64) {
        self.look_at(call);
    }
}

impl<S: StubType + 'static> Default for Subscribers<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Clone for Subscribers<S> {
    fn clone(&self) -> Self {
        Self {
            shared: self.shared.clone(),
            max_unanswered: self.max_unanswered,
            max_unsent_bytes: self.max_unsent_bytes,
        }
    }
}

impl<S> fmt::Debug for Subscribers<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscribers")
            .field("len", &self.shared.state.acquire().entries.len())
            .field("max_unanswered", &self.max_unanswered)
            .field("max_unsent_bytes", &self.max_unsent_bytes)
            .finish()
    }
}
