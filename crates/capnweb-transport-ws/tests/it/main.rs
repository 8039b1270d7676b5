//! WebSockets over real sockets.

#![allow(clippy::unwrap_used, reason = "panics are how tests fail")]

mod closing;
mod connecting;
mod encodings;
mod frames;
mod streams;
mod support;
mod talking;
mod tls;
mod upgrading;
