//! The targets of stubs and promises.

use std::{
    sync::{Arc, Weak},
    task::Waker,
};

use smallvec::SmallVec;

use crate::graph::{
    engine::map::Placeholder,
    error::Error,
    import::Import,
    local_object::LocalObject,
    payload::{Cap, Followed, Path, Payload},
    promise_state::PromiseState,
    remote::{GuardedCall, Notify, Peer, Place},
    stream::PipeWriter,
};

/// The target of a stub or promise. Cloning only counts a reference.
#[derive(Clone)]
pub(crate) enum Hook {
    /// An object of this process.
    Target(Arc<LocalObject>),
    /// The end of a local stream that peers write to.
    PipeWriter(Arc<PipeWriter>),
    /// Something that belongs to a peer: a stub, or the promise of a call's result.
    Import(Arc<Import>),
    /// A promise of this process.
    Promise(Arc<PromiseState>),
    /// A stub that outlives its sessions.
    Lasting(Arc<dyn Place>),
    /// The promise of a call that a slot tends.
    Call(Arc<dyn GuardedCall>),
    /// The outcome of a promise.
    Value(Payload),
    /// A promise that was rejected, or a stub whose session is over.
    Broken(Error),
    /// A placeholder for a value while a `map` is being recorded.
    Placeholder(Placeholder),
    /// A call that is being started. Its result does not exist yet, and nobody can ask for it.
    Starting,
}

/// The result of following a hook.
pub(crate) enum Settled {
    /// The end of the chain: a target, a peer's stub, a value that is not a promise, or an error.
    Yes(Hook),
    /// A hook that has not settled.
    Not(Hook),
}

impl Hook {
    /// Returns whether this is the outcome of something rather than an object.
    pub(crate) fn is_promise(&self) -> bool {
        match self {
            Self::Promise(_) | Self::Call(_) | Self::Value(_) | Self::Broken(_) => true,
            Self::Import(import) => import.is_promise(),
            Self::Target(_)
            | Self::PipeWriter(_)
            | Self::Lasting(_)
            | Self::Placeholder(_)
            | Self::Starting => false,
        }
    }

    /// Returns whether this has settled to an object, here or at a peer.
    pub(crate) fn is_stub(&self) -> bool {
        match self.follow() {
            Settled::Yes(
                Self::Target(_) | Self::PipeWriter(_) | Self::Lasting(_) | Self::Import(_),
            ) => true,
            Settled::Yes(Self::Value(payload)) => {
                matches!(payload.view().root_cap(), Some(Cap::Stub(_)))
            }
            _ => false,
        }
    }

    /// Returns the approximate cost of holding this outcome for a peer, in bytes.
    pub(crate) fn cost(&self) -> usize {
        match self {
            Self::Value(payload) => payload.cost(),
            Self::Broken(error) => error.cost(),
            _ => 0,
        }
    }

    /// Returns whether this only leads to another hook.
    pub(crate) fn is_link(&self) -> bool {
        match self {
            Self::Promise(_) | Self::Call(_) | Self::Import(_) => true,
            Self::Value(payload) => matches!(payload.view().root_cap(), Some(Cap::Promise(_))),
            _ => false,
        }
    }

    /// Returns the next hook in a chain of settled promises, or `None` at its end.
    fn next(&self) -> Option<Self> {
        match self {
            Self::Promise(deferred) => deferred.outcome(),
            Self::Import(import) => import.resolution(),
            Self::Call(call) => call.outcome(),
            Self::Value(payload) => match payload.view().root_cap()? {
                Cap::Promise(located) if located.path.is_empty() => Some(located.hook.clone()),
                _ => None,
            },
            _ => None,
        }
    }

    /// Follows settled promises to their outcome.
    pub(crate) fn follow(&self) -> Settled {
        let mut at = self.clone();
        // A peer can make promises that settle to one another. Brent's algorithm detects such a
        // cycle without storing the path.
        let (mut mark, mut steps, mut limit) = (None::<usize>, 0usize, 8usize);
        while let Some(next) = at.next() {
            steps += 1;
            if mark.is_some() && mark == next.identity() {
                return Settled::Yes(Self::Broken(cycle()));
            }
            if steps >= limit
                && let Some(identity) = next.identity()
            {
                mark = Some(identity);
                limit = steps.saturating_mul(2);
            }
            at = next;
        }
        if steps > SHORT_CHAIN {
            self.shorten(&at, steps);
        }
        match &at {
            Self::Promise(_) | Self::Call(_) => Settled::Not(at),
            Self::Import(import) if import.is_promise() => Settled::Not(at),
            Self::Value(payload) if matches!(payload.view().root_cap(), Some(Cap::Promise(_))) => {
                Settled::Not(at)
            }
            _ => Settled::Yes(at),
        }
    }

