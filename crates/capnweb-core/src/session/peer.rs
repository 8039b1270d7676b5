//! The session as the graph knows it: the peer of imports, and the scope of calls.

use std::{
    any::Any,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
};

use capnweb_wire::encode;
use tokio::runtime::Handle;

use super::{
    Role, SessionGuard, end::shut_down, import_table::Given, inner::SessionInner, locked::Locked,
};
use crate::{
    graph::{
        engine::invoke::Operation,
        error::{Error, Result},
        hook::{Hook, Waiter},
        import::Import,
        offload::Job,
        payload::{Path, View},
        peer_call::{CallScope, OpenCall, Resource},
        remote::{Notify, OnEnd, Peer},
        work::Work,
    },
    limits::{LimitExceeded, Limits},
};

impl Peer for SessionGuard {
    fn send(
        &self,
        import: &Arc<Import>,
        path: &Path,
        operation: Operation,
    ) -> Result<Hook, Operation> {
        self.inner().send(import, path, operation)
    }

    fn send_call(
        &self,
        import: &Arc<Import>,
        path: &Path,
        method: Option<&str>,
        args: View<'_>,
    ) -> Option<Hook> {
        self.inner().send_call(import, path, method, args)
    }

    fn wait(&self, import: &Import, waiter: &mut Option<Waiter>) -> bool {
        self.inner().wait(import, waiter)
    }

    fn watch(&self, import: &Import, waiter: Waiter) -> bool {
        let mut state = self.inner().lock();
        if import.is_resolved() {
            return false;
        }
        match state.imports.get_mut(import.id()) {
            Some(entry) => {
                entry.watch(waiter);
                true
            }
            None => {
                state.break_late(import);
                false
            }
        }
    }

    fn release(&self, import: &Import) {
        self.inner().release(import);
    }

    fn refund_outcome(&self, bytes: usize) {
        let mut state = self.inner().lock();
        state.counts.refund(Resource::RetainedBytes, bytes);
    }

    fn is_collecting(&self) -> bool {
        let inner = self.inner();
        inner.role == Role::BatchClient && !inner.lock().flush.requested
    }

    fn request_flush(&self) {
        self.inner().request_flush();
    }

    fn is_over(&self) -> bool {
        self.inner().over.load(Ordering::Acquire)
    }

    fn end_reason(&self) -> Option<Error> {
        self.inner().end_reason()
    }

    fn add_on_broken(&self, registration: &Arc<dyn OnEnd>) -> Option<Error> {
        let mut state = self.inner().lock();
        if let Some(ended) = &state.ended {
            return Some(ended.clone());
        }
        state
            .on_broken
            .insert(registration.number(), registration.clone());
        None
    }

    fn remove_on_broken(&self, number: u64) {
        let removed = self.inner().lock().on_broken.remove(&number);
        // Dropped after the lock: it holds a callback.
        drop(removed);
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

impl SessionInner {
    pub(crate) fn request_flush(&self) {
        let mut state = self.lock();
        state.flush.requested = true;
        state.check_flush();
    }

    /// Sends a batch even if nothing of it is held when it goes out.
    pub(crate) fn send_batch(&self) {
        self.lock().flush.by_hand = true;
        self.request_flush();
    }

    fn wait(&self, import: &Import, waiter: &mut Option<Waiter>) -> bool {
        let mut state = self.lock();
        if import.is_resolved() {
            return false;
        }
        let id = import.id();
        if let Some(ended) = state.input_ended.clone() {
            // Nothing will ever come: whoever waits is told at once.
            let left = import.resolve(Hook::Broken(ended));
            state.later.extend(left.map(Work::DropHook));
            if let Some(entry) = state.imports.remove(id) {
                state.notify(entry.into_waiters());
            }
            return false;
        }
        let Some(entry) = state.imports.get_mut(id) else {
            state.break_late(import);
            return false;
        };
        entry.add_waiter(waiter);
        if entry.set_pulled() {
            state.write(|out| encode::pull(out, id));
        }
        true
    }

    /// Releases `import`, whose last reference is gone.
    fn release(&self, import: &Import) {
        let mut state = self.lock();
        let id = import.id();
        let is_mine = state
            .imports
            .get_mut(id)
            .is_some_and(|entry| entry.is_of(import));
        if !is_mine {
            return;
        }
        if let Some(entry) = state.imports.remove(id) {
            let refs = entry.refs();
            state.later(Work::DropWaiters(entry.into_waiters()));
            if state.ended.is_none() {
                state.write(|out| encode::release(out, id, refs));
            }
        }
    }

    /// Takes in that the peer sent `["export", id]` or `["promise", id]`. The caller holds `guard`
    /// until it has unlocked, since dropping it can be the end of the session.
    ///
    /// # Errors
    ///
    /// Fails if the peer may not use that ID.
    pub(super) fn import(
        state: &mut Locked<'_>,
        guard: Option<&Arc<SessionGuard>>,
        id: i64,
        is_promise: bool,
    ) -> Result<Hook> {
        if id >= 0 {
            return Err(Error::protocol(format!(
                "an exported ID must be negative, and {id} is not"
            )));
        }
        let Some(guard) = guard else {
            return Ok(Hook::Broken(shut_down()));
        };
        if let Some(ended) = &state.ended {
            return Ok(Hook::Broken(ended.clone()));
        }
        let make = |is_promise| Import::new(guard.clone(), id, is_promise);
        Ok(match state.imports.give(id, is_promise, make) {
            Given::Known(import) | Given::New(import) => Hook::Import(import),
            Given::Reused => Hook::Broken(Error::new(
                "Bug in RPC system: The peer sent a promise reusing an existing export ID.",
            )),
        })
    }
}

impl Locked<'_> {
    /// Breaks `import` if the session is over: it is one of very many, whose turn has not come.
    #[cold]
    fn break_late(&mut self, import: &Import) {
        if let Some(reason) = self.end_of(import) {
            let left = import.resolve(Hook::Broken(reason));
            self.later.extend(left.map(Work::DropHook));
        }
    }
}

impl CallScope for SessionInner {
    fn session_number(&self) -> u64 {
        self.number
    }

