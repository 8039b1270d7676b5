//! Nodes that may have died.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use capnweb_core::Result;
use tokio::time::Instant;

use crate::{
    directory::{Directory, DirectoryError, Revision},
    lease::{DIRECTORY_TIMEOUT, LeaseEntry, timed},
    node_id::NodeId,
    token::join,
};

/// Decides whether a node has lost its lease.
///
/// A node that cannot be reached may still act for its objects. It has lost its lease when its
/// entry has kept the same revision for the length of the lease: then the entry is deleted, which
/// is final, since the node cannot renew what does not exist.
pub(crate) struct Obituaries {
    directory: Arc<dyn Directory>,
    cluster: String,
    /// The revisions that were seen last, with the time at which each was seen first.
    seen: Mutex<HashMap<NodeId, (Revision, Instant)>>,
}

/// The answer to whether a node lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// The node has a lease, at least for this time if it is not renewed.
    Leased(Duration),
    /// The node has no lease and gets none.
    Dead,
}

impl Obituaries {
    pub(crate) fn new(directory: Arc<dyn Directory>, cluster: &str) -> Self {
        Self {
            directory,
            cluster: cluster.to_owned(),
            seen: Mutex::default(),
        }
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<NodeId, (Revision, Instant)>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks whether `node` lives.
    ///
    /// # Errors
    ///
    /// Fails if the directory does not answer.
    pub(crate) async fn look(&self, node: &NodeId) -> Result<Life> {
        let key = lease_key(&self.cluster, node);
        let entry = timed(self.directory.get(&key), DIRECTORY_TIMEOUT).await?;
        let Some(entry) = entry else {
            self.seen().remove(node);
            return Ok(Life::Dead);
        };
        let now = Instant::now();
        let since = {
            let mut seen = self.seen();
            let seen = seen.entry(node.clone()).or_insert((entry.revision, now));
            if seen.0 != entry.revision {
                *seen = (entry.revision, now);
            }
            seen.1
        };
        let length = match serde_json::from_slice::<LeaseEntry>(&entry.value) {
            Ok(entry) => entry.length(),
            Err(error) => {
                let reason = format!("the lease of {node} is malformed: {error}");
                return Err(DirectoryError::Unavailable(reason).into());
            }
        };
        let waited = now - since;
        if waited < length {
            return Ok(Life::Leased(length - waited));
        }
        match timed(
            self.directory.delete(&key, entry.revision),
            DIRECTORY_TIMEOUT,
        )
        .await
        {
            Ok(()) => {
                tracing::info!(%node, "a node has lost its lease");
                self.seen().remove(node);
                Ok(Life::Dead)
            }
            Err(DirectoryError::Conflict) => Ok(Life::Leased(Duration::ZERO)),
            Err(error) => Err(error.into()),
        }
    }

    /// Forgets when `node` was seen, since it can be reached again.
    pub(crate) fn forget(&self, node: &NodeId) {
        self.seen().remove(node);
    }
}

/// Returns the key of a node's lease.
pub(crate) fn lease_key(cluster: &str, node: &NodeId) -> String {
    join(&[cluster, "node", node.as_str()])
}
