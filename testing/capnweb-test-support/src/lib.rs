//! What the tests of several crates need.

#![allow(clippy::unwrap_used, reason = "panics are how tests fail")]

mod proxy;
mod silent;
mod tls;

use std::time::Duration;

pub use self::{
    proxy::HttpProxy,
    silent::SilentListener,
    tls::{TlsServer, trusting},
};

/// Awaits a future that has to be ready within ten seconds.
///
/// # Panics
///
/// If it takes longer.
pub async fn soon<F: IntoFuture>(future: F) -> F::Output {
    match tokio::time::timeout(Duration::from_secs(10), future.into_future()).await {
        Ok(output) => output,
        Err(_) => panic!("this takes too long"),
    }
}
