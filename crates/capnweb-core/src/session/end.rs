//! The end of a session.

use std::{
    sync::{Arc, atomic::Ordering},
    task::Waker,
};

use capnweb_wire::encode;

use super::{
    events,
    export_table::ExportTable,
    import_table::ImportTable,
    inner::{ImportErrors, SessionInner},
};
use crate::{
    graph::{
        error::{Error, Kind},
        hook::{Hook, Waiters},
        import::Import,
        offload::{self, MANY_ENTRIES},
        payload::Cap,
        peer_call::{CallScope, OpenCall, Resource},
        peer_edges::PeerEdges,
        remote::TakeOutcome,
        session_end::{EndCause, SessionEnd},
        work::{self, Work},
    },
    limits::Limit,
    runtime,
};

/// The notice of the end for the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AbortNotice {
    /// The peer receives the reason in an `abort`.
    Sent,
    /// The peer receives nothing: it ended the session itself, is gone, or is notified by the
    /// transport.
    Silent,
}

/// The handlers of an ended session in their grace period. Dropping this stops them, as when the
/// runtime is shut down.
struct GracePeriod {
    tasks: Vec<OpenCall>,
    edges: Arc<PeerEdges>,
    reason: Error,
}

impl Drop for GracePeriod {
    fn drop(&mut self) {
        self.tasks.iter().for_each(OpenCall::stop);
        if self.edges.is_long() && offload::has_elsewhere() {
            let (edges, reason) = (self.edges.clone(), self.reason.clone());
            offload::run_elsewhere(move || edges.cut(&reason));
        } else {
            self.edges.cut(&self.reason);
        }
    }
}

/// The amount of memory of a session's tables from which it is freed on another thread, in bytes.
const MUCH_MEMORY: usize = 8 << 20;

/// The contents of a session's tables when it ended.
struct Remains {
    imports: ImportTable,
    exports: ExportTable,
    reason: Error,
    /// The errors with which imports break.
    errors: Arc<ImportErrors>,
    /// The imports that have been broken, and their waiters.
    broken: Vec<(Option<Arc<Import>>, Waiters)>,
    takers: Vec<Box<dyn TakeOutcome>>,
}

impl Remains {
    /// Breaks the imports. Returns the hooks to drop.
    fn break_imports(&mut self) -> Vec<Hook> {
        let (main, imports) = self.imports.take_all();
        for mut entry in imports {
            self.takers.extend(entry.take_taker());
            self.broken.push((entry.import(), entry.into_waiters()));
        }
        self.broken.push((main, Waiters::new()));
        let imports = self.broken.iter().filter_map(|(import, _)| import.as_ref());
        imports
            .filter_map(|import| import.resolve(Hook::Broken(self.errors.of(import).clone())))
            .collect()
    }

    /// Notifies the waiters, and drops the exports.
    fn finish(mut self) {
        let reason = self.reason;
        for (import, waiters) in self.broken {
            work::submit_all(waiters.into_iter().map(Work::Notify));
            if let Some(import) = import {
                work::submit(Work::DropHook(Hook::Import(import)));
            }
        }
        for taker in self.takers {
            work::submit(Work::TakeOutcome(taker, Hook::Broken(reason.clone())));
        }
        let (main, exports) = self.exports.take_all();
        for export in exports {
            let (hook, readable, released) = export.into_parts();
            released.into_iter().for_each(Waker::wake);
            if let Hook::PipeWriter(writer) = &hook {
                writer.break_off(&reason);
            }
            work::submit(Work::DropHook(hook));
            if let Some(readable) = readable {
                work::submit(Work::DropCaps(vec![Cap::Readable(readable)].into_iter()));
            }
        }
        if let Some(main) = main {
            work::submit(Work::DropHook(main));
        }
    }
}

/// Returns the reason for a client's session whose handles were all dropped.
pub(crate) fn shut_down() -> Error {
    Error::with_kind(
        Kind::Disconnected,
        "Error",
        "RPC session was shut down by disposing the main stub",
    )
    .with_session_end(SessionEnd::new(EndCause::Here).normal())
}

/// Returns whether the peer will not read the messages that wait to be sent.
fn is_unread(reason: &Error, notice: AbortNotice) -> bool {
    let cause = reason.session_end().map(SessionEnd::cause);
    match notice {
        AbortNotice::Sent => {
            cause == Some(EndCause::Silence) || reason.exceeded_limit() == Some(Limit::HeldBytes)
        }
        // For example, the last handle was dropped: detached calls are still sent.
        AbortNotice::Silent => cause != Some(EndCause::Here),
    }
}

impl SessionInner {
    /// Ends the session, if it has not ended: imports break with `reason`, callbacks run in the
    /// order of their registration, and exports are dropped.
    ///
    /// If the reason has no cause, the cause is the peer's fault if the peer is notified, and the
    /// network otherwise.
    pub(crate) fn end(&self, reason: Error, notice: AbortNotice) {
        let cause = match notice {
            AbortNotice::Sent => EndCause::Protocol,
            AbortNotice::Silent => EndCause::Network,
        };
        self.end_by(cause, reason, notice);
    }

