//! The runtime: tasks, timers, clocks and random numbers.
//!
//! Everywhere but in JavaScript hosts this is Tokio, re-exported. In a browser, Node or Worker
//! (`wasm32-unknown-unknown`) tasks run on JavaScript's event loop, and the clock, timers and random
//! numbers are the host's.
//!
//! Public for the crates that stand on this one; not for applications.

#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
mod native;
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
mod web;

#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
pub use self::native::*;
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
pub use self::web::*;
