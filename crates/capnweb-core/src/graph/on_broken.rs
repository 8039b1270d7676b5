//! Callbacks for stubs and promises that break.

use std::sync::{
    Arc, Mutex, Weak,
    atomic::{AtomicU64, Ordering},
};

use crate::{
    graph::{
        error::Error,
        hook::{Hook, Hops, Settled, Waiter},
        import::Import,
        payload::Cap,
        promise_state::PromiseState,
        remote::{self, GuardedCall, Notify, OnEnd, Peer},
    },
    util::lock::LockExt,
};

type Callback = Box<dyn FnOnce(Error) + Send>;

/// Removes an on-broken callback when it is dropped.
///
/// See [`Stub::on_broken`](crate::Stub::on_broken). To keep the callback registered for good, call
/// [`forget`](Self::forget).
#[must_use = "dropping the guard takes the callback back"]
pub struct BrokenGuard {
    registration: Option<Arc<Registration>>,
}

impl BrokenGuard {
    /// Keeps the callback registered for as long as the stub or promise can break.
    pub fn forget(mut self) {
        self.registration = None;
    }
}

impl Drop for BrokenGuard {
    fn drop(&mut self) {
        if let Some(registration) = &self.registration {
            registration.cancel();
        }
    }
}

impl std::fmt::Debug for BrokenGuard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BrokenGuard")
    }
}

/// A callback, and the place where it is registered.
struct Registration {
    itself: Weak<Self>,
    /// The position among all callbacks.
    number: u64,
    callback: Mutex<Option<Callback>>,
    watched: Mutex<Watched>,
    place: Mutex<Option<Place>>,
}

/// A place where a callback is registered.
enum Place {
    Session(Weak<dyn Peer>),
    Slot(Weak<dyn remote::Place>),
}

impl Place {
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Session(a), Self::Session(b)) => std::ptr::addr_eq(a.as_ptr(), b.as_ptr()),
            (Self::Slot(a), Self::Slot(b)) => std::ptr::addr_eq(a.as_ptr(), b.as_ptr()),
            _ => false,
        }
    }

    /// Registers at this place. Returns the reason if it is already broken.
    fn add(&self, registration: &Arc<dyn OnEnd>) -> Option<Error> {
        match self {
            Self::Session(peer) => peer.upgrade()?.add_on_broken(registration),
            Self::Slot(slot) => slot.upgrade()?.add_on_broken(registration),
        }
    }

    fn remove(&self, number: u64) {
        // If the place is gone, so are its callbacks.
        match self {
            Self::Session(peer) => {
                if let Some(peer) = peer.upgrade() {
                    peer.remove_on_broken(number);
                }
            }
            Self::Slot(slot) => {
                if let Some(slot) = slot.upgrade() {
                    slot.remove_on_broken(number);
                }
            }
        }
    }
}

/// The target that a callback watches. A waiting promise does not keep its source alive.
#[derive(Default)]
enum Watched {
    #[default]
    Nothing,
    Hook(Hook),
    Import(Weak<Import>),
    Promise(Weak<PromiseState>),
    Call(Weak<dyn GuardedCall>),
}

impl Watched {
    fn upgrade(self) -> Option<Hook> {
        match self {
            Self::Nothing => None,
            Self::Hook(hook) => Some(hook),
            Self::Import(import) => import.upgrade().map(Hook::Import),
            Self::Promise(deferred) => deferred.upgrade().map(Hook::Promise),
            Self::Call(call) => call.upgrade().map(Hook::Call),
        }
    }
}

/// Returns a number after all existing ones.
pub(crate) fn next_number() -> u64 {
    static NEXT_NUMBER: AtomicU64 = AtomicU64::new(1);
    NEXT_NUMBER.fetch_add(1, Ordering::Relaxed)
}

/// Registers `callback` for the breaking of the current or later target of `hook`.
pub(crate) fn register(hook: Hook, callback: Callback) -> BrokenGuard {
    let registration = Arc::new_cyclic(|itself| Registration {
        itself: itself.clone(),
        number: next_number(),
        callback: Mutex::new(Some(callback)),
        watched: Mutex::new(Watched::Hook(hook)),
        place: Mutex::default(),
    });
    registration.moved();
    BrokenGuard {
        registration: Some(registration),
    }
}

