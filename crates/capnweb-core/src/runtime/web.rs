//! JavaScript's event loop.

mod random;
mod task;
mod timer;

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
};

use futures_util::{
    future::{AbortHandle as Abort, Abortable},
    task::AtomicWaker,
};
pub(crate) use web_time::Instant as SystemInstant;
pub use web_time::{Instant, SystemTime};

pub use self::{
    random::fill_random,
    task::{Scope, take_trapped},
    timer::{Sleep, sleep, sleep_until},
};

/// True if a task may work for sessions other than the one that it was spawned for.
///
/// All requests of a Worker run in one instance, but none may do another's I/O. A task runs as part
/// of the request that spawned it, even if another request wakes it.
pub(crate) const SHARES_TASKS: bool = false;

/// A handle to the only runtime, which always exists.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handle;

/// The ID of the only runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Id;

/// The error for code that runs outside a runtime. It never occurs on JavaScript hosts.
#[derive(Debug)]
pub(crate) struct NoRuntime;

impl Handle {
    pub(crate) fn try_current() -> Result<Self, NoRuntime> {
        Ok(Self)
    }

    pub(crate) fn id(&self) -> Id {
        Id
    }

    /// Spawns a task. It is first polled after the current JavaScript job.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + 'static) -> JoinHandle {
        let (abort, registration) = Abort::new_pair();
        let task = Abortable::new(task, registration);
        spawn(async move {
            let _ = task.await;
        });
        JoinHandle(AbortHandle(abort))
    }
}

/// A handle to a spawned task.
pub(crate) struct JoinHandle(AbortHandle);

impl JoinHandle {
    pub(crate) fn abort_handle(&self) -> AbortHandle {
        self.0.clone()
    }
}

/// A handle that aborts a task.
#[derive(Clone)]
pub(crate) struct AbortHandle(Abort);

impl AbortHandle {
    /// Aborts the task: it is dropped instead of being polled again, which happens soon.
    pub(crate) fn abort(&self) {
        self.0.abort();
    }
}

impl fmt::Debug for AbortHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AbortHandle").finish_non_exhaustive()
    }
}

/// Spawns a task.
pub fn spawn(task: impl Future<Output = ()> + 'static) {
    wasm_bindgen_futures::spawn_local(task::watched(Scope::current(), task));
}

/// The error of a future that missed its deadline.
#[derive(Debug)]
pub struct Elapsed;

/// Waits for a future until `deadline`.
pub async fn timeout_at<F: Future>(deadline: Instant, future: F) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future);
    let mut late = pin!(sleep_until(deadline));
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Ok(output)),
        Poll::Pending => late.as_mut().poll(cx).map(|()| Err(Elapsed)),
    })
    .await
}

/// True if there are threads that may be occupied.
pub(crate) const HAS_BLOCKING_POOL: bool = false;

/// Runs `work` at once, since there are no other threads.
pub(crate) async fn run_blocking(_: Handle, work: impl FnOnce() + 'static) -> bool {
    work();
    true
}

/// Schedules the current task to be polled again.
pub(crate) fn yield_now(cx: &mut Context<'_>) -> bool {
    cx.waker().wake_by_ref();
    true
}

/// Returns false: a task that stays awake never sees new messages here. They arrive after the task
/// has returned, and even the clock may stand still until then.
pub(crate) fn has_one_thread() -> bool {
    false
}

/// A waker for a future that is polled once before it becomes a task.
///
/// Futures of JavaScript hosts may keep the first waker that they see, although a future should
/// wake the last one. So this first waker forwards to the task's waker.
#[derive(Debug, Default)]
pub(crate) struct InlineWaker {
    waker: std::cell::OnceCell<(Arc<Forward>, Waker)>,
}

impl InlineWaker {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn waker(&self) -> &Waker {
        let (_, waker) = self.waker.get_or_init(|| {
            let forward = Arc::new(Forward::default());
            let waker = Waker::from(forward.clone());
            (forward, waker)
        });
        waker
    }

    /// Wakes the task of `cx` if the first waker is woken.
    pub(crate) fn forward_to(&self, cx: &Context<'_>) {
        if let Some((forward, _)) = self.waker.get() {
            forward.0.register(cx.waker());
        }
    }
}

#[derive(Debug, Default)]
struct Forward(AtomicWaker);

impl Wake for Forward {
    fn wake(self: Arc<Self>) {
        self.0.wake();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.wake();
    }
}