    /// Ends the session like [`end`](Self::end), with a cause.
    pub(crate) fn end_by(&self, cause: EndCause, reason: Error, notice: AbortNotice) {
        // Encode this before locking, since `on_send_error` is code of the application.
        let abort = (notice == AbortNotice::Sent).then(|| self.options.encode_error(&reason));
        let mut state = self.lock();
        if state.ended.is_some() {
            return;
        }
        let reason = reason.as_end(cause).without_stubs();
        self.over.store(true, Ordering::Release);
        if !self.role.is_batch() && is_unread(&reason, notice) {
            // The peer will not read these messages, and none of their calls will run. The reason
            // replaces them.
            state.out.clear();
        }
        // For a batch's request, the transport knows whether it could have been sent.
        let is_request_sent =
            !self.role.is_batch() || notice == AbortNotice::Sent || reason.may_have_run();
        let reason = reason.with_may_have_run(true);
        // The remaining messages are still sent if this side ended the session gracefully.
        let is_rest_sent = notice == AbortNotice::Sent
            && !is_unread(&reason, notice)
            && (!self.role.is_batch() || state.flush.by_hand);
        let not_run = reason.clone().with_may_have_run(false);
        state.ended = Some(reason.clone());
        let errors = Arc::new(ImportErrors {
            handed_over: state.handed_over,
            is_request_sent,
            is_rest_sent,
            may_have_run: reason.clone(),
            not_run,
        });
        state.import_errors = Some(errors.clone());
        if let Some(abort) = abort {
            let next_call = state.imports.next_call();
            let text = abort.view().text;
            state.out.message(next_call, |out| encode::abort(out, text));
        }
        let callbacks = state.on_broken.take();
        let observed_calls = state.observed_calls.take();
        let imports = std::mem::take(&mut state.imports);
        let exports = std::mem::take(&mut state.exports);
        let is_much = imports.len() + exports.len() >= MANY_ENTRIES
            || imports.cost() + exports.cost() >= MUCH_MEMORY;
        let is_large = is_much && offload::has_elsewhere();
        let mut remains = Remains {
            imports,
            exports,
            reason: reason.clone(),
            errors,
            broken: Vec::new(),
            takers: Vec::new(),
        };
        let queued = state.queue.take_all();
        let jobs = state.evaluation.take_all();
        let pipes = state.pipes.take();
        if !is_large {
            // Imports are resolved under the lock, like any others: see `Import`. If there are very
            // many, each breaks when it is awaited or when its turn comes, since their IDs are not
            // used any more.
            let left = remains.break_imports();
            state.later.extend(left.into_iter().map(Work::DropHook));
        }
        let waiting = std::mem::take(&mut state.waiting);
        let mut wakers = waiting.ended;
        wakers.extend(waiting.ready);
        wakers.extend(waiting.drained);
        wakers.extend(waiting.draining);
        state.waiting.closed = waiting.closed;
        wakers.extend(state.driver.take());
        wakers.extend(state.flush.waiting.take());
        state.flush.requested = true;
        state.wake(wakers);
        drop(state);
        for record in observed_calls
            .into_iter()
            .flat_map(|calls| calls.into_values())
        {
            record.finish_with(Some(&reason));
        }
        events::ended(self.number, &reason, self.hooks.as_ref());

        let callbacks = callbacks.map(|mut callbacks| callbacks.take_all());
        for (_, registration) in callbacks.unwrap_or_default() {
            registration.ended(&reason);
        }
        for call in queued {
            call.cancel(&reason);
        }
        for job in jobs {
            job.cancel();
        }
        if is_large {
            offload::run_elsewhere(move || {
                remains.break_imports().into_iter().for_each(|left| {
                    work::submit(Work::DropHook(left));
                });
                remains.finish();
            });
        } else {
            remains.finish();
        }
        for pipe in pipes {
            pipe.session_ended(&reason);
        }
        self.stop_open_calls();
    }

    /// Marks the transport as closed: nothing more is sent, and all sent messages are on their way.
    pub(super) fn transport_closed(&self) {
        let mut state = self.lock();
        if state.ended.is_none() {
            return;
        }
        state.transport_closed = true;
        let closed = std::mem::take(&mut state.waiting.closed);
        state.wake(closed);
    }

    /// Marks the end of the peer's messages: everything that waits for one fails with `reason`.
    pub(super) fn end_input(&self, reason: Error) {
        let mut state = self.lock();
        if state.ended.is_some() || state.input_ended.is_some() {
            return;
        }
        state.input_ended = Some(reason.clone());
        let mut waiting: Vec<(Option<Arc<Import>>, Waiters)> = Vec::new();
        let mut observed = Vec::new();
        for id in state.imports.waiting() {
            observed.extend(state.take_observed(id));
            if let Some(entry) = state.imports.remove(id) {
                waiting.push((entry.import(), entry.into_waiters()));
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
        let open = state.pipes.alive();
        drop(state);
        for record in observed {
            record.finish_with(Some(&reason));
        }
        for pipe in open {
            pipe.break_off(&reason);
        }
    }

    /// Stops the running handlers after their grace period. Then cuts the references that the
    /// peer's messages have made, which the handlers may use until then.
    pub(super) fn stop_open_calls(&self) {
        let mut state = self.lock();
        let (tasks, runtime) = (state.open_calls.take_all(), state.runtime.take());
        let reason = state.ended.clone().unwrap_or_else(shut_down);
        let waiting = state.counts.of(Resource::Calls);
        drop(state);
        if tasks.is_empty() && waiting == 0 && self.edges.is_empty() {
            // There are no handlers left that could make references.
            self.edges.cut(&reason);
            return;
        }
        let grace = self.options.grace();
        let stop = GracePeriod {
            tasks,
            edges: self.edges.clone(),
            reason,
        };
        // This thread may have no runtime. If the session never had one, nothing is running or can
        // settle, so everything is stopped at once.
        if let Some(runtime) = runtime.or_else(|| self.runtime()) {
            runtime.spawn(async move {
                runtime::sleep(grace).await;
                drop(stop);
            });
        }
    }
}
