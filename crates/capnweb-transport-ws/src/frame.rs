//! Frames of WebSocket, as RFC 6455 has them, after the handshake.
//!
//! [`Reader`] makes messages of bytes, [`Writer`] bytes of messages. Neither knows what a session is.
//! Why this is not left to the library that does the handshake is in ARCHITECTURE.md.

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
