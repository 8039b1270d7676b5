//! Time limits of calls.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, Weak},
};

use super::call::LastingCall;
use crate::{
    runtime::{AbortHandle, Handle, Instant, sleep_until},
    util::lock::LockExt,
};

/// The time limit of a call that has expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// The call has waited too long for a session.
    Wait,
    /// The call was not answered in time.
    Answer,
}

/// The deadlines of calls, and the task that enforces them. The task exists only while there are
/// deadlines.
#[derive(Default)]
pub(super) struct Deadlines {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    calls: BTreeMap<Key, Weak<LastingCall>>,
    task: Option<Task>,
    /// The number of tasks so far.
    tasks: u64,
}

/// The time, the number of the call, and whether it is the deadline for the answer.
type Key = (Instant, u64, bool);

/// The task that waits for the earliest deadline.
struct Task {
    number: u64,
    /// `None` until the task is spawned.
    handle: Option<AbortHandle>,
}

/// A deadline, which is removed when this is dropped.
pub(super) struct Deadline {
    deadlines: Weak<Deadlines>,
    key: Key,
}

impl Deadline {
    /// Returns whether the deadline has passed, even if the task has not noticed yet.
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

/// Marks the task as gone when it is dropped, even if its runtime is shut down.
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

    /// Sets a deadline for a call, which is identified by `number`.
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
            // A runtime that is shutting down drops the task at once.
            let task = watch(Running {
                deadlines: Arc::downgrade(self),
                number,
            });
            let handle = runtime.spawn(task).abort_handle();
            let mut state = self.lock();
            match &mut state.task {
                Some(task) if task.number == number => task.handle = Some(handle),
                // The task is no longer needed.
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

    /// Returns the time of the next deadline.
    fn next(&self) -> Option<Instant> {
        let state = self.lock();
        state.calls.first_key_value().map(|((at, ..), _)| *at)
    }

    /// Removes and returns a call whose deadline has passed.
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
