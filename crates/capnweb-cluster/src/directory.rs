//! The directory, which records where objects live.

use std::fmt;

use bytes::Bytes;
use capnweb_core::Error;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

/// The number of a write to the directory. Later writes to a key have greater revisions, also
/// after the key was deleted in between.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Revision(pub u64);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The value of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// The value.
    pub value: Bytes,
    /// The revision of the write.
    pub revision: Revision,
}

impl Entry {
    /// Creates an entry, for directories.
    pub fn new(value: impl Into<Bytes>, revision: Revision) -> Self {
        Self {
            value: value.into(),
            revision,
        }
    }
}

/// The reason why a write to the directory failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DirectoryError {
    /// Another write came first: the key exists, or has another revision.
    Conflict,
    /// The directory cannot be reached or has failed, for this reason. A write may have been done.
    Unavailable(String),
}

impl fmt::Display for DirectoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict => f.write_str("another write to the directory came first"),
            Self::Unavailable(reason) => write!(f, "the directory is unavailable: {reason}"),
        }
    }
}

impl std::error::Error for DirectoryError {}

impl From<DirectoryError> for Error {
    fn from(error: DirectoryError) -> Self {
        Self::disconnected(error.to_string())
            .with_code("unavailable")
            .with_may_have_run(false)
    }
}

/// A future of a directory's answer.
pub type Answering<T> = BoxFuture<'static, Result<T, DirectoryError>>;

/// A store of keys with compare-and-set, which records where objects live.
///
/// Reads and writes of one key must be linearizable. If the directory can lose a write, two nodes
/// may hold an object at the same time; [fencing](crate::Fence) then protects the object's data.
///
/// Keys are tokens of `A-Z a-z 0-9 _ = -`, separated by dots.
pub trait Directory: Send + Sync + 'static {
    /// Returns the entry of a key.
    fn get(&self, key: &str) -> Answering<Option<Entry>>;

    /// Creates a key. Fails with [`DirectoryError::Conflict`] if it exists.
    fn create(&self, key: &str, value: Bytes) -> Answering<Revision>;

    /// Sets the value of a key whose revision is `expected`. Fails with
    /// [`DirectoryError::Conflict`] if it has another one or does not exist.
    fn update(&self, key: &str, value: Bytes, expected: Revision) -> Answering<Revision>;

    /// Deletes a key whose revision is `expected`. Fails with [`DirectoryError::Conflict`] if it
    /// has another one or does not exist.
    fn delete(&self, key: &str, expected: Revision) -> Answering<()>;
}
