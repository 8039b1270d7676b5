//! Support for the tests of several crates.

#![allow(clippy::unwrap_used, reason = "panics are how tests fail")]

mod cutting;
pub mod half_open;
#[cfg(target_os = "linux")]
mod keep_alive;
pub mod last_words;
mod proxy;
mod relay;
mod silent;
mod tls;

use std::time::Duration;

#[cfg(target_os = "linux")]
pub use self::keep_alive::keep_alive_timers;
pub use self::{
    cutting::CuttingRelay,
    proxy::HttpProxy,
    relay::Relay,
    silent::SilentListener,
    tls::{TlsServer, trusting},
};

/// Awaits a future that must complete within ten seconds.
///
/// # Panics
///
/// Panics if it takes longer.
pub async fn soon<F: IntoFuture>(future: F) -> F::Output {
    match tokio::time::timeout(Duration::from_secs(10), future.into_future()).await {
        Ok(output) => output,
        Err(_) => panic!("this takes too long"),
    }
}
