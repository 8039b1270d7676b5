//! WebSockets over real sockets.

#![allow(clippy::unwrap_used, reason = "panics are how tests fail")]

mod closing;
mod connecting;
mod dialing;
mod encodings;
mod frames;
mod http2;
mod keep_alive;
mod proxies;
mod streams;
mod support;
mod talking;
mod tls;
mod upgrading;