    /// Points the promises of a long chain at its end, so that the next traversal is short.
    fn shorten(&self, end: &Self, steps: usize) {
        let mut at = self.clone();
        for _ in 0..steps {
            let Some(next) = at.next() else { break };
            match &at {
                Self::Promise(deferred) => deferred.point_at(end.clone()),
                Self::Import(import) => import.point_at(end.clone()),
                _ => {}
            }
            at = next;
        }
    }

    /// Follows the hook like [`follow`](Self::follow). If a promise has settled to a property of
    /// another one, the property is read.
    pub(crate) fn settle(&self) -> Settled {
        let mut at = self.follow();
        let mut hops = Hops::default();
        while let Settled::Not(Self::Value(payload)) = &at {
            if let Err(error) = hops.hop() {
                return Settled::Yes(Self::Broken(error));
            }
            at = payload.resolve_root().follow();
        }
        at
    }

    pub(crate) fn identity(&self) -> Option<usize> {
        match self {
            Self::Promise(deferred) => Some(Arc::as_ptr(deferred).addr()),
            Self::Import(import) => Some(Arc::as_ptr(import).addr()),
            Self::Lasting(slot) => Some(Arc::as_ptr(slot).cast::<()>().addr()),
            Self::Call(call) => Some(Arc::as_ptr(call).cast::<()>().addr()),
            _ => None,
        }
    }

    /// Returns whether this is plain data, which leads to nothing.
    pub(crate) fn is_plain(&self) -> bool {
        match self {
            Self::Value(payload) => payload.is_plain(),
            Self::Starting => true,
            _ => false,
        }
    }

    /// Returns whether dropping this only frees memory. This is not certain for all plain data:
    /// long bytes may be owned by the application.
    pub(crate) fn is_text(&self) -> bool {
        match self {
            Self::Value(payload) => payload.is_text(),
            Self::Starting => true,
            _ => false,
        }
    }

    /// Returns whether both are the same object or promise.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Target(a), Self::Target(b)) => Arc::ptr_eq(a, b),
            (Self::PipeWriter(a), Self::PipeWriter(b)) => Arc::ptr_eq(a, b),
            (Self::Placeholder(a), Self::Placeholder(b)) => a.is_same(b),
            _ => self.identity().is_some() && self.identity() == other.identity(),
        }
    }

    /// Returns the batches that must be sent before this can settle.
    pub(crate) fn batches(&self) -> Vec<Arc<dyn Peer>> {
        match self {
            Self::Promise(deferred) => deferred.batches(),
            Self::Import(import) if import.peer().is_collecting() => {
                vec![import.peer().clone()]
            }
            _ => Vec::new(),
        }
    }

    /// Returns the outcome if this has settled. Otherwise registers `waiter` and returns `None`. A
    /// peer's promise is pulled.
    pub(crate) fn subscribe(&self, waiter: Waiter) -> Option<Self> {
        let mut waiter = Some(waiter);
        let mut at = self.clone();
        loop {
            match at.settle() {
                Settled::Yes(hook) => return Some(hook),
                Settled::Not(hook) => {
                    let waiting = match &hook {
                        Self::Promise(deferred) => deferred.wait(&mut waiter),
                        Self::Import(import) => import.wait(&mut waiter),
                        Self::Call(call) => call.wait(&mut waiter),
                        _ => return Some(hook),
                    };
                    if waiting {
                        return None;
                    }
                    // It has settled in the meantime.
                    at = hook;
                }
            }
        }
    }
}

/// The length up to which chains are not shortened.
const SHORT_CHAIN: usize = 16;

/// Counts steps on a path that a peer can turn into a cycle, and that is otherwise short.
#[derive(Default)]
pub(crate) struct Hops(u32);

impl Hops {
    /// Counts one step.
    ///
    /// # Errors
    ///
    /// Returns an error if there were so many steps that the path must be a cycle.
    pub(crate) fn hop(&mut self) -> Result<(), Error> {
        const MAX_HOPS: u32 = 10_000;
        self.0 += 1;
        if self.0 > MAX_HOPS {
            Err(cycle())
        } else {
            Ok(())
        }
    }
}

/// Returns the error for a promise that resolves to itself.
pub(crate) fn cycle() -> Error {
    Error::type_error("Chaining cycle detected: a promise was resolved to itself.")
}

