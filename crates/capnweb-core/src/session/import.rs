//! What we can name of the peer's: the table of imports.

use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use capnweb_wire::write_i64;

use super::{
    handle::Life,
    outlet::Sent,
    shared::{Locked, Shared, State},
};
use crate::{
    error::Error,
    hook::{Hook, Waiter, Waiters, add_waiter},
    payload::Path,
    perform::Request,
    work::{self, Work},
};

/// Something of the peer's. Dropping the last reference releases it.
pub(crate) struct Import {
    life: Arc<Life>,
    id: i64,
    promise: bool,
    /// What a promise has settled to, or why all is over. Set under the session's lock, so that who
    /// holds the lock and finds it empty may use the ID. What is there can be replaced by what it
    /// has settled to in turn.
    resolution: OnceLock<Mutex<Hook>>,
}

/// The table's side of an import.
pub(super) struct ImportEntry {
    pub(super) import: Weak<Import>,
    /// How many times the peer has given it to us, to be said when it is released.
    pub(super) refs: u64,
    pub(super) pulled: bool,
    pub(super) waiters: Waiters,
    /// For a `stream`, which has no import: who waits for its answer.
    pub(super) stream: Option<Box<Sent>>,
}

impl ImportEntry {
    pub(super) fn new(import: &Arc<Import>) -> Self {
        Self {
            import: Arc::downgrade(import),
            refs: 1,
            pulled: false,
            waiters: Waiters::new(),
            stream: None,
        }
    }

    /// A message that is answered unasked, and never released.
    pub(super) fn stream(sent: Sent) -> Self {
        Self {
            import: Weak::new(),
            refs: 0,
            pulled: false,
            waiters: Waiters::new(),
            stream: Some(Box::new(sent)),
        }
    }
}

impl Import {
    pub(super) fn new(life: Arc<Life>, id: i64, promise: bool) -> Arc<Self> {
        Arc::new(Self {
            life,
            id,
            promise,
            resolution: OnceLock::new(),
        })
    }

    pub(crate) fn is_promise(&self) -> bool {
        self.promise
    }

    pub(crate) fn is_resolved(&self) -> bool {
        self.resolution.get().is_some()
    }

    pub(crate) fn resolution(&self) -> Option<Hook> {
        let resolution = self.resolution.get()?;
        Some(
            resolution
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
        )
    }

