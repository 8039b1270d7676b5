//! The kinds of objects that a node hosts.

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    marker::PhantomData,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use capnweb_core::{Accepts, Error, Payload, Result, Stub, StubType};
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use super::Activation;
use crate::rights::Rights;

/// A function that activates objects of a kind, for the stub `T` of their interface.
///
/// Implemented by every `Fn(String, Activation)` that returns a future of the object, or of a stub.
/// `M` distinguishes the kinds of results, and is inferred.
pub trait Activate<T, M>: Send + Sync + 'static {
    /// Activates the object with this name.
    fn activate(&self, name: String, here: Activation) -> BoxFuture<'static, Result<Stub>>;
}

impl<T, M, F, R, A> Activate<T, M> for F
where
    F: Fn(String, Activation) -> R + Send + Sync + 'static,
    R: Future<Output = Result<A>> + Send + 'static,
    T: StubType + Accepts<A, M> + 'static,
{
    fn activate(&self, name: String, here: Activation) -> BoxFuture<'static, Result<Stub>> {
        let object = self(name, here);
        Box::pin(async move {
            let object = object.await?;
            Payload::encode(&T::wire(object))?.decode()
        })
    }
}

type Factory = Box<dyn Fn(String, Activation) -> BoxFuture<'static, Result<Stub>> + Send + Sync>;
type Restrict = Arc<dyn Fn(Stub, Rights) -> Result<Stub> + Send + Sync>;

/// A kind of objects.
pub(crate) struct Kind {
    pub(crate) name: String,
    factory: Factory,
    restrict: Mutex<Option<Restrict>>,
    /// True if a random host activates an object, and not the first caller's node.
    is_spread: AtomicBool,
    /// True while this node leaves objects of this kind to other hosts.
    withdrawn: watch::Sender<bool>,
}

impl Kind {
    fn restriction(&self) -> MutexGuard<'_, Option<Restrict>> {
        self.restrict.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_spread(&self) -> bool {
        self.is_spread.load(Ordering::Relaxed)
    }

    pub(super) fn is_withdrawn(&self) -> bool {
        *self.withdrawn.borrow()
    }

    /// Sets whether this node leaves objects of this kind to other hosts.
    pub(crate) fn withdraw(&self, is_withdrawn: bool) {
        self.withdrawn.send_replace(is_withdrawn);
    }

    /// Waits until this node leaves objects of this kind to other hosts, or no longer does.
    pub(crate) async fn until_withdrawn(&self, expected: bool) {
        let mut withdrawn = self.withdrawn.subscribe();
        // It fails if the sender is dropped, which `self` holds.
        let _ = withdrawn.wait_for(|now| *now == expected).await;
    }

    pub(super) fn activate(
        &self,
        name: String,
        here: Activation,
    ) -> BoxFuture<'static, Result<Stub>> {
        (self.factory)(name, here)
    }

    /// Returns the object with only these rights.
    pub(super) fn restrict(&self, object: Stub, rights: Rights) -> Result<Stub> {
        if rights == Rights::ALL {
            return Ok(object);
        }
        let restrict = self.restriction().clone();
        match restrict {
            Some(restrict) => restrict(object, rights),
            None => Err(Error::permission_denied(format!(
                "objects of the kind {:?} cannot be restricted to some rights",
                self.name
            ))),
        }
    }
}

/// The kinds that this node hosts.
pub(crate) struct Kinds {
    kinds: Mutex<HashMap<String, Arc<Kind>>>,
    /// Counts the changes.
    pub(crate) changes: watch::Sender<u64>,
}

impl Kinds {
    pub(crate) fn new() -> Self {
        Self {
            kinds: Mutex::default(),
            changes: watch::Sender::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Kind>>> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, kind: &str) -> Option<Arc<Kind>> {
        self.lock().get(kind).cloned()
    }

    pub(crate) fn clear(&self) {
        let kinds = std::mem::take(&mut *self.lock());
        drop(kinds);
    }

    pub(crate) fn all(&self) -> Vec<Arc<Kind>> {
        self.lock().values().cloned().collect()
    }

    pub(crate) fn add<T: 'static, M: 'static>(
        &self,
        name: &str,
        factory: impl Activate<T, M>,
    ) -> Hosting<T> {
        let kind = Arc::new(Kind {
            name: name.to_owned(),
            factory: Box::new(move |name, here| factory.activate(name, here)),
            restrict: Mutex::default(),
            is_spread: AtomicBool::new(false),
            withdrawn: watch::Sender::new(false),
        });
        let replaced = self.lock().insert(name.to_owned(), kind.clone());
        drop(replaced);
        self.changes.send_modify(|changes| *changes += 1);
        Hosting {
            kind,
            stub: PhantomData,
        }
    }
}

/// A kind of objects that this node hosts, for further settings. Dropping it changes nothing.
pub struct Hosting<T> {
    kind: Arc<Kind>,
    stub: PhantomData<fn() -> T>,
}

impl<T: StubType + 'static> Hosting<T> {
    /// Activates objects on a random node that hosts this kind. By default, an object is activated
    /// on the node that calls it first, if that node hosts the kind: its calls are the fastest, but
    /// a node that all callers use gets all objects.
    ///
    /// It applies to the calls of this node, so all nodes should set it.
    pub fn spread(self) -> Self {
        self.kind.is_spread.store(true, Ordering::Relaxed);
        self
    }

    /// Sets a function that restricts an object to some rights, for example by wrapping it in an
    /// object with fewer methods. It runs on the object's node.
    ///
    /// Without one, only references with [`Rights::ALL`] can be restored.
    pub fn restrict(
        self,
        restrict: impl Fn(T, Rights) -> Result<T> + Send + Sync + 'static,
    ) -> Self {
        let restrict: Restrict = Arc::new(move |stub, rights| {
            restrict(T::from_stub(stub), rights).map(StubType::into_stub)
        });
        *self.kind.restriction() = Some(restrict);
        self
    }
}

impl<T> fmt::Debug for Hosting<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hosting")
            .field("kind", &self.kind.name)
            .finish_non_exhaustive()
    }
}
