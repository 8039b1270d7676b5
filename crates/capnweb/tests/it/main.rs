//! One route for both transports.

#![allow(clippy::unwrap_used, reason = "panics are how tests fail")]

mod batches;
mod byte_streams;
#[cfg(feature = "describe")]
mod describing;
mod factories;
mod fetch;
mod half_open;
mod last_words;
mod layers;
mod metrics;
mod origins;
mod reconnecting;
mod requests;
mod server_limits;
mod serving;
mod subprotocols;
mod support;
mod tls;
mod trace_context;
mod tracked;
mod web_sockets;
