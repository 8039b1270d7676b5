//! Epochs, and the fence that refuses old ones.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, PoisonError},
};

use capnweb_core::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::directory::Revision;

/// The number of an activation. A later activation of the same object has a greater epoch.
///
/// Store it with each durable write, and refuse writes with an older epoch than the stored one:
/// `UPDATE room SET …, epoch = $1 WHERE name = $2 AND epoch <= $1`. So an activation that does not
/// know yet that it is over cannot overwrite the work of its successor. [`Fence`] does the same for
/// a store without conditions.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Epoch(pub u64);

impl From<Revision> for Epoch {
    fn from(revision: Revision) -> Self {
        Self(revision.0)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Refuses writes of activations that are over, in front of a store in this process.
///
/// ```
/// use capnweb_cluster::{Epoch, Fence};
///
/// let fence = Fence::new();
/// assert!(fence.admit("lobby", Epoch(1)).is_ok());
/// assert!(fence.admit("lobby", Epoch(2)).is_ok());
/// // The first activation is over, although it may not know it yet.
/// assert!(fence.admit("lobby", Epoch(1)).is_err());
/// ```
#[derive(Debug, Default)]
pub struct Fence {
    latest: Mutex<HashMap<String, Epoch>>,
}

impl Fence {
    /// Creates a fence that has seen no epoch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Admits a write to the object `name` by the activation with this epoch. Hold the store's lock
    /// while calling this and writing, or an older write may come between.
    ///
    /// # Errors
    ///
    /// Fails with the code `aborted` if a later activation has written.
    pub fn admit(&self, name: &str, epoch: Epoch) -> Result<()> {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        match latest.get_mut(name) {
            Some(seen) if *seen > epoch => Err(Error::aborted(format!(
                "the activation of {name:?} with epoch {epoch} is over: epoch {seen} has written"
            ))),
            Some(seen) => {
                *seen = epoch;
                Ok(())
            }
            None => {
                latest.insert(name.to_owned(), epoch);
                Ok(())
            }
        }
    }
}
