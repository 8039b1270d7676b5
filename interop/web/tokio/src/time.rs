//! Time.

use std::{future::Future, time::Duration};

pub use capnweb_core::runtime::{Instant, sleep, timeout_at};

/// Waits for a future, for a limited time.
///
/// # Errors
///
/// Returns an error if the time is up.
pub async fn timeout<F: Future>(
    limit: Duration,
    future: F,
) -> Result<F::Output, capnweb_core::runtime::Elapsed> {
    timeout_at(Instant::now() + limit, future).await
}