    fn limits(&self) -> &Arc<Limits> {
        &self.limits
    }

    #[cfg(feature = "describe")]
    fn is_introspectable(&self) -> bool {
        self.options.introspection_ref()
    }

    fn edges(&self) -> &(dyn Any + Send + Sync) {
        &*self.edges
    }

    fn admit(&self) -> Result<(), LimitExceeded> {
        self.check_calls(&self.lock())
    }

    fn is_released(&self, id: i64) -> bool {
        self.lock().exports.get(id).is_none()
    }

    fn poll_released(&self, id: i64, cx: &Context<'_>) -> Poll<()> {
        let mut waker = Some(cx.waker().clone());
        let released = self.lock().exports.poll_released(id, &mut waker);
        drop(waker);
        released
    }

    fn charge(&self, resource: Resource, amount: usize) {
        let mut state = self.lock();
        state.counts.charge(resource, amount);
        // The answer to a batch is complete before its blobs are, and nothing more can come then.
        if resource != Resource::RetainedBytes || state.ended.is_some() {
            return;
        }
        self.end_if_passed(state);
    }

    fn refund(&self, resource: Resource, amount: usize) {
        let mut state = self.lock();
        state.counts.refund(resource, amount);
        match resource {
            Resource::Calls => state.wake_for_room(),
            Resource::Pumps => {
                state.check_drained();
                state.check_flush();
            }
            Resource::RetainedBytes | Resource::StreamBytes => {}
        }
    }

    fn register_call(&self, call: OpenCall) -> (u64, bool) {
        let mut state = self.lock();
        if state.runtime.is_none() {
            state.runtime = Handle::try_current().ok();
        }
        (state.open_calls.push(call), state.ended.is_some())
    }

    fn start_grace_period(&self) {
        self.stop_open_calls();
    }

    fn unregister_call(&self, key: u64) {
        let call = self.lock().open_calls.remove(key);
        drop(call);
    }

    fn runtime(&self) -> Option<Handle> {
        let current = Handle::try_current().ok();
        current.or_else(|| self.pump_runtime.get().cloned())
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    fn offloads(&self) -> bool {
        Self::offloads(self)
    }

    fn is_evaluating(&self) -> bool {
        Self::is_evaluating(self)
    }

    fn offload(self: Arc<Self>, job: Box<dyn Job>) -> Result<(), Box<dyn Job>> {
        Self::offload(&self, job)
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

/// What a session registered a waiter for: an outcome that it owes, or the cost of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// The outcome of this export is owed.
    Answer(i64),
    /// The cost of this export's result is to be counted.
    Cost(i64),
}

impl Token {
    /// Packs the token. IDs have at most 53 bits and a sign.
    pub(super) fn pack(self) -> u64 {
        let (id, kind) = match self {
            Self::Answer(id) => (id, 0),
            Self::Cost(id) => (id, 1),
        };
        (id << 1).cast_unsigned() | kind
    }

    pub(super) fn unpack(packed: u64) -> Self {
        let id = packed.cast_signed() >> 1;
        match packed & 1 {
            0 => Self::Answer(id),
            _ => Self::Cost(id),
        }
    }
}

impl Notify for SessionInner {
    fn notify(self: Arc<Self>, token: u64) {
        match Token::unpack(token) {
            Token::Answer(id) => self.answer_in_time(id),
            Token::Cost(id) => self.count_cost(id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back_as_they_were() {
        for id in [0, 1, -1, 2, -2, 1 << 53, -(1 << 53)] {
            for token in [Token::Answer(id), Token::Cost(id)] {
                assert_eq!(Token::unpack(token.pack()), token);
            }
        }
    }
}
