//! Stubs that are pointed elsewhere, and reports of those that could be.

use std::sync::Arc;

use super::{SessionGuard, SessionInner};
use crate::graph::{
    hook::{Hook, Settled},
    import::Import,
    promise_state::PromiseState,
    work::{self, Work},
};

impl SessionInner {
    /// Reports the stubs of other sessions among those that were sent.
    pub(super) fn report_relays(&self, relayed: Vec<(i64, Hook)>) {
        for (id, hook) in relayed {
            let (Settled::Yes(end) | Settled::Not(end)) = hook.follow();
            let is_foreign = match end {
                // The peer may get an object of its own back as a stub of ours.
                Hook::Import(import) => !self.is_mine(&import),
                Hook::Lasting(_) | Hook::Promise(_) => true,
                _ => false,
            };
            match (self.options.relay_hook(), self.guard.upgrade()) {
                (Some(report), Some(guard)) if is_foreign => report(guard, id, hook),
                _ => work::submit(Work::DropHook(hook)),
            }
        }
    }
}

impl SessionGuard {
    /// Points the stub of the peer's export `id` at a promise, which is returned with another
    /// import of the export. Returns `None` if nobody holds the stub, or if it is no plain stub.
    pub(crate) fn redirect(self: &Arc<Self>, id: i64) -> Option<(Arc<PromiseState>, Arc<Import>)> {
        if id >= 0 {
            return None;
        }
        let mut state = self.inner().lock();
        if state.ended.is_some() {
            return None;
        }
        let entry = state.imports.get_mut(id)?;
        if !entry.is_replaceable() {
            return None;
        }
        let import = entry.import()?;
        let promise = PromiseState::new();
        let old = Import::new(self.clone(), id, false);
        entry.replace(&old);
        // Under the lock, every call is either sent before this or goes to the promise.
        let left = import.resolve(Hook::Promise(promise.clone()));
        drop(state);
        drop((import, left));
        Some((promise, old))
    }
}
