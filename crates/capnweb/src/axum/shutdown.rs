//! The shutdown signal.

use std::future::Future;

/// Returns a future that completes when the process is asked to stop, either by SIGTERM, as service
/// managers and orchestrators do, or by Ctrl-C.
///
/// From this call on, the signals no longer end the process. So call it before you announce that
/// the server is ready.
///
/// # Panics
///
/// Panics outside of a Tokio runtime with I/O enabled, and if the system does not allow a signal
/// handler.
pub fn shutdown_signal() -> impl Future<Output = ()> + Send + 'static {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |kind, name| match signal(kind) {
            Ok(listener) => listener,
            Err(error) => panic!("{name} cannot be handled: {error}"),
        };
        let mut interrupt = listen(SignalKind::interrupt(), "Ctrl-C");
        let mut terminate = listen(SignalKind::terminate(), "SIGTERM");
        async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        }
    }
    #[cfg(not(unix))]
    async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            panic!("Ctrl-C cannot be handled: {error}");
        }
    }
}
