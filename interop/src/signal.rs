//! The signal to stop.

use std::{future::Future, io};

/// Returns a future that completes when the process is told to stop: by SIGTERM, or by Ctrl-C on
/// systems without it.
pub(crate) fn stopped() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    #[cfg(unix)]
    let signal = {
        use tokio::signal::unix::{SignalKind, signal};

        let mut terminated = signal(SignalKind::terminate())?;
        async move {
            terminated.recv().await;
        }
    };
    #[cfg(not(unix))]
    let signal = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    Ok(signal)
}
