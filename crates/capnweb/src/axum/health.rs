//! Health checks for load balancers and orchestrators.

use ::axum::{Router, http::StatusCode, routing::get};
use capnweb_net::Sessions;

/// Creates routes for health checks. `/healthz` returns 200 as long as the process runs. `/readyz`
/// returns 200 until [`Sessions::drain`] begins, and then 503.
///
/// Serve them on a separate port that only your infrastructure can reach, or merge them into the
/// app:
///
/// ```
/// use axum::Router;
/// use capnweb::{Object, Sessions, axum::{Rpc, health}};
///
/// let sessions = Sessions::new();
/// let api = Rpc::new(|| Object::new().into_stub()).tracked(&sessions);
/// let app: Router = Router::new().route("/api", api.route()).merge(health(&sessions));
/// ```
pub fn health<S>(sessions: &Sessions) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    let sessions = sessions.clone();
    let ready = async move || match sessions.is_ready() {
        true => (StatusCode::OK, "ready\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "about to stop\n"),
    };
    Router::new()
        .route("/healthz", get(async || "alive\n"))
        .route("/readyz", get(ready))
}
