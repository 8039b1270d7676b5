//! Sturdy references: sealed texts that are restored to stubs on any node.

mod content;
mod keyring;

use std::{
    fmt,
    str::FromStr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use capnweb_core::{Error, Result};
use serde::{Deserialize, Serialize};

pub(crate) use self::content::Content;
pub use self::keyring::Keyring;

/// A reference to an object as a text, which outlives sessions, nodes and restarts.
///
/// It is encrypted and authenticated: its holder learns nothing from it and cannot change it. Who
/// has the text has the rights in it, so treat it like a password. The text is safe in URLs.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SturdyRef(String);

impl SturdyRef {
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        Self(URL_SAFE_NO_PAD.encode(bytes))
    }

    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>> {
        URL_SAFE_NO_PAD.decode(&self.0).map_err(|_| invalid())
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Any text is accepted here. [`Cluster::restore`](crate::Cluster::restore) refuses those that are
/// no references.
impl FromStr for SturdyRef {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl From<SturdyRef> for String {
    fn from(token: SturdyRef) -> Self {
        token.0
    }
}

/// Does not show the text, which would end up in logs.
impl fmt::Debug for SturdyRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SturdyRef(…)")
    }
}

/// Returns the one error for texts that are no references, so that it does not help to forge one.
fn invalid() -> Error {
    Error::permission_denied("the reference is not valid").with_may_have_run(false)
}

/// Returns the seconds since 1970.
pub(crate) fn unix_time() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or(Duration::ZERO).as_secs()
}
