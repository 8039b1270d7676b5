//! The lease of a node, under which it may hold objects.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use capnweb_core::{Error, Result};
use serde::{Deserialize, Serialize};
use tokio::{sync::oneshot, time::Instant};

use crate::{
    directory::{Answering, Directory, DirectoryError, Revision},
    flag::Flag,
    node_id::NodeId,
};

/// A node's entry in the directory, which others observe to learn whether the node lives.
///
/// Each renewal is a write, so the entry's revision changes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LeaseEntry {
    pub(crate) node: NodeId,
    /// The length of the lease, in milliseconds.
    pub(crate) length: u64,
}

impl LeaseEntry {
    pub(crate) fn length(&self) -> Duration {
        Duration::from_millis(self.length)
    }
}

/// The time limit for one operation of the directory.
pub(crate) const DIRECTORY_TIMEOUT: Duration = Duration::from_secs(2);

/// Waits for the directory's answer, for a limited time.
pub(crate) async fn timed<T>(
    answer: Answering<T>,
    limit: Duration,
) -> std::result::Result<T, DirectoryError> {
    match tokio::time::timeout(limit, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(DirectoryError::Unavailable(format!(
            "it has not answered within {limit:?}"
        ))),
    }
}

/// The lease of this node. Time is measured by the monotonic clock of each side: this node counts
/// from before a renewal is sent, and observers count from after they have read it.
#[derive(Debug)]
pub(crate) struct Lease {
    until: Mutex<Instant>,
    over: Flag,
}

impl Lease {
    fn until(&self) -> MutexGuard<'_, Instant> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether the node may act for its objects.
    pub(crate) fn is_valid(&self) -> bool {
        !self.over.is_set() && Instant::now() < *self.until()
    }

    /// Waits until the lease is lost or released.
    pub(crate) async fn over(&self) {
        self.over.wait().await;
    }

    /// Acquires the lease of `node`.
    ///
    /// # Errors
    ///
    /// Fails if the directory does not answer.
    pub(crate) async fn acquire(
        directory: Arc<dyn Directory>,
        key: String,
        node: &NodeId,
        length: Duration,
    ) -> Result<(Arc<Self>, Renewal)> {
        let entry = LeaseEntry {
            node: node.clone(),
            length: u64::try_from(length.as_millis()).unwrap_or(u64::MAX),
        };
        let value: Bytes = serde_json::to_vec(&entry)
            .map_err(|error| Error::new(error.to_string()))?
            .into();
        let begun = Instant::now();
        let created = timed(directory.create(&key, value.clone()), DIRECTORY_TIMEOUT);
        let revision = created.await?;
        let lease = Arc::new(Self {
            until: Mutex::new(begun + usable(length)),
            over: Flag::new(),
        });
        let renewal = Renewal {
            directory,
            key,
            value,
            revision,
            renewed: begun,
            length,
            lease: lease.clone(),
        };
        Ok((lease, renewal))
    }
}

/// Returns the part of the lease in which the node may act. The rest covers clocks that run at
/// different speeds.
fn usable(length: Duration) -> Duration {
    length - length / 10
}

/// The work of keeping a lease.
pub(crate) struct Renewal {
    directory: Arc<dyn Directory>,
    key: String,
    value: Bytes,
    revision: Revision,
    renewed: Instant,
    length: Duration,
    lease: Arc<Lease>,
}

impl Renewal {
    /// Renews the lease until it is lost, or until `release` is sent and the entry is deleted.
    pub(crate) async fn run(mut self, mut release: oneshot::Receiver<()>) {
        let mut pause = self.length / 3;
        loop {
            let next = (self.renewed + pause).min(self.end());
            let next = next.max(Instant::now());
            tokio::select! {
                released = &mut release => {
                    self.lease.over.set();
                    if released.is_ok() {
                        // If it fails, others wait for the end of the lease.
                        let _ = timed(self.directory.delete(&self.key, self.revision), DIRECTORY_TIMEOUT).await;
                    }
                    return;
                }
                () = tokio::time::sleep_until(next) => {}
            }
            if Instant::now() >= self.end() {
                break;
            }
            let begun = Instant::now();
            match self.renew().await {
                Ok(revision) => {
                    self.revision = revision;
                    self.renewed = begun;
                    *self.lease.until() = begun + usable(self.length);
                    pause = self.length / 3;
                }
                Err(DirectoryError::Conflict) => match self.look().await {
                    Some(revision) if revision != self.revision => {
                        // An earlier renewal was done whose answer was lost.
                        self.revision = revision;
                        pause = Instant::now() - self.renewed;
                    }
                    _ => break,
                },
                Err(error) => {
                    tracing::warn!(%error, "the lease was not renewed");
                    pause = (Instant::now() - self.renewed) + self.length / 20;
                }
            }
        }
        tracing::warn!("the lease of this node is lost");
        self.lease.over.set();
    }

    fn end(&self) -> Instant {
        self.renewed + usable(self.length)
    }

    async fn renew(&self) -> std::result::Result<Revision, DirectoryError> {
        let limit = (self.length / 3).min(self.end().saturating_duration_since(Instant::now()));
        let (key, value) = (&self.key, self.value.clone());
        timed(self.directory.update(key, value, self.revision), limit).await
    }

    /// Returns the revision of the entry, if it is this node's.
    async fn look(&self) -> Option<Revision> {
        let limit = self.end().saturating_duration_since(Instant::now());
        match timed(self.directory.get(&self.key), limit).await {
            Ok(entry) => entry.map(|entry| entry.revision),
            // Not known: the next renewal will conflict again.
            Err(_) => Some(Revision(u64::MAX)),
        }
    }
}
