//! The tasks that run the queues of objects of this process.
//!
//! A call that nobody awaits has to run all the same, so that a task is told of every queue that has
//! something in it. Calls are many and tasks are not free: one that has run a queue stays, asleep, for
//! the next.

use std::{
    cell::RefCell,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
};

use tokio::runtime::{Handle, Id};

use crate::util::lock::LockExt;

/// An object whose queue a task runs.
pub(crate) trait Queue: Send + Sync {
    /// Runs what is queued, for the task of `runtime` that was told to.
    fn run_scheduled(self: Arc<Self>, runtime: Id);

    /// Fails what is queued: `runtime` is shut down, and its task that was to run the queue is gone.
    fn not_run(self: Arc<Self>, runtime: Id);
}

/// Has a task of `runtime` run what is queued for `target`.
pub(crate) fn schedule(target: Arc<dyn Queue>, runtime: &Handle) {
    let mut target = target;
    while let Some(idle) = take_idle(runtime.id()) {
        match idle.start(target) {
            Ok(()) => return,
            // Its runtime was being shut down.
            Err(back) => target = back,
        }
    }
    let runner = Arc::new(Runner(Mutex::new(RunnerState {
        target: Some(target),
        ..RunnerState::default()
    })));
    runtime.spawn(Task {
        runner,
        runtime: runtime.id(),
    });
}

/// What a task and those who wake it share.
struct Runner(Mutex<RunnerState>);

#[derive(Default)]
struct RunnerState {
    /// The object whose queue is to be run.
    target: Option<Arc<dyn Queue>>,
    /// Wakes the task where it sleeps.
    waker: Option<Waker>,
    /// The task is gone, or has to go.
    over: bool,
}

impl Runner {
    fn lock(&self) -> MutexGuard<'_, RunnerState> {
        self.0.acquire()
    }
}

struct Task {
    runner: Arc<Runner>,
    runtime: Id,
}

impl Future for Task {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let (target, over) = {
            let mut state = self.runner.lock();
            (state.target.take(), state.over)
        };
        let Some(target) = target else {
            return if over { Poll::Ready(()) } else { Poll::Pending };
        };
        target.run_scheduled(self.runtime);
        self.runner.lock().waker = Some(cx.waker().clone());
        // On this thread, where nobody else can be at it before this returns.
        if rest(Idle::new(&self.runner, self.runtime)) {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        let mut state = self.runner.lock();
        state.over = true;
        let (target, waker) = (state.target.take(), state.waker.take());
        drop(state);
        drop(waker);
        // It goes without having run: its runtime is shut down, and nobody else may ever come.
        if let Some(target) = target {
            target.not_run(self.runtime);
        }
    }
}

/// A task that sleeps until it is given a queue to run. It ends when this is dropped.
struct Idle {
    /// Gone when it has been woken.
    runner: Option<Arc<Runner>>,
    runtime: Id,
}

impl Idle {
    fn new(runner: &Arc<Runner>, runtime: Id) -> Self {
        Self {
            runner: Some(runner.clone()),
            runtime,
        }
    }

    /// Gives the object back if there is no task any more.
    fn start(mut self, target: Arc<dyn Queue>) -> Result<(), Arc<dyn Queue>> {
        let Some(runner) = self.runner.take() else {
            return Err(target);
        };
        let mut state = runner.lock();
        if state.over {
            return Err(target);
        }
        state.target = Some(target);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(())
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        let Some(runner) = self.runner.take() else {
            return;
        };
        let mut state = runner.lock();
        state.over = true;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// How many tasks sleep for a thread at the most.
const MAX_IDLE: usize = 16;

thread_local! {
    /// The tasks that went to sleep on this thread, the last one last.
    static IDLE: RefCell<Vec<Idle>> = const { RefCell::new(Vec::new()) };
}

fn take_idle(runtime: Id) -> Option<Idle> {
    IDLE.try_with(|idle| {
        let mut idle = idle.borrow_mut();
        let last = idle.iter().rposition(|task| task.runtime == runtime)?;
        Some(idle.remove(last))
    })
    .ok()
    .flatten()
}

/// False if the thread is being torn down.
fn rest(task: Idle) -> bool {
    let mut task = Some(task);
    let oldest = IDLE.try_with(|idle| {
        let mut idle = idle.borrow_mut();
        idle.extend(task.take());
        // It may be of a runtime that has gone long since.
        (idle.len() > MAX_IDLE).then(|| idle.remove(0))
    });
    match oldest {
        Ok(oldest) => {
            // Here, where the list is not borrowed: it wakes.
            drop(oldest);
            true
        }
        Err(_) => false,
    }
}
