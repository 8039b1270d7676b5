//! The host's WebSockets.

mod close;
mod connect;
mod events;
mod transport;

pub use self::{
    connect::{Connect, connect},
    transport::WebSocketTransport,
};
