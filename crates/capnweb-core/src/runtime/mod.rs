//! The runtime: tasks, timers, clocks and random numbers.
//!
//! On JavaScript hosts, which are browsers, Node and Workers (`wasm32-unknown-unknown`), tasks run
//! on the event loop, and clocks, timers and random numbers come from the host. Everywhere else
//! this module re-exports Tokio.
//!
//! It is public for the crates that build on this one, not for applications.

#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
mod native;
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
mod web;

#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
pub use self::native::*;
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
pub use self::web::*;
