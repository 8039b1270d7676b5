//! Cap'n Web on JavaScript hosts: browsers, Node and Workers.
//!
//! This crate is for `wasm32-unknown-unknown`. On other targets it is empty. Everything runs on the
//! host's event loop, with the host's WebSockets, `fetch` and WebTransport.
//!
//! - `connect` opens a WebSocket. `Connect` has more options.
//! - `batch` sends all calls in one HTTP request. `Batch` has more options.
//! - `webtransport::connect` opens a session over HTTP/3. `webtransport::Connect` has more options.
//! - `WebSocketTransport` makes a transport from any `web_sys::WebSocket`, such as one that a
//!   Worker has accepted.
//! - `local` makes a future `Send` that uses JavaScript values, for use in handlers.
//!
//! # Panics
//!
//! A panic is a trap: nothing is unwound, and a call whose handler panics is never answered. A
//! panic hook therefore closes all connections of the program, so that their peers see the end of
//! the session. WebSockets are closed with code 3000 and the reason "the program panicked".
//!
//! The hook is installed when the first connection is created, and calls the hook that was set
//! before. Set your own hook earlier.
//!
//! # Threads
//!
//! JavaScript values and all futures of this crate stay on the thread that created them. The
//! futures are `Send` only because other targets require it in the same signatures. Use on another
//! thread, which requires a build with `atomics`, panics.

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
#[doc(hidden)]
pub use self::panic::until_trap;

#[cfg(all(target_family = "wasm", target_os = "unknown"))]
/// The bindings of the host's APIs, for [`WebSocketTransport`].
#[doc(no_inline)]
pub use web_sys;
