//! An object that lives on this node.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use capnweb_core::{Error, Stub};
use tokio::sync::watch;

use super::{Activation, Kind, ObjectKey};
use crate::{cluster::Inner, flag::Flag, rights::Rights};

/// An object that lives on this node, behind its gates.
pub(crate) struct Active {
    pub(crate) activation: Activation,
    kind: Arc<Kind>,
    phase: Mutex<Phase>,
    /// The number of calls that are not answered.
    calls: AtomicUsize,
    idle: watch::Sender<()>,
    /// The number of gates that somebody holds.
    pub(super) gates: watch::Sender<usize>,
    /// True once the directory knows that the object does not live here any more.
    moved: Flag,
    cluster: Weak<Inner>,
}

enum Phase {
    /// Calls go to the object.
    Running(Stub),
    /// Calls go to where the object lives next: the stubs for this, which keep their order.
    Moving(HashMap<Rights, Stub>),
    /// The lease is lost: no call may be answered.
    Lost,
}

/// The destination of a call.
pub(super) enum Way {
    Object(CallGuard),
    Elsewhere(Stub),
    /// The node has lost its lease: the call must not be answered.
    Lost,
}

/// Counts a call until it is answered.
pub(super) struct CallGuard(Arc<Active>);

impl Drop for CallGuard {
    fn drop(&mut self) {
        if self.0.calls.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.idle.send_replace(());
        }
    }
}

impl Active {
    pub(super) fn new(
        activation: Activation,
        kind: Arc<Kind>,
        object: Stub,
        cluster: Weak<Inner>,
    ) -> Arc<Self> {
        Arc::new(Self {
            activation,
            kind,
            phase: Mutex::new(Phase::Running(object)),
            calls: AtomicUsize::new(0),
            idle: watch::Sender::new(()),
            gates: watch::Sender::new(0),
            moved: Flag::new(),
            cluster,
        })
    }

    fn phase(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the object with these rights, or `None` if it does not live here any more.
    pub(super) fn object(&self, rights: Rights) -> Option<capnweb_core::Result<Stub>> {
        let object = match &*self.phase() {
            Phase::Running(object) => object.clone(),
            _ => return None,
        };
        Some(self.kind.restrict(object, rights))
    }

    /// Decides where a call with these rights goes.
    pub(super) fn way(self: &Arc<Self>, rights: Rights) -> Way {
        let mut phase = self.phase();
        match &mut *phase {
            Phase::Running(_) if self.activation.lease().is_valid() => {
                self.calls.fetch_add(1, Ordering::AcqRel);
                Way::Object(CallGuard(self.clone()))
            }
            Phase::Running(_) | Phase::Lost => Way::Lost,
            Phase::Moving(next) => {
                if let Some(stub) = next.get(&rights) {
                    return Way::Elsewhere(stub.clone());
                }
                let Some(cluster) = self.cluster.upgrade() else {
                    return Way::Lost;
                };
                // The shared stub of this node may still refer to this gate.
                let stub = cluster.unshared_stub(ObjectKey {
                    kind: self.activation.kind().to_owned(),
                    name: self.activation.name().to_owned(),
                    rights,
                });
                next.insert(rights, stub.clone());
                Way::Elsewhere(stub)
            }
        }
    }

    /// Waits until the object does not live here any more.
    pub(super) async fn moved(&self) {
        self.moved.wait().await;
    }

    /// Waits until nobody can call the object through this node any more.
    pub(super) async fn released(&self) {
        let mut gates = self.gates.subscribe();
        // The sender is in `self`.
        let _ = gates.wait_for(|gates| *gates == 0).await;
    }

    /// Stops the object as planned: later calls wait for where it lives next, and earlier ones
    /// finish, up to `limit`.
    pub(super) async fn stop(&self, limit: Duration) {
        let object = {
            let mut phase = self.phase();
            if !matches!(&*phase, Phase::Running(_)) {
                return;
            }
            std::mem::replace(&mut *phase, Phase::Moving(HashMap::new()))
        };
        self.activation.stop();
        let mut idle = self.idle.subscribe();
        let finished = async {
            while self.calls.load(Ordering::Acquire) > 0 {
                if idle.changed().await.is_err() {
                    break;
                }
            }
            self.activation.run_on_stop().await;
        };
        if tokio::time::timeout(limit, finished).await.is_err() {
            tracing::warn!(activation = ?self.activation, "an object has not stopped in time");
        }
        drop(object);
    }

    /// Tells whoever waits that the object does not live here any more.
    pub(super) fn has_moved(&self) {
        self.moved.set();
    }

    /// Stops the object at once, since the node has lost its lease.
    pub(super) fn lose(&self) {
        let lost = std::mem::replace(&mut *self.phase(), Phase::Lost);
        self.activation.stop();
        drop(lost);
    }
}

/// Returns the error of calls on an object whose node has lost its lease.
pub(super) fn lost() -> Error {
    Error::disconnected("the node has lost its lease").with_code("unavailable")
}
