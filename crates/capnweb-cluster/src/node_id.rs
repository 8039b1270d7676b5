//! IDs of nodes.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::token::random_token;

/// The ID of a node, which is random and new each time that the node joins the cluster.
///
/// A node that was unreachable for longer than its lease joins again, under another ID.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(String);

impl NodeId {
    pub(crate) fn random() -> Self {
        Self(random_token())
    }

    /// Returns the ID as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
