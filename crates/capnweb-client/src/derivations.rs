//! Stubs that are derived again on each new session.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use capnweb_core::{
    Error, Session, Stub, WeakSession,
    lasting::{Slot, SlotGroup},
};

/// Derives a stub from its parent.
pub(crate) type Derive = Arc<dyn Fn(Stub) -> Stub + Send + Sync>;

/// The key of a derivation. It is greater than the parent's key.
pub(crate) type Key = u64;

/// A derivation that was run and whose outcome is pending.
#[derive(Debug)]
pub(crate) struct Derived {
    pub(crate) key: Key,
    /// The session on which it was run.
    pub(crate) session: WeakSession,
    /// The number of that session.
    pub(crate) generation: u64,
    pub(crate) stub: Stub,
}

/// The stubs of a client: the main one and those derived from it.
pub(crate) struct Derivations {
    group: SlotGroup,
    root: Slot,
    tree: Mutex<Tree>,
}

#[derive(Default)]
struct Tree {
    /// The number of sessions so far.
    generation: u64,
    /// The current session. New derivations run on it at once.
    up: Option<Up>,
    nodes: BTreeMap<Key, Node>,
    next_key: Key,
    /// The reason why calls fail instead of waiting.
    refusal: Option<Error>,
    /// The reason why the client was closed.
    closed: Option<Error>,
}

#[derive(Clone)]
struct Up {
    session: Session,
    main: Stub,
}

struct Node {
    slot: Slot,
    /// `None` for the main stub.
    parent: Option<Key>,
    derive: Derive,
    /// The stub on the current session.
    current: Option<Stub>,
    children: usize,
    /// True if nobody holds a stub of the derivation any more.
    is_dropped: bool,
}

impl Derivations {
    /// Creates the derivations and the first lasting stub of the main object.
    pub(crate) fn new(group: SlotGroup) -> (Self, Stub) {
        let (root, stub) = group.slot();
        let derivations = Self {
            group,
            root,
            tree: Mutex::default(),
        };
        (derivations, stub)
    }

    fn tree(&self) -> MutexGuard<'_, Tree> {
        self.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn root(&self) -> &Slot {
        &self.root
    }

    /// Returns the number of derivations.
    pub(crate) fn len(&self) -> usize {
        self.tree().nodes.len()
    }

    /// Returns the current session.
    pub(crate) fn session(&self) -> Option<Session> {
        Some(self.tree().up.as_ref()?.session.clone())
    }

    /// Returns the derivation that `parent` is a stub of: `Some(None)` for the main object.
    fn find(&self, parent: &Stub) -> Option<Option<Key>> {
        let is = |slot: &Slot| slot.stub().is_some_and(|stub| stub.is_same(parent));
        if is(&self.root) {
            return Some(None);
        }
        // Asking for a stub and dropping it may end a slot, so it happens after unlocking.
        let slots: Vec<_> = {
            let tree = self.tree();
            let nodes = tree.nodes.iter().rev();
            nodes.map(|(key, node)| (*key, node.slot.clone())).collect()
        };
        let mut slots = slots.into_iter();
        slots.find_map(|(key, slot)| is(&slot).then_some(Some(key)))
    }

    /// Adds a derivation and runs it if there is a session. Returns its lasting stub, together with
    /// the slot, the key and the pending outcome.
    pub(crate) fn add(&self, parent: &Stub, derive: Derive) -> Result<(Stub, Added), Error> {
        let not_ours = || {
            Error::type_error(
                "the parent of a derivation has to be a stub of this client: its `main()`, or what `derive` \
                 returned",
            )
        };
        let found = self.find(parent);
        let parent = found.ok_or_else(|| broken(parent).unwrap_or_else(not_ours))?;
        let (slot, stub) = self.group.slot();
        let (key, running) = {
            let mut tree = self.tree();
            if let Some(error) = &tree.closed {
                return Err(error.clone());
            }
            if let Some(error) = &tree.refusal {
                slot.refuse(error.clone());
            }
            let running = tree.running(parent);
            if let Some(parent) = parent {
                let node = tree.nodes.get_mut(&parent).ok_or_else(not_ours)?;
                node.children += 1;
            }
            let key = tree.next_key;
            tree.next_key += 1;
            let node = Node {
                slot: slot.clone(),
                parent,
                derive: derive.clone(),
                current: None,
                children: 0,
                is_dropped: false,
            };
            tree.nodes.insert(key, node);
            (key, running)
        };
        let derived = running.and_then(|(generation, up, parent)| {
            let stub = run(&derive, parent);
            self.set(key, generation, &stub)
                .then(|| slot.put(&up.session, stub.clone()))?;
            Some(Derived {
                key,
                session: up.session.downgrade(),
                generation,
                stub,
            })
        });
        let added = Added { key, slot, derived };
        Ok((stub, added))
    }

