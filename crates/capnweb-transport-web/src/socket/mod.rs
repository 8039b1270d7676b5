//! WebSockets of the host.

mod close;
mod connect;
mod events;
mod transport;

pub use self::{
    connect::{Connect, connect},
    transport::WebSocketTransport,
};
