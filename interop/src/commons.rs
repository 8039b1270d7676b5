//! State that the sessions of a server share.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use capnweb::{Callback, Payload, Stub, Subscribers};

/// State that the sessions of a server share.
#[derive(Debug, Default)]
pub(crate) struct Commons {
    /// The main objects that are alive.
    pub(crate) mains: Population,
    /// The counters that are alive.
    pub(crate) counters: Population,
    journals: Mutex<HashMap<String, Vec<Payload>>>,
    shared: Mutex<HashMap<String, Stub>>,
    watchers: Mutex<HashMap<String, Subscribers<Callback<u32>>>>,
    counts: Mutex<Counts>,
}

/// The number of times that each ID was counted, in the order of first occurrence.
#[derive(Debug, Default)]
struct Counts {
    times: Vec<(Payload, u32)>,
    /// The index of each ID in `times`, by the ID's text.
    places: HashMap<String, usize>,
}

/// The number of calls that a watcher may leave unanswered.
const MAX_UNANSWERED: usize = 16;

impl Commons {
    /// Returns the watchers of the topic `key`.
    pub(crate) fn watchers(&self, key: String) -> Subscribers<Callback<u32>> {
        let none = || Subscribers::new().max_unanswered(MAX_UNANSWERED);
        lock(&self.watchers).entry(key).or_insert_with(none).clone()
    }

    /// Adds a note under `key`.
    pub(crate) fn note(&self, key: String, entry: Payload) {
        lock(&self.journals).entry(key).or_default().push(entry);
    }

    /// Removes and returns the notes under `key`.
    pub(crate) fn take_notes(&self, key: &str) -> Vec<Payload> {
        lock(&self.journals).remove(key).unwrap_or_default()
    }

    /// Counts an ID once more. Returns its new count.
    pub(crate) fn count(&self, id: Payload) -> u32 {
        let mut counts = lock(&self.counts);
        let Counts { times, places } = &mut *counts;
        let place = *places
            .entry(id.as_expression().to_owned())
            .or_insert(times.len());
        if place == times.len() {
            times.push((id, 0));
        }
        times.get_mut(place).map_or(0, |(_, times)| {
            *times += 1;
            *times
        })
    }

    /// Returns the count of each ID.
    pub(crate) fn counts(&self) -> Vec<(Payload, u32)> {
        lock(&self.counts).times.clone()
    }

    /// Stores a stub for other sessions, or removes it.
    pub(crate) fn share(&self, name: String, stub: Option<Stub>) {
        let mut shared = lock(&self.shared);
        let old = match stub {
            Some(stub) => shared.insert(name, stub),
            None => shared.remove(&name),
        };
        // Dropping a stub may run any code, so drop it outside the lock.
        drop(shared);
        drop(old);
    }

    /// Returns the stub that another session has stored.
    pub(crate) fn shared(&self, name: &str) -> Option<Stub> {
        lock(&self.shared).get(name).cloned()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The number of live objects of a kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Population(Arc<AtomicUsize>);

impl Population {
    /// Counts one more object, until the returned value is dropped.
    pub(crate) fn join(&self) -> Member {
        self.0.fetch_add(1, Ordering::Relaxed);
        Member(self.0.clone())
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// An object that is counted.
#[derive(Debug)]
pub(crate) struct Member(Arc<AtomicUsize>);

impl Drop for Member {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
