//! One route for both transports.

#![allow(clippy::unwrap_used, reason = "panics are how tests fail")]

mod batches;
mod byte_streams;
mod factories;
mod fetch;
mod requests;
mod support;
mod web_sockets;
