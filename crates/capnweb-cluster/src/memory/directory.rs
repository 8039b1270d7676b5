//! A directory within this process.

use std::{
    collections::{BTreeMap, btree_map},
    fmt,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;

use super::MemoryBus;
use crate::directory::{Answering, Directory, DirectoryError, Entry, Revision};

/// A directory within this process. Clones share their entries.
///
/// A directory from [`MemoryNetwork::directory`](super::MemoryNetwork::directory) can be reached
/// when its node can: a node that is cut off gets errors, a partitioned one gets no answer.
#[derive(Clone, Default)]
pub struct MemoryDirectory {
    store: Store,
    node: Option<MemoryBus>,
}

/// The entries, which the nodes of a network share.
#[derive(Clone, Default)]
pub(super) struct Store(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    entries: BTreeMap<String, Entry>,
    /// The revision before the first write.
    start: u64,
    /// The number of writes.
    writes: u64,
    /// The number of writes to be acknowledged and then lost.
    loses: usize,
}

impl State {
    fn write(&mut self, key: String, value: Bytes) -> Revision {
        self.writes += 1;
        let revision = Revision(self.start + self.writes);
        if self.loses > 0 {
            self.loses -= 1;
        } else {
            self.entries.insert(key, Entry::new(value, revision));
        }
        revision
    }

    fn is_at(&self, key: &str, expected: Revision) -> Result<(), DirectoryError> {
        match self.entries.get(key) {
            Some(entry) if entry.revision == expected => Ok(()),
            _ => Err(DirectoryError::Conflict),
        }
    }
}

impl Store {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MemoryDirectory {
    /// Creates an empty directory.
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates an empty directory whose revisions exceed `start`.
    pub(crate) fn starting_at(start: u64) -> Self {
        let directory = Self::new();
        directory.store.lock().start = start;
        directory
    }

    pub(super) fn of(store: Store, node: MemoryBus) -> Self {
        Self {
            store,
            node: Some(node),
        }
    }

    /// Returns the number of keys.
    pub fn len(&self) -> usize {
        self.store.lock().entries.len()
    }

    /// Returns whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the number of writes so far.
    pub fn writes(&self) -> u64 {
        self.store.lock().writes
    }

    /// Acknowledges the next `writes` writes without keeping them, as a store does that crashes
    /// before it has written to disk.
    pub fn lose(&self, writes: usize) {
        self.store.lock().loses += writes;
    }

    /// Does `work` when the node can reach the directory.
    fn answer<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut State) -> Result<T, DirectoryError> + Send + 'static,
    ) -> Answering<T> {
        let (store, node) = (self.store.clone(), self.node.clone());
        let answer = async move {
            if let Some(node) = node {
                reach(&node).await?;
            }
            work(&mut store.lock())
        };
        Box::pin(answer)
    }
}

fn reach(node: &MemoryBus) -> impl Future<Output = Result<(), DirectoryError>> + Send {
    let node = node.clone();
    async move { node.reach().await.map_err(DirectoryError::Unavailable) }
}

impl Directory for MemoryDirectory {
    fn get(&self, key: &str) -> Answering<Option<Entry>> {
        let key = key.to_owned();
        self.answer(move |state| Ok(state.entries.get(&key).cloned()))
    }

    fn create(&self, key: &str, value: Bytes) -> Answering<Revision> {
        let key = key.to_owned();
        self.answer(move |state| match state.entries.entry(key) {
            btree_map::Entry::Occupied(_) => Err(DirectoryError::Conflict),
            btree_map::Entry::Vacant(vacant) => {
                let key = vacant.into_key();
                Ok(state.write(key, value))
            }
        })
    }

    fn update(&self, key: &str, value: Bytes, expected: Revision) -> Answering<Revision> {
        let key = key.to_owned();
        self.answer(move |state| {
            state.is_at(&key, expected)?;
            Ok(state.write(key, value))
        })
    }

    fn delete(&self, key: &str, expected: Revision) -> Answering<()> {
        let key = key.to_owned();
        self.answer(move |state| {
            state.is_at(&key, expected)?;
            state.entries.remove(&key);
            Ok(())
        })
    }
}

impl fmt::Debug for MemoryDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryDirectory")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