impl Registration {
    /// Checks the current target of the hook, and registers where that can break.
    fn moved(self: &Arc<Self>) {
        let watched = std::mem::take(&mut *self.watched.acquire());
        let Some(hook) = watched.upgrade() else {
            return;
        };
        if self.callback.acquire().is_none() {
            return;
        }
        let mut at = hook;
        let mut hops = Hops::default();
        loop {
            if let Err(error) = hops.hop() {
                return self.fire(&error);
            }
            match at.settle() {
                Settled::Yes(Hook::Broken(error)) => return self.fire(&error),
                Settled::Yes(Hook::Value(payload)) => match payload.view().root_cap() {
                    Some(Cap::Stub(located)) if located.path.is_empty() => {
                        at = located.hook.clone();
                    }
                    // Plain values cannot break.
                    _ => return self.leave(),
                },
                Settled::Yes(Hook::Import(import)) => {
                    // The main stub can be dropped before the callback runs, but the session is
                    // what breaks.
                    *self.watched.acquire() = Watched::Import(Arc::downgrade(&import));
                    return self.enter(Place::Session(Arc::downgrade(import.peer())));
                }
                Settled::Yes(Hook::Lasting(slot)) => {
                    // The slot outlives its content.
                    return self.enter(Place::Slot(Arc::downgrade(&slot)));
                }
                Settled::Yes(_) => return self.leave(),
                Settled::Not(Hook::Import(import)) => {
                    self.enter(Place::Session(Arc::downgrade(import.peer())));
                    *self.watched.acquire() = Watched::Import(Arc::downgrade(&import));
                    if import.watch(Waiter::Owned(self.clone(), 0)) {
                        return;
                    }
                    at = Hook::Import(import);
                }
                Settled::Not(Hook::Promise(deferred)) => {
                    *self.watched.acquire() = Watched::Promise(Arc::downgrade(&deferred));
                    if deferred.wait(&mut Some(Waiter::Owned(self.clone(), 0))) {
                        return;
                    }
                    at = Hook::Promise(deferred);
                }
                Settled::Not(Hook::Call(call)) => {
                    *self.watched.acquire() = Watched::Call(Arc::downgrade(&call));
                    if call.watch(Waiter::Owned(self.clone(), 0)) {
                        return;
                    }
                    at = Hook::Call(call);
                }
                Settled::Not(_) => return,
            }
        }
    }

    /// Runs the callback once.
    fn fire(&self, error: &Error) {
        let callback = self.callback.acquire().take();
        if let Some(callback) = callback {
            let error = error.clone();
            let run = std::panic::AssertUnwindSafe(|| callback(error));
            if std::panic::catch_unwind(run).is_err() {
                tracing::error!(target: "capnweb", "an on-broken callback panicked");
            }
        }
        self.leave();
    }

    fn cancel(&self) {
        let callback = self.callback.acquire().take();
        self.leave();
        drop(callback);
    }

    fn enter(self: &Arc<Self>, place: Place) {
        let mut current = self.place.acquire();
        if current.as_ref().is_some_and(|old| old.is_same(&place)) {
            return;
        }
        let this: Arc<dyn OnEnd> = self.clone();
        let old = current.take();
        drop(current);
        if let Some(old) = old {
            old.remove(self.number);
        }
        let ended = place.add(&this);
        *self.place.acquire() = Some(place);
        if let Some(ended) = ended {
            self.fire(&ended);
        }
    }

    fn leave(&self) {
        let place = self.place.acquire().take();
        if let Some(place) = place {
            place.remove(self.number);
        }
    }
}

impl OnEnd for Registration {
    fn number(&self) -> u64 {
        self.number
    }

    fn ended(&self, reason: &Error) {
        let is_elsewhere = match &*self.watched.acquire() {
            Watched::Import(import) => import.upgrade().is_some_and(|import| {
                let end = import.resolution();
                !import.is_promise() && !matches!(end, None | Some(Hook::Broken(_)))
            }),
            _ => false,
        };
        match self.itself.upgrade() {
            // The stub was pointed elsewhere before its session ended.
            Some(itself) if is_elsewhere => itself.moved(),
            _ => self.fire(reason),
        }
    }
}

impl Notify for Registration {
    fn notify(self: Arc<Self>, _: u64) {
        self.moved();
    }

    fn is_alive(&self) -> bool {
        self.callback.acquire().is_some()
    }
}
