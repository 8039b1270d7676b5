//! Calls that have to be done by a certain time.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, Weak},
};

use tokio::{
    runtime::Handle,
    task::AbortHandle,
    time::{Instant, sleep_until},
};

use super::call::LastingCall;
use crate::util::lock::LockExt;

/// Which of a call's times is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// It has waited for a session for too long.
    Wait,
    /// It was not answered in time.
    Answer,
}

/// The times by which calls have to be done, and the task that sees to it. There is a task only
/// while there are such calls.
#[derive(Default)]
pub(super) struct Deadlines {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    calls: BTreeMap<Key, Weak<LastingCall>>,
    task: Option<Task>,
    /// The number of tasks that there have been.
    tasks: u64,
}

/// The time, the number of the call, and whether it is the time for its answer.
type Key = (Instant, u64, bool);

/// The task that waits for the first deadline.
struct Task {
    number: u64,
    /// Absent until it is spawned.
    handle: Option<AbortHandle>,
}

/// A deadline, which is lifted when this is dropped.
pub(super) struct Deadline {
    deadlines: Weak<Deadlines>,
    key: Key,
}

impl Deadline {
    /// Returns whether the time is up, though nobody may have said so yet.
    pub(super) fn is_past(&self) -> bool {
        self.key.0 <= Instant::now()
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        if let Some(deadlines) = self.deadlines.upgrade() {
            deadlines.lift(self.key);
        }
    }
}

/// Marks a task as gone, also if its runtime is shut down.
struct Running {
    deadlines: Weak<Deadlines>,
    number: u64,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(deadlines) = self.deadlines.upgrade() {
            let mut state = deadlines.lock();
            if state
                .task
                .as_ref()
                .is_some_and(|task| task.number == self.number)
            {
                state.task = None;
            }
        }
    }
}

impl Deadlines {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.acquire()
    }

    /// Sets a deadline for a call. `number` tells it from others.
    pub(super) fn set(
        self: &Arc<Self>,
        at: Instant,
        number: u64,
        due: Due,
        call: Weak<LastingCall>,
    ) -> Deadline {
        let key = (at, number, due == Due::Answer);
        let mut state = self.lock();
        state.calls.insert(key, call);
        if state.task.is_none()
            && let Ok(runtime) = Handle::try_current()
        {
            state.tasks += 1;
            let number = state.tasks;
            state.task = Some(Task {
                number,
                handle: None,
            });
            drop(state);
            // A runtime that is shut down drops the task here and now.
            let task = watch(Running {
                deadlines: Arc::downgrade(self),
                number,
            });
            let handle = runtime.spawn(task).abort_handle();
            let mut state = self.lock();
            match &mut state.task {
                Some(task) if task.number == number => task.handle = Some(handle),
                // It is not needed any more.
                _ => handle.abort(),
            }
        }
        Deadline {
            deadlines: Arc::downgrade(self),
            key,
        }
    }

    fn lift(&self, key: Key) {
        let mut state = self.lock();
        let call = state.calls.remove(&key);
        let task = match state.calls.is_empty() {
            true => state.task.take(),
            false => None,
        };
        drop(state);
        drop(call);
        if let Some(handle) = task.and_then(|task| task.handle) {
            handle.abort();
        }
    }

    /// Returns the next time at which there is something to do.
    fn next(&self) -> Option<Instant> {
        let state = self.lock();
        state.calls.first_key_value().map(|((at, ..), _)| *at)
    }

    /// Takes out a call whose time is up.
    fn take_due(&self) -> Option<(Weak<LastingCall>, Due)> {
        let now = Instant::now();
        let mut state = self.lock();
        let first = state.calls.first_entry()?;
        let (at, _, is_answer) = *first.key();
        if at > now {
            return None;
        }
        let due = if is_answer { Due::Answer } else { Due::Wait };
        Some((first.remove(), due))
    }
}

impl Drop for Deadlines {
    fn drop(&mut self) {
        let task = self.state.data_mut().task.take();
        if let Some(handle) = task.and_then(|task| task.handle) {
            handle.abort();
        }
    }
}

async fn watch(running: Running) {
    loop {
        let Some(next) = running.deadlines.upgrade().and_then(|all| all.next()) else {
            return;
        };
        sleep_until(next).await;
        let Some(deadlines) = running.deadlines.upgrade() else {
            return;
        };
        while let Some((call, due)) = deadlines.take_due() {
            if let Some(call) = call.upgrade() {
                call.expire(due);
            }
        }
    }
}
