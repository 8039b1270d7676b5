//! A bus and a directory within this process, for tests and for a server of one node.

mod directory;
mod network;

pub use self::{
    directory::MemoryDirectory,
    network::{MemoryBus, MemoryNetwork},
};
