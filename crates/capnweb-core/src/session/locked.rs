//! The lock of a session, and the work that is done after unlocking.

use std::{
    ops::{Deref, DerefMut},
    sync::{Mutex, MutexGuard},
    task::Waker,
};

use super::{export_table::Export, inner::State};
use crate::{
    graph::{
        hook::{Waiter, Waiters},
        payload::Cap,
        work::{self, Work},
    },
    util::lock::LockExt,
};

/// The locked state of a session.
///
/// Work that is not allowed under the lock is passed to [`later`](Self::later) and
/// [`wake`](Self::wake), and runs right after unlocking.
pub(super) struct Locked<'a> {
    /// The guard. It is `None` only during the drop.
    state: Option<MutexGuard<'a, State>>,
}

impl<'a> Locked<'a> {
    pub(super) fn new(state: &'a Mutex<State>) -> Self {
        #[cfg(any(test, debug_assertions))]
        one_lock::enter();
        Self {
            state: Some(state.acquire()),
        }
    }

    /// Runs `work` after unlocking.
    pub(super) fn later(&mut self, work: Work) {
        self.later.push(work);
    }

    /// Notifies `waiters` after unlocking.
    pub(super) fn notify(&mut self, waiters: Waiters) {
        for waiter in waiters {
            match waiter {
                Waiter::Task(waker) => self.wakers.push(waker),
                waiter => self.later(Work::Notify(waiter)),
            }
        }
    }

    /// Wakes `wakers` after unlocking.
    pub(super) fn wake(&mut self, wakers: impl IntoIterator<Item = Waker>) {
        self.wakers.extend(wakers);
    }

    /// Wakes the driver after unlocking, if it is asleep.
    pub(super) fn wake_driver(&mut self) {
        if let Some(driver) = self.driver.take() {
            self.wakers.push(driver);
        }
    }

    /// Wakes the driver if calls wait for room, since there may be some now.
    pub(super) fn wake_for_room(&mut self) {
        if !self.queue.is_empty() {
            self.wake_driver();
        }
    }

    /// Wakes the tasks that wait for room in the outgoing buffer.
    pub(super) fn wake_ready(&mut self) {
        let ready = std::mem::take(&mut self.waiting.ready);
        self.wake(ready);
    }

    /// Wakes the tasks that wait for all answers, if everything is answered. Tasks that also wait
    /// for the answers to be sent check this themselves.
    pub(super) fn check_drained(&mut self) {
        if !self.waiting.drained.is_empty() && (self.is_answered() || self.runs_no_calls()) {
            let drained = std::mem::take(&mut self.waiting.drained);
            self.wake(drained);
        }
    }

    /// Wakes the task that sends a batch, if it is time to send.
    pub(super) fn check_flush(&mut self) {
        if self.is_flush_due() {
            let waiting = self.flush.waiting.take();
            self.wake(waiting);
        }
    }

    /// Writes a message, which will be sent.
    pub(super) fn write(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let next_call = self.imports.next_call();
        self.out.message(next_call, write);
        self.wake_driver();
    }

    /// Drops an export that was removed from the table.
    pub(super) fn discard(&mut self, export: Export) {
        let (hook, readable, released) = export.into_parts();
        if let Some(readable) = readable {
            let caps = vec![Cap::Readable(readable)];
            self.later(Work::DropCaps(caps.into_iter()));
        }
        if !released.is_empty() {
            self.wake(released);
        }
        if !hook.is_text() {
            self.later(Work::DropHook(hook));
        }
        self.check_drained();
        self.wake_for_room();
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
        // Usually there is nothing, or only one task or the driver to wake.
        if state.later.is_empty() && state.wakers.len() <= 1 {
            let waker = state.wakers.pop();
            unlock(state);
            if let Some(waker) = waker {
                waker.wake();
            }
            return;
        }
        let wakers = std::mem::take(&mut state.wakers);
        let later = std::mem::take(&mut state.later);
        unlock(state);
        wakers.into_iter().for_each(Waker::wake);
        work::submit_all(later);
    }
}

fn unlock(state: MutexGuard<'_, State>) {
    drop(state);
    #[cfg(any(test, debug_assertions))]
    one_lock::leave();
}

/// Asserts in debug builds that a thread never holds two session locks.
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
