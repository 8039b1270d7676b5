//! WebSocket frames after the handshake (RFC 6455).
//!
//! [`Reader`] turns bytes into messages, and [`Writer`] turns messages into bytes. Neither knows of
//! sessions. ARCHITECTURE.md explains why this does not use the library that performs the
//! handshake.

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

/// The end of a WebSocket that this side is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The client, which masks its frames.
    Client,
    /// The server, which does not mask its frames.
    Server,
}
