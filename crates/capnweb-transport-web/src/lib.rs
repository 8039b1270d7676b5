//! Cap'n Web in JavaScript hosts: browsers, Node and Workers.
//!
//! This crate is for `wasm32-unknown-unknown`, and is empty on other targets. Everything runs on the
//! host's event loop, with the host's WebSockets, `fetch` and WebTransport.
//!
//! - `connect` opens a WebSocket; `Connect` has more options.
//! - `batch` sends all calls in one HTTP request; `Batch` has more options.
//! - `webtransport::connect` opens a session over HTTP/3; `webtransport::Connect` has more
//!   options.
//! - `WebSocketTransport` makes a transport of any `web_sys::WebSocket`, such as one that a
//!   Worker has accepted.
//! - `local` makes a `Send` future of one that uses JavaScript's values, for handlers.
//!
//! # Panics
//!
//! A panic traps: nothing is unwound, and a call whose handler panics is never answered. So the
//! connections of the program are closed, and their peers see the end of the session: WebSockets with
//! code 3000 and the reason "the program panicked". A panic hook does that, which calls the one that
//! was set when the first connection was made; set yours before.
//!
//! # Threads
//!
//! JavaScript's values stay on their thread, and so do all futures here. They are `Send` for the
//! sake of the signatures that they share with other targets. Using one on another thread, which
//! takes a build with `atomics`, panics.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(all(target_family = "wasm", target_os = "unknown"))]
mod batch;
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
mod either;
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
mod failure;
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
mod host;
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
mod local;
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
mod panic;
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
mod settings;
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
mod socket;
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
pub mod webtransport;

#[cfg(all(target_family = "wasm", target_os = "unknown"))]
pub use self::{
    batch::{Batch, Credentials, batch},
    local::{Local, local, spawn},
    socket::{Connect, WebSocketTransport, connect},
};

#[cfg(all(target_family = "wasm", target_os = "unknown"))]
/// The bindings of the host's APIs, for [`WebSocketTransport`].
#[doc(no_inline)]
pub use web_sys;
