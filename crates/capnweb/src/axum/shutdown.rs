//! The shutdown signal.

/// Waits until the process is asked to stop, either by SIGTERM, as service managers and
/// orchestrators do, or by Ctrl-C.
///
/// # Panics
///
/// Panics outside of a Tokio runtime with I/O enabled, and if the system does not allow a signal
/// handler.
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
