//! Frames of WebSocket, as RFC 6455 has them, after the handshake.
//!
//! [`Reader`] makes messages of bytes, [`Writer`] bytes of messages. Neither knows of sessions. See
//! ARCHITECTURE.md for the reasons not to use the library that does the handshake.

mod batch;
mod fault;
mod header;
mod mask;
mod reader;
mod writer;

#[cfg(test)]
mod tests;

pub(crate) use self::{
    batch::Batch,
    fault::Fault,
    header::Kind,
    reader::{Incoming, Reader},
    writer::Writer,
};

/// Which end of a WebSocket we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Its frames are masked.
    Client,
    /// Its frames are not.
    Server,
}
