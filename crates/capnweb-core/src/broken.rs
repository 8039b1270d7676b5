//! Callbacks for when a stub or promise breaks.

use std::sync::{
    Arc, Mutex, PoisonError, Weak,
    atomic::{AtomicU64, Ordering},
};

use crate::{
    deferred::Deferred,
    error::Error,
    hook::{Hook, Hops, Settled, Waiter},
    payload::Cap,
    session::{Import, Shared},
};

type Callback = Box<dyn FnOnce(Error) + Send>;

/// Takes an on-broken callback back when it is dropped.
///
/// See [`Stub::on_broken`](crate::Stub::on_broken). To leave the callback in place for good, call
/// [`forget`](Self::forget).
#[must_use = "dropping the guard takes the callback back"]
pub struct BrokenGuard {
    registration: Option<Arc<Registration>>,
}

impl BrokenGuard {
    /// Leaves the callback in place for as long as the stub or promise can break.
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

/// A callback, and where it is registered.
pub(crate) struct Registration {
    /// Its place among all callbacks.
    pub(crate) number: u64,
    callback: Mutex<Option<Callback>>,
    watched: Mutex<Watched>,
    session: Mutex<Weak<Shared>>,
}

/// What a callback watches. A promise that waits does not keep alive what it waits for.
#[derive(Default)]
enum Watched {
    #[default]
    Nothing,
    Hook(Hook),
    Import(Weak<Import>),
    Promise(Weak<Deferred>),
}

impl Watched {
    fn upgrade(self) -> Option<Hook> {
        match self {
            Self::Nothing => None,
            Self::Hook(hook) => Some(hook),
            Self::Import(import) => import.upgrade().map(Hook::Import),
            Self::Promise(deferred) => deferred.upgrade().map(Hook::Promise),
        }
    }
}

static NEXT_NUMBER: AtomicU64 = AtomicU64::new(1);

/// Registers `callback` for the breaking of what `hook` stands for, or will.
pub(crate) fn register(hook: Hook, callback: Callback) -> BrokenGuard {
    let registration = Arc::new(Registration {
        number: NEXT_NUMBER.fetch_add(1, Ordering::Relaxed),
        callback: Mutex::new(Some(callback)),
        watched: Mutex::new(Watched::Hook(hook)),
        session: Mutex::default(),
    });
    registration.moved();
    BrokenGuard {
        registration: Some(registration),
    }
}

impl Registration {
    /// Looks at what the hook is now, and registers where that can break.
    pub(crate) fn moved(self: &Arc<Self>) {
        let watched = std::mem::take(&mut *lock(&self.watched));
        let Some(hook) = watched.upgrade() else {
            return;
        };
        if lock(&self.callback).is_none() {
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
                    // Plain values do not break.
                    _ => return self.leave_session(),
                },
                Settled::Yes(Hook::Import(import)) => {
                    // The main stub can be dropped under the callback; the session is what breaks.
                    return self.enter_session(import.shared());
                }
                Settled::Yes(_) => return self.leave_session(),
                Settled::Not(Hook::Import(import)) => {
                    self.enter_session(import.shared());
                    *lock(&self.watched) = Watched::Import(Arc::downgrade(&import));
                    if import.watch(Waiter::Broken(self.clone())) {
                        return;
                    }
                    at = Hook::Import(import);
                }
                Settled::Not(Hook::Promise(deferred)) => {
                    *lock(&self.watched) = Watched::Promise(Arc::downgrade(&deferred));
                    if deferred.wait(&mut Some(Waiter::Broken(self.clone()))) {
                        return;
                    }
                    at = Hook::Promise(deferred);
                }
                Settled::Not(_) => return,
            }
        }
    }

    /// Whether there is still something to call.
    pub(crate) fn is_registered(&self) -> bool {
        lock(&self.callback).is_some()
    }

    /// Calls the callback, once.
    pub(crate) fn fire(&self, error: &Error) {
        let callback = lock(&self.callback).take();
        if let Some(callback) = callback {
            let error = error.clone();
            let run = std::panic::AssertUnwindSafe(|| callback(error));
            if std::panic::catch_unwind(run).is_err() {
                tracing::error!(target: "capnweb", "an on-broken callback panicked");
            }
        }
        self.leave_session();
    }

    fn cancel(&self) {
        let callback = lock(&self.callback).take();
        self.leave_session();
        drop(callback);
    }

    fn enter_session(self: &Arc<Self>, shared: &Arc<Shared>) {
        let old = std::mem::replace(&mut *lock(&self.session), Arc::downgrade(shared));
        if let Some(old) = old.upgrade() {
            if Arc::ptr_eq(&old, shared) {
                return;
            }
            old.remove_registration(self.number);
        }
        if let Some(ended) = shared.add_registration(self) {
            self.fire(&ended);
        }
    }

    fn leave_session(&self) {
        let session = std::mem::take(&mut *lock(&self.session)).upgrade();
        if let Some(session) = session {
            session.remove_registration(self.number);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Registers a callback for the end. Gives the reason if the session is over.
    fn add_registration(&self, registration: &Arc<Registration>) -> Option<Error> {
        self.with_registrations(|registrations| {
            registrations.insert(registration.number, registration.clone());
        })
    }

    fn remove_registration(&self, number: u64) {
        let mut removed = None;
        self.with_registrations(|registrations| removed = registrations.remove(&number));
        drop(removed);
    }
}
