//! The end of a session.

use std::sync::atomic::Ordering;

use super::{
    answer::encode_error,
    export::Export,
    import::ImportEntry,
    running::{Parked, Unfinished},
    shared::Shared,
};
use crate::{
    error::{Error, Kind},
    hook::{Hook, Waiters},
    payload::Cap,
    work::{self, Work},
};

/// What the peer is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Say {
    /// The reason, in an `abort`.
    Abort,
    /// Nothing: it told us, or it is gone, or the transport will say what there is to say.
    Nothing,
}

/// The reason when everything of a client's session has been dropped.
pub(super) fn shut_down() -> Error {
    Error::with_kind(
        Kind::Disconnected,
        "Error",
        "RPC session was shut down by disposing the main stub",
    )
}

impl Shared {
    /// Ends the session, if it has not ended: imports break with `reason`, callbacks are called in
    /// the order of their registration, exports are dropped.
    pub(super) fn end(&self, reason: Error, say: Say) {
        // Encoded before the lock: `on_send_error` is the application's.
        let abort = (say == Say::Abort).then(|| encode_error(&self.options, &reason));
        let mut state = self.lock();
        if state.ended.is_some() {
            return;
        }
        let reason = reason.as_end();
        state.ended = Some(reason.clone());
        self.over.store(true, Ordering::Release);
        if let Some(abort) = abort {
            state.out.message(|out| {
                out.extend_from_slice(b"[\"abort\",");
                out.extend_from_slice(abort.view().text.as_bytes());
                out.push(b']');
            });
        }
        let callbacks = std::mem::take(&mut state.broken);
        let mut imports: Vec<ImportEntry> = state.calls.take_all();
        let mut theirs: Vec<_> = std::mem::take(&mut state.imports).into_iter().collect();
        theirs.sort_unstable_by_key(|(id, _)| std::cmp::Reverse(*id));
        imports.extend(theirs.into_iter().map(|(_, entry)| entry));
        let peer_main = state.peer_main.upgrade();
        let mut exports: Vec<Export> = state.pushes.take_all();
        exports.extend(state.exports.take_all());
        let main = state.main.take();
        let parked: Vec<Parked> = std::mem::take(&mut state.parked).into();
        let pipes = std::mem::take(&mut state.pipes);
        state.held = 0;
        state.parked_bytes = 0;
        state.unanswered = 0;
        state.unread = 0;
        // Imports are resolved under the lock, like any: see `Import::resolution`.
        let (mut broken, mut unanswered) = (Vec::new(), Vec::new());
        for entry in imports {
            unanswered.extend(entry.stream);
            broken.push((entry.import.upgrade(), entry.waiters));
        }
        broken.push((peer_main, Waiters::new()));
        for (import, _) in &broken {
            if let Some(import) = import
                && let Some(left) = import.resolve(Hook::Broken(reason.clone()))
            {
                state.later(Work::DropHook(left));
            }
        }
        let mut wakers = std::mem::take(&mut state.closed);
        wakers.append(&mut state.ready);
        wakers.append(&mut state.drained);
        wakers.extend(state.driver.take());
        wakers.extend(state.flush.waiting.take());
        state.flush.requested = true;
        state.wake(wakers);
        drop(state);
        tracing::debug!(target: "capnweb", session = self.number, %reason, "the session has ended");

        for registration in callbacks.into_values() {
            registration.fire(&reason);
        }
        for (import, waiters) in broken {
            work::submit_all(waiters.into_iter().map(Work::Notify));
            if let Some(import) = import {
                work::submit(Work::DropHook(Hook::Import(import)));
            }
        }
        for sent in unanswered {
            work::submit(Work::Answer(sent, Hook::Broken(reason.clone())));
        }
        for parked in parked {
            parked.cancel(&reason);
        }
        for mut export in exports {
            for waker in export.take_released() {
                waker.wake();
            }
            let readable = export.take_readable();
            if let Hook::Inlet(inlet) = &export.hook {
                inlet.break_off(&reason);
            }
            work::submit(Work::DropHook(export.hook));
            if let Some(readable) = readable {
                work::submit(Work::DropCaps(vec![Cap::Readable(readable)]));
            }
        }
        if let Some(main) = main {
            work::submit(Work::DropHook(main));
        }
        pipes.end(&reason);
        self.start_grace_period();
    }

    /// Nothing more will come from the peer: whatever waits for it fails with `reason`.
    pub(super) fn end_input(&self, reason: Error) {
        let mut state = self.lock();
        if state.ended.is_some() || state.input_ended.is_some() {
            return;
        }
        state.input_ended = Some(reason.clone());
        let mut waiting = Vec::new();
        for id in state.waiting_imports() {
            if let Some(entry) = state.remove_import(id) {
                waiting.push((entry.import.upgrade(), entry.waiters));
            }
        }
        for (import, waiters) in waiting {
            if let Some(import) = import {
                let left = import.resolve(Hook::Broken(reason.clone()));
                state.later.extend(left.map(Work::DropHook));
                state.later(Work::DropHook(Hook::Import(import)));
            }
            state.notify(waiters);
        }
        let open = state.pipes.all();
        drop(state);
        for pipe in open {
            pipe.break_off(&reason);
        }
    }

    /// Gives handlers that are still running some time, then stops them.
    pub(super) fn start_grace_period(&self) {
        let (tasks, runtime) = {
            let mut state = self.lock();
            (state.tasks.take_all(), state.runtime.take())
        };
        if tasks.is_empty() {
            return;
        }
        let grace = self.options.grace();
        // The end may come on a thread that has no runtime.
        if let Some(runtime) = runtime {
            runtime.spawn(async move {
                tokio::time::sleep(grace).await;
                tasks.iter().for_each(Unfinished::stop);
            });
        } else {
            // There has never been one, so nothing runs, and nothing will settle.
            tasks.iter().for_each(Unfinished::stop);
        }
    }
}
