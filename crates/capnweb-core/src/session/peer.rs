//! The session as the graph sees it: the peer of imports, and the scope of calls.

use std::{
    any::Any,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
};

use capnweb_wire::{Step, encode};
use tracing::Span;

use super::{
    Role, SessionGuard, end::shut_down, import_table::Given, inner::SessionInner, locked::Locked,
};
use crate::{
    graph::{
        engine::{
            admit,
            invoke::{Operation, Origin, invoke},
        },
        error::{Error, Result},
        hook::{Hook, Waiter},
        hooks::SessionHooks,
        import::Import,
        offload::Job,
        payload::{Path, View},
        peer_call::{CallScope, OpenCall, Resource},
        remote::{Notify, OnEnd, Peer, SentMethod},
        work::Work,
    },
    limits::{LimitExceeded, Limits},
    runtime::Handle,
};

impl Peer for SessionGuard {
    fn send(
        &self,
        import: &Arc<Import>,
        path: &Path,
        operation: Operation,
    ) -> Result<Hook, Operation> {
        if let Some(refused) = self.refused() {
            return Ok(refused);
        }
        match self.interceptors() {
            Some(hooks) => match admitted(hooks, import, path, operation) {
                Ok(operation) => self.inner().send(import, path, operation),
                Err(result) => Ok(result),
            },
            None => self.inner().send(import, path, operation),
        }
    }

    fn send_call(
        &self,
        import: &Arc<Import>,
        path: &Path,
        method: Option<SentMethod<'_>>,
        args: View<'_>,
    ) -> Option<Hook> {
        if let Some(refused) = self.refused() {
            return Some(refused);
        }
        if let Some(hooks) = self.interceptors() {
            let whole = match method {
                Some(method) if method.is_declared => path.join_declared(method.name),
                Some(method) => path.join(&Step::Key(method.name.into())),
                None => path.clone(),
            };
            let operation = Operation::Call(args.to_payload());
            if let Err(result) = admitted(hooks, import, &whole, operation) {
                return Some(result);
            }
        }
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
        // It holds a callback, so it is dropped outside the lock.
        drop(removed);
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

impl SessionGuard {
    /// Returns the result of a call if the code that is running may not send it.
    #[inline]
    fn refused(&self) -> Option<Hook> {
        (!self.inner().scope.allows_current()).then(|| {
            let error = Error::disconnected(
                "the stub belongs to another request, whose session this one may not use",
            );
            Hook::Broken(error.with_may_have_run(false))
        })
    }

    #[inline]
    fn interceptors(&self) -> Option<&Arc<SessionHooks>> {
        (self.inner().hooks.as_ref()).filter(|hooks| hooks.intercepts())
    }
}

/// Asks whether an operation may be sent. Gives it back if it proceeds now.
///
/// # Errors
///
/// Returns the result otherwise.
fn admitted(
    hooks: &Arc<SessionHooks>,
    import: &Arc<Import>,
    path: &Path,
    operation: Operation,
) -> Result<Operation, Hook> {
    if path.is_empty() && matches!(operation, Operation::Get) {
        // A promise of the object itself.
        return Ok(operation);
    }
    let (at, to) = (path.clone(), import.clone());
    admit::send(hooks, path, operation, move |operation| {
        let guard = to.peer().clone().into_any().downcast::<SessionGuard>();
        let sent = match &guard {
            Ok(guard) => guard.inner().send(&to, &at, operation),
            Err(_) => Err(operation),
        };
        // It was resolved meanwhile.
        sent.unwrap_or_else(|operation| invoke(Hook::Import(to), &at, operation, &Origin::App))
    })
}

impl SessionInner {
    pub(crate) fn request_flush(&self) {
        let mut state = self.lock();
        state.flush.requested = true;
        state.check_flush();
    }

    /// Sends a batch, even if all of its handles are dropped before it is sent.
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
            // Nothing more will arrive, so waiting tasks are notified at once.
            let record = state.take_observed(id);
            let left = import.resolve(Hook::Broken(ended.clone()));
            state.later.extend(left.map(Work::DropHook));
            if let Some(entry) = state.imports.remove(id) {
                state.notify(entry.into_waiters());
            }
            drop(state);
            if let Some(record) = record {
                record.finish_with(Some(&ended));
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

    /// Releases `import`, whose last reference was dropped.
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
        let record = state.take_observed(id);
        if let Some(entry) = state.imports.remove(id) {
            let refs = entry.refs();
            state.later(Work::DropWaiters(entry.into_waiters()));
            if state.ended.is_none() {
                state.write(|out| encode::release(out, id, refs));
            }
        }
        drop(state);
        // Its outcome is reported as unknown.
        drop(record);
    }

    /// Handles a received `["export", id]` or `["promise", id]`. The caller must hold `guard` until
    /// it has unlocked, since dropping it can end the session.
    ///
    /// # Errors
    ///
    /// Returns an error if the peer must not use this ID.
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
            return Ok(Hook::Broken(shut_down().with_may_have_run(is_promise)));
        };
        if let Some(ended) = &state.ended {
            // Calls on a stub are no longer sent.
            let ended = ended.clone().with_may_have_run(is_promise);
            return Ok(Hook::Broken(ended));
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
    /// Breaks `import` if the session is over. It is one of very many whose turn has not come yet.
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

    #[inline]
    fn hooks(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        match &self.hooks {
            Some(hooks) => Some(hooks.clone()),
            None => None,
        }
    }

    fn span(&self) -> Option<&Span> {
        self.options.span()
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
        // The answer to a batch can be complete before its blobs are, and nothing more can arrive
        // then.
        if resource != Resource::RetainedBytes || state.ended.is_some() {
            return;
        }
        self.end_if_passed(state);
    }

    fn refund(&self, resource: Resource, amount: usize) {
        let mut state = self.lock();
        state.counts.refund(resource, amount);
        match resource {
            Resource::Calls => {
                state.wake_for_room();
                state.check_drained();
            }
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

/// The purpose of a waiter that a session has registered: an outcome that it owes, or the cost of a
/// result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// The outcome of this export is owed to the peer.
    Answer(i64),
    /// The cost of this export's result must be counted.
    Cost(i64),
}

impl Token {
    /// Packs the token into an integer. IDs have at most 53 bits and a sign.
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
