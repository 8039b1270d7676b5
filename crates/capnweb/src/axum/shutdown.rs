//! The signal to stop.

/// Waits until the process is asked to stop: by SIGTERM, as service managers and orchestrators do,
/// or by Ctrl-C.
///
/// # Panics
///
/// Outside of a Tokio runtime that has I/O enabled, and if the system allows no handler of a signal.
pub async fn shutdown_signal() {
    let interrupt = async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            panic!("Ctrl-C cannot be handled: {error}");
        }
    };
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = match signal(SignalKind::terminate()) {
            Ok(terminate) => terminate,
            Err(error) => panic!("SIGTERM cannot be handled: {error}"),
        };
        tokio::select! {
            () = interrupt => {}
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    interrupt.await;
}
