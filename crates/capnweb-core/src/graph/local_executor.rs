//! The tasks that run the queues of objects of this process.
//!
//! A call must run even if its result is not awaited. So every queue with a call in it is assigned
//! to a task. Spawning a task for each would be expensive, so an idle task sleeps until there is
//! another queue to run.

use std::{
    cell::RefCell,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
};

use crate::{
    runtime::{Handle, Id, SHARES_TASKS},
    util::lock::LockExt,
};

/// A queue that a task runs.
pub(crate) trait Queue: Send + Sync {
    /// Runs the queued calls, for the task of `runtime` that was assigned the queue.
    fn run_scheduled(self: Arc<Self>, runtime: Id);

    /// Fails the queued calls, because `runtime` was shut down before its task could run them.
    fn not_run(self: Arc<Self>, runtime: Id);
}

/// Assigns the queue of `target` to a task of `runtime`.
pub(crate) fn schedule(target: Arc<dyn Queue>, runtime: &Handle) {
    let mut target = target;
    // Where tasks are not shared, none is ever idle.
    while let Some(idle) = take_idle(runtime.id()) {
        match idle.start(target) {
            Ok(()) => return,
            // The runtime of that task is being shut down.
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

/// The state that a task shares with those that wake it.
struct Runner(Mutex<RunnerState>);

#[derive(Default)]
struct RunnerState {
    /// The object whose queue is to be run.
    target: Option<Arc<dyn Queue>>,
    /// Wakes the sleeping task.
    waker: Option<Waker>,
    /// True once the task has ended, or must end.
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
        if !SHARES_TASKS {
            return Poll::Ready(());
        }
        self.runner.lock().waker = Some(cx.waker().clone());
        // The task sleeps on this thread, so nothing can assign it a queue before this returns.
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
        // The task is dropped without having run, because its runtime is shut down. No other task
        // may ever run the queue.
        if let Some(target) = target {
            target.not_run(self.runtime);
        }
    }
}

/// A sleeping task that waits for a queue to run. Dropping this ends the task.
struct Idle {
    /// The task, until it is woken.
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

    /// Wakes the task to run the queue of `target`. Returns `target` if the task has ended.
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

/// The maximum number of sleeping tasks per thread.
const MAX_IDLE: usize = 16;

thread_local! {
    /// The tasks that went to sleep on this thread, most recent last.
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

/// Puts a task to sleep. Returns false if the thread is being torn down.
fn rest(task: Idle) -> bool {
    let mut task = Some(task);
    let oldest = IDLE.try_with(|idle| {
        let mut idle = idle.borrow_mut();
        idle.extend(task.take());
        // The oldest task may belong to a runtime that is long gone.
        (idle.len() > MAX_IDLE).then(|| idle.remove(0))
    });
    match oldest {
        Ok(oldest) => {
            // Dropped while the list is not borrowed, since this wakes the task.
            drop(oldest);
            true
        }
        Err(_) => false,
    }
}