    /// Stores the stub of a derivation, unless there is a newer session.
    fn set(&self, key: Key, generation: u64, stub: &Stub) -> bool {
        let mut tree = self.tree();
        if tree.generation != generation {
            return false;
        }
        let Some(node) = tree.nodes.get_mut(&key) else {
            return false;
        };
        node.current = Some(stub.clone());
        true
    }

    /// Runs all derivations on a new session, parents first, and points the lasting stubs at it.
    pub(crate) fn put(&self, session: &Session) -> Vec<Derived> {
        let main = session.main();
        let (generation, old) = {
            let mut tree = self.tree();
            tree.generation += 1;
            tree.refusal = None;
            (tree.generation, tree.clear())
        };
        let mut stubs: HashMap<Key, Stub> = HashMap::new();
        let mut next = 0;
        loop {
            // Other threads and the closures themselves may add derivations meanwhile.
            let batch: Vec<_> = {
                let mut tree = self.tree();
                let batch = tree.nodes.range(next..);
                let batch = batch.map(|(key, node)| (*key, node.parent, node.derive.clone()));
                let batch: Vec<_> = batch.collect();
                if batch.is_empty() {
                    for (key, stub) in &stubs {
                        if let Some(node) = tree.nodes.get_mut(key) {
                            node.current = Some(stub.clone());
                        }
                    }
                    tree.up = Some(Up {
                        session: session.clone(),
                        main: main.clone(),
                    });
                    break;
                }
                batch
            };
            for (key, parent, derive) in batch {
                next = key + 1;
                let parent = match parent {
                    None => Some(&main),
                    Some(parent) => stubs.get(&parent),
                };
                // If the parent is broken, its children are removed as well.
                if let Some(parent) = parent {
                    stubs.insert(key, run(&derive, parent.clone()));
                }
            }
        }
        let slots: Vec<_> = {
            let tree = self.tree();
            let nodes = tree.nodes.iter();
            let nodes = nodes.filter_map(|(key, node)| {
                let stub = stubs.get(key)?;
                Some((node.slot.clone(), stub.clone()))
            });
            nodes.collect()
        };
        let root = (self.root.clone(), main);
        self.group
            .put_all(session, std::iter::once(root).chain(slots));
        drop(old);
        let derived = stubs.into_iter().map(|(key, stub)| Derived {
            key,
            session: session.downgrade(),
            generation,
            stub,
        });
        derived.collect()
    }

    /// Forgets the current session.
    pub(crate) fn down(&self) {
        let old = {
            let mut tree = self.tree();
            tree.generation += 1;
            tree.clear()
        };
        drop(old);
    }

    /// Sets the reason why there is no session. Calls wait for one from now on.
    pub(crate) fn set_reason(&self, reason: &Error) {
        self.tree().refusal = None;
        let slots = self.slots();
        slots
            .into_iter()
            .for_each(|slot| slot.set_reason(reason.clone()));
    }

    /// Fails calls, until there is a session or another reason why there is none.
    pub(crate) fn refuse(&self, error: &Error) {
        self.tree().refusal = Some(error.clone());
        let slots = self.slots();
        slots
            .into_iter()
            .for_each(|slot| slot.refuse(error.clone()));
    }

    /// Has calls wait again, if they are refused.
    pub(crate) fn end_refusal(&self) {
        let refusal = self.tree().refusal.take();
        if let Some(refusal) = refusal {
            self.set_reason(&refusal);
        }
    }

    fn slots(&self) -> Vec<Slot> {
        let tree = self.tree();
        let nodes = tree.nodes.values().map(|node| node.slot.clone());
        std::iter::once(self.root.clone()).chain(nodes).collect()
    }

    /// Breaks a failed derivation and those derived from it. Returns their number.
    pub(crate) fn fail(&self, key: Key, generation: u64, error: &Error) -> usize {
        let (broken, unneeded) = {
            let mut tree = self.tree();
            if tree.generation != generation {
                return 0;
            }
            tree.remove_with_children(key)
        };
        for node in &broken {
            node.slot.close(error.clone());
        }
        drop(unneeded);
        broken.len()
    }

