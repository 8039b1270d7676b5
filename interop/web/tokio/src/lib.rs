//! The part of Tokio that the checks use, on JavaScript's event loop.

#![cfg(all(target_family = "wasm", target_os = "unknown"))]

pub mod task;
pub mod time;

pub use self::task::spawn;
pub use tokio::{io, join, pin, select, sync, try_join};
