//! The objects that live on this node.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use capnweb_core::{Error, Result, Stub};
use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared, join_all},
};
use serde::{Deserialize, Serialize};

use super::{
    Activation, Active, Kind,
    found::{ECHO_TIMEOUT, host_subject},
    gate::Gate,
};
use crate::{
    bus::BusError,
    cluster::Inner,
    directory::{DirectoryError, Revision},
    lease::{DIRECTORY_TIMEOUT, Lease, timed},
    node_id::NodeId,
    obituaries::Life,
    rights::Rights,
    token::join,
};

/// An object's entry in the directory.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ObjectEntry {
    pub(crate) node: NodeId,
}

/// An object that was opened for another node.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Opened {
    pub(crate) stub: Stub,
    pub(crate) epoch: u64,
}

type Starting = Shared<BoxFuture<'static, Result<Arc<Active>>>>;

/// The objects that live on this node, from when it joins until it loses its lease or leaves.
pub(crate) struct Objects {
    cluster: Weak<Inner>,
    node: NodeId,
    lease: Arc<Lease>,
    entries: Mutex<HashMap<(String, String), Starting>>,
    /// True once no object may be activated here any more.
    is_closed: AtomicBool,
}

impl Objects {
    pub(crate) fn new(cluster: Weak<Inner>, node: NodeId, lease: Arc<Lease>) -> Arc<Self> {
        Arc::new(Self {
            cluster,
            node,
            lease,
            entries: Mutex::default(),
            is_closed: AtomicBool::new(false),
        })
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<(String, String), Starting>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn len(&self) -> usize {
        self.entries().len()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    /// Returns whether objects of this kind are left to other hosts.
    fn is_withdrawn(&self, kind: &str) -> bool {
        let cluster = self.cluster.upgrade();
        let kind = cluster.and_then(|cluster| cluster.kinds.get(kind));
        kind.is_some_and(|kind| kind.is_withdrawn())
    }

    /// Opens an object, which is activated if it lives nowhere.
    ///
    /// # Errors
    ///
    /// Fails with the code `elsewhere` if it lives on another node, and with the factory's error.
    pub(crate) async fn open(
        self: &Arc<Self>,
        kind: &str,
        name: &str,
        rights: Rights,
    ) -> Result<Opened> {
        let active = self.active(kind, name).await?;
        let Some(object) = active.object(rights) else {
            // It is stopping. The caller finds where it lives next.
            active.moved().await;
            return Err(elsewhere());
        };
        let object = object?;
        Ok(Opened {
            stub: Gate::stub(active.clone(), rights, object),
            epoch: active.activation.epoch().0,
        })
    }

    /// Waits until the object with this epoch does not live here any more.
    pub(crate) async fn moved(&self, kind: &str, name: &str, epoch: u64) {
        let entry = self
            .entries()
            .get(&(kind.to_owned(), name.to_owned()))
            .cloned();
        if let Some(entry) = entry
            && let Ok(active) = entry.await
            && active.activation.epoch().0 == epoch
        {
            active.moved().await;
        }
    }

    async fn active(self: &Arc<Self>, kind: &str, name: &str) -> Result<Arc<Active>> {
        let key = (kind.to_owned(), name.to_owned());
        let starting = {
            let mut entries = self.entries();
            match entries.get(&key) {
                Some(starting) => starting.clone(),
                None => {
                    if self.is_closed() || self.is_withdrawn(kind) {
                        return Err(elsewhere());
                    }
                    let (objects, of) = (self.clone(), key.clone());
                    let starting = async move {
                        let activated = objects.activate(&of.0, &of.1).await;
                        if activated.is_err() {
                            objects.entries().remove(&of);
                        }
                        activated
                    };
                    let starting = starting.boxed().shared();
                    entries.insert(key, starting.clone());
                    // So that it ends even if the caller does not wait for it.
                    tokio::spawn(starting.clone());
                    starting
                }
            }
        };
        starting.await
    }

    async fn activate(self: &Arc<Self>, kind: &str, name: &str) -> Result<Arc<Active>> {
        let cluster = self.cluster.upgrade().ok_or_else(elsewhere)?;
        let hosted = cluster.kinds.get(kind).ok_or_else(|| {
            Error::not_found(format!("no object of the kind {kind:?} is hosted here"))
        })?;
        let key = object_key(&cluster.name, kind, name);
        let revision = self.claim(&cluster, &key).await?;
        let activation = Activation::new(kind, name, revision.into(), self.lease.clone());
        let made = hosted.activate(name.to_owned(), activation.clone()).await;
        let object = match made {
            Ok(object) if self.lease.is_valid() => object,
            made => {
                let delete = cluster.directory.delete(&key, revision);
                if let Err(error) = timed(delete, DIRECTORY_TIMEOUT).await {
                    tracing::debug!(%error, "the entry of a failed activation remains");
                }
                made?;
                return Err(elsewhere());
            }
        };
        tracing::debug!(kind, name, %revision, "an object is activated");
        let active = self.watch(&cluster, hosted, activation, object, key, revision);
        Ok(active)
    }

    /// Writes into the directory that an object lives here. Returns the revision, its epoch.
    async fn claim(&self, cluster: &Inner, key: &str) -> Result<Revision> {
        let value: bytes::Bytes = serde_json::to_vec(&ObjectEntry {
            node: self.node.clone(),
        })
        .unwrap_or_default()
        .into();
        let directory = &cluster.directory;
        loop {
            if !self.lease.is_valid() {
                return Err(elsewhere());
            }
            let entry = timed(directory.get(key), DIRECTORY_TIMEOUT).await?;
            let written = match entry {
                None => timed(directory.create(key, value.clone()), DIRECTORY_TIMEOUT).await,
                Some(entry) => {
                    let owner: Option<ObjectEntry> = serde_json::from_slice(&entry.value).ok();
                    if let Some(owner) = owner {
                        // An own entry is left from a write whose answer was lost.
                        let is_own = owner.node == self.node;
                        if !is_own && cluster.obituaries.look(&owner.node).await? != Life::Dead {
                            return Err(elsewhere());
                        }
                    }
                    let update = directory.update(key, value.clone(), entry.revision);
                    timed(update, DIRECTORY_TIMEOUT).await
                }
            };
            match written {
                Ok(revision) => return Ok(revision),
                Err(DirectoryError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Makes an object callable, and stops it when it retires.
    fn watch(
        self: &Arc<Self>,
        cluster: &Inner,
        kind: Arc<Kind>,
        activation: Activation,
        object: Stub,
        key: String,
        revision: Revision,
    ) -> Arc<Active> {
        let active = Active::new(activation.clone(), kind, object, self.cluster.clone());
        let limit = cluster.options.drain;
        let (objects, directory) = (Arc::downgrade(self), cluster.directory.clone());
        let watched = active.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = activation.retired() => {
                    watched.stop(limit).await;
                    let delete = timed(directory.delete(&key, revision), DIRECTORY_TIMEOUT).await;
                    if let Err(error) = delete {
                        tracing::warn!(%error, "the entry of a stopped object remains");
                    }
                }
                () = activation.lease().over() => watched.lose(),
            }
            if let Some(objects) = objects.upgrade() {
                let of = (activation.kind().to_owned(), activation.name().to_owned());
                objects.entries().remove(&of);
            }
            watched.has_moved();
        });
        active
    }

    /// Activates no more objects, and stops those that live here. Returns when they have stopped
    /// and may be activated elsewhere.
    pub(crate) async fn drain(&self, limit: Duration) {
        self.is_closed.store(true, Ordering::Release);
        self.stop(|_| true, limit).await;
    }

    /// Stops the objects that live here and whose kind is withdrawn. Returns when they have stopped
    /// and may be activated elsewhere.
    pub(crate) async fn move_withdrawn(&self, limit: Duration) {
        self.stop(|kind| self.is_withdrawn(kind), limit).await;
    }

    async fn stop(&self, is_concerned: impl Fn(&str) -> bool, limit: Duration) {
        let entries: Vec<_> = self
            .entries()
            .iter()
            .filter(|((kind, _), _)| is_concerned(kind))
            .map(|(_, entry)| entry.clone())
            .collect();
        let stopped = entries.iter().map(|entry| async move {
            if let Ok(active) = entry.clone().await {
                active.activation.retire();
                active.moved().await;
            }
        });
        // Each object has `limit` itself; what remains is lost with the lease.
        let all = tokio::time::timeout(limit + DIRECTORY_TIMEOUT, join_all(stopped));
        if all.await.is_err() {
            tracing::warn!("some objects have not stopped in time");
        }
        let active = entries
            .iter()
            .filter_map(|entry| entry.peek()?.clone().ok());
        self.forward(active.collect(), limit).await;
    }

    /// Passes calls on to where the objects live next, until all callers have learned of the move.
    async fn forward(&self, stopped: Vec<Arc<Active>>, limit: Duration) {
        let Some(cluster) = self.cluster.upgrade() else {
            return;
        };
        let followed = stopped.iter().map(|active| async {
            tokio::select! {
                () = active.released() => {}
                // There is nowhere to pass calls on to.
                () = unhosted(&cluster, active.activation.kind()) => {}
            }
        });
        let all = tokio::time::timeout(limit.min(ECHO_TIMEOUT), join_all(followed));
        if all.await.is_err() {
            tracing::debug!("some callers have not followed their objects");
        }
    }
}

/// Returns if no node hosts objects of a kind.
async fn unhosted(cluster: &Inner, kind: &str) {
    let subject = host_subject(&cluster.name, kind);
    let asked = cluster.bus.request(&subject, bytes::Bytes::new()).await;
    if asked != Err(BusError::NoSubscriber) {
        std::future::pending::<()>().await;
    }
}

/// Returns the key of an object.
pub(crate) fn object_key(cluster: &str, kind: &str, name: &str) -> String {
    join(&[cluster, "object", kind, name])
}

fn elsewhere() -> Error {
    Error::unavailable("the object does not live on this node").with_code("elsewhere")
}