    /// Records that nobody holds a stub of a derivation any more. It is not run again, unless
    /// another one is derived from it.
    pub(crate) fn dropped(&self, key: Key) {
        let removed = {
            let mut tree = self.tree();
            if let Some(node) = tree.nodes.get_mut(&key) {
                node.is_dropped = true;
            }
            tree.remove_unneeded(key)
        };
        drop(removed);
    }

    /// Breaks all stubs for good.
    pub(crate) fn close(&self, error: &Error) {
        let slots = self.slots();
        let old = {
            let mut tree = self.tree();
            tree.generation += 1;
            tree.closed.get_or_insert_with(|| error.clone());
            (tree.clear(), std::mem::take(&mut tree.nodes))
        };
        for slot in slots {
            slot.close(error.clone());
        }
        drop(old);
    }
}

impl Tree {
    /// Returns the session and the parent's stub on it, if both exist.
    fn running(&self, parent: Option<Key>) -> Option<(u64, Up, Stub)> {
        let up = self.up.clone()?;
        let parent = match parent {
            None => up.main.clone(),
            Some(parent) => self.nodes.get(&parent)?.current.clone()?,
        };
        Some((self.generation, up, parent))
    }

    /// Forgets the session. The caller drops the returned values after unlocking.
    fn clear(&mut self) -> (Option<Up>, Vec<Stub>) {
        let nodes = self.nodes.values_mut();
        let stubs = nodes.filter_map(|node| node.current.take()).collect();
        (self.up.take(), stubs)
    }

    /// Removes a derivation and all those derived from it. Returns them, and the ancestors that are
    /// no longer needed.
    fn remove_with_children(&mut self, key: Key) -> (Vec<Node>, Vec<Node>) {
        let Some(node) = self.nodes.remove(&key) else {
            return (Vec::new(), Vec::new());
        };
        let parent = node.parent;
        if let Some(parent) = parent.and_then(|key| self.nodes.get_mut(&key)) {
            parent.children -= 1;
        }
        let mut gone = vec![key];
        let mut removed = vec![node];
        // Children have greater keys than their parents.
        let later: Vec<Key> = self.nodes.range(key..).map(|(key, _)| *key).collect();
        for key in later {
            let is_child = self
                .nodes
                .get(&key)
                .and_then(|node| node.parent)
                .is_some_and(|parent| gone.binary_search(&parent).is_ok());
            if is_child && let Some(node) = self.nodes.remove(&key) {
                gone.push(key);
                removed.push(node);
            }
        }
        let unneeded = parent.map(|parent| self.remove_unneeded(parent));
        (removed, unneeded.unwrap_or_default())
    }

    /// Removes a derivation that is not needed, and then its parent if that is not needed either.
    fn remove_unneeded(&mut self, key: Key) -> Vec<Node> {
        let mut removed = Vec::new();
        let mut next = Some(key);
        while let Some(key) = next {
            let node = self.nodes.get(&key);
            if !node.is_some_and(|node| node.is_dropped && node.children == 0) {
                break;
            }
            let Some(node) = self.nodes.remove(&key) else {
                break;
            };
            next = node.parent;
            if let Some(parent) = node.parent.and_then(|key| self.nodes.get_mut(&key)) {
                parent.children -= 1;
            }
            removed.push(node);
        }
        removed
    }
}

/// A derivation that has just been added.
pub(crate) struct Added {
    pub(crate) key: Key,
    pub(crate) slot: Slot,
    pub(crate) derived: Option<Derived>,
}

/// Returns the error with which a stub is broken.
fn broken(stub: &Stub) -> Option<Error> {
    let error = Arc::new(Mutex::new(None));
    let callback = error.clone();
    // For a broken stub the callback runs at once.
    let guard = stub.on_broken(move |error| {
        callback
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .replace(error);
    });
    drop(guard);
    error.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Runs a closure of the application, catching its panics.
fn run(derive: &Derive, parent: Stub) -> Stub {
    catch_unwind(AssertUnwindSafe(|| derive(parent))).unwrap_or_else(|_| {
        tracing::error!(target: "capnweb", "the closure of a derivation panicked");
        Stub::broken(Error::internal())
    })
}

impl fmt::Debug for Derivations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Derivations")
            .field("nodes", &self.len())
            .finish_non_exhaustive()
    }
}