impl Payload {
    /// Returns the hook for the outcome of a promise that resolves to this. If it is a property of
    /// another promise, it is read here once, however many wait for it.
    pub(crate) fn into_hook(self) -> Hook {
        match self.view().root_cap() {
            Some(Cap::Promise(located)) if !located.path.is_empty() => located.resolve(),
            _ => Hook::Value(self),
        }
    }

    /// Returns a hook for a payload that consists of one promise, possibly with a path.
    pub(crate) fn resolve_root(&self) -> Hook {
        match self.view().root_cap() {
            Some(Cap::Promise(located) | Cap::Stub(located)) => located.resolve(),
            _ => Hook::Value(self.clone()),
        }
    }

    /// Returns the value at the end of a path, or `Err` if the path leads to a capability.
    pub(crate) fn get(&self, path: &Path, from: usize) -> Result<Hook, (Cap, usize)> {
        match self.follow(path, from) {
            Followed::Value(span) if span == self.span() => Ok(Hook::Value(self.clone())),
            Followed::Value(span) => Ok(Hook::Value(self.view().cut(span))),
            Followed::Undefined => Ok(Hook::Value(Self::undefined())),
            Followed::Failed(error) => Ok(Hook::Broken(error)),
            Followed::Cap(cap, step) => Err((cap.clone(), step)),
        }
    }
}

/// The waiters for a promise. Usually there is one.
pub(crate) type Waiters = SmallVec<[Waiter; 1]>;

/// A waiter for a promise.
pub(crate) enum Waiter {
    /// A task.
    Task(Waker),
    /// An object that lives as long as it waits. It is notified with the token.
    Owned(Arc<dyn Notify>, u64),
    /// An object that may be dropped while it waits. It is notified with the token.
    Observer(Weak<dyn Notify>, u64),
}

impl Waiter {
    pub(crate) fn notify(self) {
        match self {
            Self::Task(waker) => waker.wake(),
            Self::Owned(waiter, token) => waiter.notify(token),
            Self::Observer(waiter, token) => {
                if let Some(waiter) = waiter.upgrade() {
                    waiter.notify(token);
                }
            }
        }
    }

    /// Returns whether the waiter still waits. A callback can be removed.
    pub(crate) fn is_alive(&self) -> bool {
        match self {
            Self::Task(_) => true,
            Self::Owned(waiter, _) => waiter.is_alive(),
            Self::Observer(waiter, _) => waiter.strong_count() > 0,
        }
    }

    /// Returns whether `other` would do the same.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        matches!((self, other), (Self::Task(a), Self::Task(b)) if a.will_wake(b))
    }
}

/// Makes room for one more waiter. Reuses the places of waiters that were removed.
///
/// All waiters are checked only when there is no room, and then the room is doubled. So each of
/// very many waiters takes no more time than each of a few.
#[inline]
pub(crate) fn make_room(waiters: &mut Waiters) {
    if waiters.len() == waiters.capacity() {
        waiters.retain(|waiter| waiter.is_alive());
        if waiters.len() > waiters.capacity() / 2 {
            waiters.reserve(waiters.len());
        }
    }
}

/// Adds a waiter, unless it is already registered.
pub(crate) fn add_waiter(waiters: &mut Waiters, waiter: &mut Option<Waiter>) {
    if let Some(new) = waiter.take() {
        // Only tasks register repeatedly.
        let known = match &new {
            Waiter::Task(_) => waiters.iter_mut().find(|old| old.is_same(&new)),
            Waiter::Owned(..) => {
                make_room(waiters);
                None
            }
            Waiter::Observer(..) => None,
        };
        if let Some(old) = known {
            // Both wake the same task, so it does not matter which one is kept. But the old one
            // must not be dropped under a lock.
            *waiter = Some(std::mem::replace(old, new));
        } else {
            waiters.push(new);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Counts the checks of whether it is alive.
    #[derive(Default)]
    struct Looked(AtomicUsize);

    impl Notify for Looked {
        fn notify(self: Arc<Self>, _: u64) {}

        fn is_alive(&self) -> bool {
            self.0.fetch_add(1, Ordering::Relaxed);
            true
        }
    }

    #[test]
    fn very_many_waiters_are_rarely_looked_at() {
        const MANY: usize = 10_000;
        let looked = Arc::new(Looked::default());
        let mut waiters = Waiters::new();
        for _ in 0..MANY {
            add_waiter(&mut waiters, &mut Some(Waiter::Owned(looked.clone(), 0)));
        }
        assert_eq!(waiters.len(), MANY);
        let looks = looked.0.load(Ordering::Relaxed);
        assert!(looks <= 2 * MANY, "{looks} looks");
    }
}