    /// Gives this the resolution that its resolution has, to shorten a chain.
    pub(crate) fn point_at(&self, end: Hook) {
        let Some(resolution) = self.resolution.get() else {
            return;
        };
        let mut resolution = resolution.lock().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *resolution, end);
        drop(resolution);
        work::submit(Work::DropHook(old));
    }

    pub(crate) fn id(&self) -> i64 {
        self.id
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        self.life.shared()
    }

    pub(crate) fn life(&self) -> &Arc<Life> {
        &self.life
    }

    /// Sets the resolution; gives it back if there is one already. Under the session's lock.
    pub(super) fn resolve(&self, resolution: Hook) -> Option<Hook> {
        let resolution = self.resolution.set(Mutex::new(resolution)).err()?;
        Some(
            resolution
                .into_inner()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// Sends a call, a read or a map. Gives the request back if the import has been resolved.
    pub(crate) fn send(self: &Arc<Self>, path: &Path, request: Request) -> Result<Hook, Request> {
        self.shared().send(self, path, request)
    }

    /// Pulls the promise and registers `waiter`; false if it has been resolved.
    pub(crate) fn wait(&self, waiter: &mut Option<Waiter>) -> bool {
        let mut state = self.shared().lock();
        if self.is_resolved() {
            return false;
        }
        if let Some(ended) = state.input_ended.clone() {
            // Nothing will ever come: whoever waits is told at once.
            let resolution = Hook::Broken(ended);
            let left = self.resolve(resolution);
            state.later.extend(left.map(Work::DropHook));
            if let Some(entry) = state.remove_import(self.id) {
                state.notify(entry.waiters);
            }
            return false;
        }
        let Some(entry) = state.import_mut(self.id) else {
            return false;
        };
        add_waiter(&mut entry.waiters, waiter);
        if !std::mem::replace(&mut entry.pulled, true) {
            let id = self.id;
            state.write(|out| {
                out.extend_from_slice(b"[\"pull\",");
                write_i64(out, id);
                out.push(b']');
            });
        }
        true
    }

    /// Pulls the promise without waiting for it.
    pub(crate) fn pull(&self) {
        self.wait(&mut None);
    }

    /// Registers `waiter` without pulling; false if it has been resolved.
    pub(crate) fn watch(&self, waiter: Waiter) -> bool {
        let mut state = self.shared().lock();
        if self.is_resolved() {
            return false;
        }
        match state.import_mut(self.id) {
            Some(entry) => {
                entry.waiters.retain(|waiter| waiter.is_alive());
                entry.waiters.push(waiter);
                true
            }
            None => false,
        }
    }
}

impl Drop for Import {
    fn drop(&mut self) {
        let resolution = self.resolution.take();
        match resolution.map(|hook| hook.into_inner().unwrap_or_else(PoisonError::into_inner)) {
            Some(resolution) if resolution.is_text() => {}
            Some(resolution) => work::submit(Work::DropHook(resolution)),
            None => self.life.shared().release(self),
        }
    }
}

impl State {
    pub(super) fn import_mut(&mut self, id: i64) -> Option<&mut ImportEntry> {
        match id {
            1.. => self.calls.get_mut(id.unsigned_abs()),
            _ => self.imports.get_mut(&id),
        }
    }

    pub(super) fn remove_import(&mut self, id: i64) -> Option<ImportEntry> {
        match id {
            1.. => self.calls.remove(id.unsigned_abs()),
            _ => self.imports.remove(&id),
        }
    }

    /// The promises of the peer's that somebody waits for.
    pub(super) fn waiting_imports(&self) -> Vec<i64> {
        let calls = self
            .calls
            .iter()
            .filter_map(|(key, entry)| entry.pulled.then(|| i64::try_from(key).ok()).flatten());
        let theirs = self
            .imports
            .iter()
            .filter(|(_, entry)| entry.pulled)
            .map(|(id, _)| *id);
        calls.chain(theirs).collect()
    }

    /// How many imports there are, the peer's main object included.
    pub(super) fn import_count(&self) -> usize {
        self.calls.len() + self.imports.len() + usize::from(self.ended.is_none())
    }
}

impl Locked<'_> {
    pub(super) fn write_release(&mut self, id: i64, refs: u64) {
        self.write(|out| {
            out.extend_from_slice(b"[\"release\",");
            write_i64(out, id);
            out.push(b',');
            write_i64(out, i64::try_from(refs).unwrap_or(i64::MAX));
            out.push(b']');
        });
    }
}

impl Shared {
    /// The last reference to `import` is gone.
    fn release(&self, import: &Import) {
        let mut state = self.lock();
        // Another import may stand under the same ID by now, if the peer sent it again.
        let mine = state
            .import_mut(import.id)
            .is_some_and(|entry| std::ptr::eq(entry.import.as_ptr(), import));
        if !mine {
            return;
        }
        if let Some(entry) = state.remove_import(import.id) {
            state.later(Work::DropWaiters(entry.waiters));
            if state.ended.is_none() {
                state.write_release(import.id, entry.refs);
            }
        }
    }

    /// The peer sent `["export", id]` or `["promise", id]`. The caller holds `life` until it has
    /// unlocked, since dropping it can be the end of the session.
    ///
    /// # Errors
    ///
    /// If the peer may not use that ID.
    pub(super) fn import(
        state: &mut Locked<'_>,
        life: Option<&Arc<Life>>,
        id: i64,
        promise: bool,
    ) -> Result<Hook, Error> {
        if id >= 0 {
            return Err(Error::protocol(format!(
                "an exported ID must be negative, and {id} is not"
            )));
        }
        let Some(life) = life else {
            return Ok(Hook::Broken(super::end::shut_down()));
        };
        if let Some(ended) = &state.ended {
            return Ok(Hook::Broken(ended.clone()));
        }
        if let Some(entry) = state.imports.get_mut(&id) {
            if promise {
                return Ok(Hook::Broken(Error::new(
                    "Bug in RPC system: The peer sent a promise reusing an existing export ID.",
                )));
            }
            if let Some(import) = entry.import.upgrade() {
                entry.refs += 1;
                return Ok(Hook::Import(import));
            }
            // The last reference went away just now, and its release waits for our lock. The peer
            // hears of all references at once, when the new import goes.
            let import = Import::new(life.clone(), id, false);
            entry.refs += 1;
            entry.import = Arc::downgrade(&import);
            return Ok(Hook::Import(import));
        }
        let import = Import::new(life.clone(), id, promise);
        state.imports.insert(
            id,
            ImportEntry {
                pulled: promise,
                ..ImportEntry::new(&import)
            },
        );
        Ok(Hook::Import(import))
    }
}
