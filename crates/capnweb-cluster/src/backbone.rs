//! The bus and the directory of a cluster, together.

use std::{
    fmt,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use crate::{
    bus::Bus,
    directory::Directory,
    memory::{MemoryBus, MemoryDirectory, MemoryNetwork},
};

/// The bus and the directory that a node uses. A pair of both converts into it.
#[derive(Clone)]
pub struct Backbone {
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) directory: Arc<dyn Directory>,
}

impl Backbone {
    /// Combines a bus with a directory.
    pub fn new(bus: impl Bus, directory: impl Directory) -> Self {
        Self {
            bus: Arc::new(bus),
            directory: Arc::new(directory),
        }
    }

    /// Creates a backbone within this process, for a cluster of one node.
    ///
    /// Its epochs begin with the microseconds since 1970, so they exceed those of earlier processes
    /// and their writes, unless the system's clock was set back.
    pub fn memory() -> Self {
        let bus = MemoryNetwork::new().node();
        let time = SystemTime::now().duration_since(UNIX_EPOCH);
        let start = time.map_or(0, |time| time.as_micros());
        let start = u64::try_from(start).unwrap_or_default();
        Self::new(bus, MemoryDirectory::starting_at(start))
    }
}

impl<B: Bus, D: Directory> From<(B, D)> for Backbone {
    fn from((bus, directory): (B, D)) -> Self {
        Self::new(bus, directory)
    }
}

/// A node of a network within this process, with the network's directory.
impl From<(&MemoryNetwork, &MemoryBus)> for Backbone {
    fn from((network, node): (&MemoryNetwork, &MemoryBus)) -> Self {
        Self::new(node.clone(), network.directory(node))
    }
}

impl fmt::Debug for Backbone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Backbone")
    }
}
