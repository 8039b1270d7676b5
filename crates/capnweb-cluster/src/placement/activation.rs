//! An object's view of its own activation.

use std::{
    fmt,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::future::BoxFuture;

use crate::{epoch::Epoch, flag::Flag, lease::Lease};

type OnStop = Box<dyn FnOnce() -> BoxFuture<'static, ()> + Send>;

/// The life of an object on this node, from when it is activated until it stops.
///
/// Clones are handles on the same activation.
#[derive(Clone)]
pub struct Activation {
    shared: Arc<Shared>,
}

struct Shared {
    kind: String,
    name: String,
    epoch: Epoch,
    lease: Arc<Lease>,
    stopping: Flag,
    /// Set when the object is asked to stop, by itself or by its node.
    retiring: Flag,
    on_stop: Mutex<Vec<OnStop>>,
}

impl Activation {
    pub(crate) fn new(kind: &str, name: &str, epoch: Epoch, lease: Arc<Lease>) -> Self {
        Self {
            shared: Arc::new(Shared {
                kind: kind.to_owned(),
                name: name.to_owned(),
                epoch,
                lease,
                stopping: Flag::new(),
                retiring: Flag::new(),
                on_stop: Mutex::default(),
            }),
        }
    }

    /// Returns the kind of the object.
    pub fn kind(&self) -> &str {
        &self.shared.kind
    }

    /// Returns the name of the object.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Returns the epoch, which every durable write must be [fenced](Epoch) with.
    pub fn epoch(&self) -> Epoch {
        self.shared.epoch
    }

    /// Returns whether the object may still act. It may not if the node's lease is over or the
    /// object has stopped.
    ///
    /// The answer may be outdated when it arrives at a store: only the [epoch](Self::epoch)
    /// protects the object's data.
    pub fn is_active(&self) -> bool {
        self.shared.lease.is_valid() && !self.shared.stopping.is_set()
    }

    /// Waits until the object is to stop: it moves, retires, or its node has lost its lease.
    pub async fn stopping(&self) {
        tokio::select! {
            () = self.shared.stopping.wait() => {}
            () = self.shared.lease.over() => {}
        }
    }

    /// Runs `work` when the object stops as planned, after its last call and before it is activated
    /// elsewhere: for example, to save its state. It does not run if the node crashes or loses its
    /// lease.
    pub fn on_stop<F>(&self, work: impl FnOnce() -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let work: OnStop = Box::new(move || Box::pin(work()));
        let on_stop = self.shared.on_stop.lock();
        on_stop.unwrap_or_else(PoisonError::into_inner).push(work);
    }

    /// Stops the object, as when its node is drained. The next call activates it again.
    pub fn retire(&self) {
        self.shared.retiring.set();
    }

    pub(super) async fn retired(&self) {
        self.shared.retiring.wait().await;
    }

    pub(super) fn lease(&self) -> &Arc<Lease> {
        &self.shared.lease
    }

    pub(super) fn stop(&self) {
        self.shared.stopping.set();
    }

    pub(super) async fn run_on_stop(&self) {
        let work = {
            let on_stop = self.shared.on_stop.lock();
            std::mem::take(&mut *on_stop.unwrap_or_else(PoisonError::into_inner))
        };
        for work in work {
            work().await;
        }
    }
}

impl fmt::Debug for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Activation")
            .field("kind", &self.kind())
            .field("name", &self.name())
            .field("epoch", &self.epoch())
            .finish_non_exhaustive()
    }
}
