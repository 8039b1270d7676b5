//! The connector for the transports of this library, of which each platform has its own.

#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
mod native;
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
mod web;

#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
pub use native::Transports;
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
pub use web::Transports;
