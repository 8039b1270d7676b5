//! Serving a router with the settings that suit small messages.

use std::{future::Future, io};

use ::axum::{Router, serve::ListenerExt};
use tokio::net::{TcpListener, TcpStream};

/// Serves `app` with `TCP_NODELAY` on every connection: without it a small message can wait for the
/// acknowledgement of the one before.
///
/// ```no_run
/// use axum::Router;
/// use capnweb::Object;
///
/// # async fn example() -> std::io::Result<()> {
/// let app = Router::new().route("/api", capnweb::axum::rpc(|| Object::new().into_stub()));
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
/// capnweb::axum::serve(listener, app).await
/// # }
/// ```
///
/// # Errors
///
/// As [`axum::serve`](::axum::serve()): in practice none.
pub async fn serve(listener: TcpListener, app: Router) -> io::Result<()> {
    ::axum::serve(listener.tap_io(no_delay), app).await
}

/// [`serve`] until `shutdown` is ready: then no more connections are accepted, and those that are open
/// are served to their end: this waits for requests under way, batches included, to be answered. It neither waits for
/// WebSockets nor ends them: after the upgrade they are tasks of their own, which end with their session or the runtime.
/// To end them politely, keep the [`Session`](crate::Session) of each, which a handler has from its
/// [`Context`](crate::Context), and [close](crate::Session::close) those that are left.
///
/// # Errors
///
/// As [`serve`].
pub async fn serve_with_shutdown(
    listener: TcpListener,
    app: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    ::axum::serve(listener.tap_io(no_delay), app)
        .with_graceful_shutdown(shutdown)
        .await
}

fn no_delay(socket: &mut TcpStream) {
    // It works without, only slower; if this fails the socket is most likely gone.
    let _ = socket.set_nodelay(true);
}
