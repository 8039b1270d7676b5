//! What stands behind a stub or promise.

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

/// What stands behind a stub or promise. Cloning counts a reference and does nothing else.
#[derive(Clone)]
pub(crate) enum Hook {
    /// An object of this process.
    Target(Arc<LocalObject>),
    /// The end of a stream of this process that peers write to.
    PipeWriter(Arc<PipeWriter>),
    /// Something of a peer's: a stub, or the promise of a call's result.
    Import(Arc<Import>),
    /// A promise of this process.
    Promise(Arc<PromiseState>),
    /// A stub that outlives the sessions that it leads to.
    Lasting(Arc<dyn Place>),
    /// The promise of a call that a slot looks after.
    Call(Arc<dyn GuardedCall>),
    /// The outcome of a promise.
    Value(Payload),
    /// A promise that was rejected, or a stub whose session is over.
    Broken(Error),
    /// Stands for a value while a `map` is recorded.
    Placeholder(Placeholder),
    /// A call that is being started: its result is not there yet, nor can anyone ask for it.
    Starting,
}

/// How far a hook could be followed.
pub(crate) enum Settled {
    /// All the way: a target, a stub of a peer's, a value that is no promise, or an error.
    Yes(Hook),
    /// To this, which has not settled.
    Not(Hook),
}

impl Hook {
    /// Whether this stands for the outcome of something, rather than for an object.
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

    /// Whether this has settled to an object, here or at a peer.
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

    /// Returns the rough cost of holding this outcome for a peer, in bytes.
    pub(crate) fn cost(&self) -> usize {
        match self {
            Self::Value(payload) => payload.cost(),
            Self::Broken(error) => error.cost(),
            _ => 0,
        }
    }

    /// Returns whether this stands for what another hook stands for.
    pub(crate) fn is_link(&self) -> bool {
        match self {
            Self::Promise(_) | Self::Call(_) | Self::Import(_) => true,
            Self::Value(payload) => matches!(payload.view().root_cap(), Some(Cap::Promise(_))),
            _ => false,
        }
    }

    /// One step along a chain of promises that have settled; `None` at its end.
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

    /// Follows settled promises to what they have settled to.
    pub(crate) fn follow(&self) -> Settled {
        let mut at = self.clone();
        // A peer can make promises that settle to one another. Brent's method finds the cycle
        // without remembering the way.
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

    /// Lets the promises of a long chain point at its end, so that the next walk is short.
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

    /// As [`follow`](Self::follow), but where a promise has settled to a property of another one,
    /// that is asked for.
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

    /// Whether this is plain data, which leads to nothing.
    pub(crate) fn is_plain(&self) -> bool {
        match self {
            Self::Value(payload) => payload.is_plain(),
            Self::Starting => true,
            _ => false,
        }
    }

    /// Whether dropping this can drop nothing but memory. Of plain data that is not sure: the owner of long bytes can be
    /// anything of the application's.
    pub(crate) fn is_text(&self) -> bool {
        match self {
            Self::Value(payload) => payload.is_text(),
            Self::Starting => true,
            _ => false,
        }
    }

    /// Whether both are the same object or promise.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Target(a), Self::Target(b)) => Arc::ptr_eq(a, b),
            (Self::PipeWriter(a), Self::PipeWriter(b)) => Arc::ptr_eq(a, b),
            (Self::Placeholder(a), Self::Placeholder(b)) => a.is_same(b),
            _ => self.identity().is_some() && self.identity() == other.identity(),
        }
    }

    /// Batches of messages that have to be sent for this, which has not settled, to settle.
    pub(crate) fn batches(&self) -> Vec<Arc<dyn Peer>> {
        match self {
            Self::Promise(deferred) => deferred.batches(),
            Self::Import(import) if import.peer().is_collecting() => {
                vec![import.peer().clone()]
            }
            _ => Vec::new(),
        }
    }

    /// Waits for this to settle: gives what it settled to, or registers `waiter` and gives nothing.
    /// A peer's promise is pulled.
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
                    // It has settled meanwhile.
                    at = hook;
                }
            }
        }
    }
}

/// Chains up to this long are walked again each time.
const SHORT_CHAIN: usize = 16;

/// Counts steps on a way that a peer can bend into a circle, and that cannot be long otherwise.
#[derive(Default)]
pub(crate) struct Hops(u32);

impl Hops {
    /// One more.
    ///
    /// # Errors
    ///
    /// If there have been so many that it has to be a circle.
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

/// What a promise is rejected with that waits for itself.
pub(crate) fn cycle() -> Error {
    Error::type_error("Chaining cycle detected: a promise was resolved to itself.")
}

impl Payload {
    /// The outcome of a promise, for which this was given. If it is a property of another promise,
    /// that is asked for here, once, however many then wait for it.
    pub(crate) fn into_hook(self) -> Hook {
        match self.view().root_cap() {
            Some(Cap::Promise(located)) if !located.path.is_empty() => located.resolve(),
            _ => Hook::Value(self),
        }
    }

    /// For a payload that is one promise, perhaps with a path: a hook for that.
    pub(crate) fn resolve_root(&self) -> Hook {
        match self.view().root_cap() {
            Some(Cap::Promise(located) | Cap::Stub(located)) => located.resolve(),
            _ => Hook::Value(self.clone()),
        }
    }

    /// Where a path leads, as a value of its own; `Err` if it leads to a capability.
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

/// Those who wait for a promise to settle: mostly it is one.
pub(crate) type Waiters = SmallVec<[Waiter; 1]>;

/// Someone who waits for a promise to settle.
pub(crate) enum Waiter {
    /// A task.
    Task(Waker),
    /// Something that lives for as long as it waits, told with this token.
    Owned(Arc<dyn Notify>, u64),
    /// Something that may be gone by then, told with this token.
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

    /// Returns whether this still waits: a callback can be taken back.
    pub(crate) fn is_alive(&self) -> bool {
        match self {
            Self::Task(_) => true,
            Self::Owned(waiter, _) => waiter.is_alive(),
            Self::Observer(waiter, _) => waiter.strong_count() > 0,
        }
    }

    /// Whether `other` would do the same.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        matches!((self, other), (Self::Task(a), Self::Task(b)) if a.will_wake(b))
    }
}

/// Makes room for one more waiter. Some can be gone: their places serve again.
///
/// All are looked at only when there is no room, and then there is room for as many as there are. So
/// very many waiters take no more time each than few do.
#[inline]
pub(crate) fn make_room(waiters: &mut Waiters) {
    if waiters.len() == waiters.capacity() {
        waiters.retain(|waiter| waiter.is_alive());
        if waiters.len() > waiters.capacity() / 2 {
            waiters.reserve(waiters.len());
        }
    }
}

/// Adds a waiter, unless it is there already.
pub(crate) fn add_waiter(waiters: &mut Waiters, waiter: &mut Option<Waiter>) {
    if let Some(new) = waiter.take() {
        // Only tasks come more than once.
        let known = match &new {
            Waiter::Task(_) => waiters.iter_mut().find(|old| old.is_same(&new)),
            Waiter::Owned(..) => {
                make_room(waiters);
                None
            }
            Waiter::Observer(..) => None,
        };
        if let Some(old) = known {
            // Both wake the same task, so it does not matter which one is dropped; but the one
            // here may not be dropped under a lock.
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

    /// Counts how often it is looked at.
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
