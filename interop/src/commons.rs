//! What the sessions of one server have in common.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use capnweb::{Callback, Payload, Stub, Subscribers};

/// What the sessions of one server have in common.
#[derive(Debug, Default)]
pub(crate) struct Commons {
    /// Main objects that are alive.
    pub(crate) mains: Population,
    /// Counters that are alive.
    pub(crate) counters: Population,
    journals: Mutex<HashMap<String, Vec<Payload>>>,
    shared: Mutex<HashMap<String, Stub>>,
    watchers: Mutex<HashMap<String, Subscribers<Callback<u32>>>>,
}

/// The number of calls that a watcher may leave unanswered.
const MAX_UNANSWERED: usize = 16;

impl Commons {
    /// Returns those who watch the topic `key`.
    pub(crate) fn watchers(&self, key: String) -> Subscribers<Callback<u32>> {
        let none = || Subscribers::new().max_unanswered(MAX_UNANSWERED);
        lock(&self.watchers).entry(key).or_insert_with(none).clone()
    }

    /// Adds to what calls left behind under `key`.
    pub(crate) fn note(&self, key: String, entry: Payload) {
        lock(&self.journals).entry(key).or_default().push(entry);
    }

    /// Takes what calls left behind under `key`.
    pub(crate) fn take_notes(&self, key: &str) -> Vec<Payload> {
        lock(&self.journals).remove(key).unwrap_or_default()
    }

    /// Leaves a stub for other sessions, or takes it away again.
    pub(crate) fn share(&self, name: String, stub: Option<Stub>) {
        let mut shared = lock(&self.shared);
        let old = match stub {
            Some(stub) => shared.insert(name, stub),
            None => shared.remove(&name),
        };
        // A stub's drop may run anything: not under the lock.
        drop(shared);
        drop(old);
    }

    /// What another session has left.
    pub(crate) fn shared(&self, name: &str) -> Option<Stub> {
        lock(&self.shared).get(name).cloned()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many objects of a kind are alive.
#[derive(Clone, Debug, Default)]
pub(crate) struct Population(Arc<AtomicUsize>);

impl Population {
    /// Counts one more, for as long as what is returned lives.
    pub(crate) fn join(&self) -> Member {
        self.0.fetch_add(1, Ordering::Relaxed);
        Member(self.0.clone())
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// One that is counted.
#[derive(Debug)]
pub(crate) struct Member(Arc<AtomicUsize>);

impl Drop for Member {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
