//! `capnweb-interop serve`.

use std::sync::Arc;

use axum::Router;
use capnweb::axum::Rpc;

use crate::{commons::Commons, main_object::main_object, ready};

/// Serves a fresh main object to each connection: a POST is a batch, an upgrade a WebSocket, on every
/// path; other methods get 405. Pages of any origin may read the answers.
pub(crate) async fn serve(address: &str) -> Result<(), String> {
    let commons = Arc::new(Commons::default());
    let rpc = Rpc::new(move || main_object(&commons)).allow_origin("*");
    let app = Router::new().fallback_service(rpc.route());
    let listener = ready::listen(address).await?;
    capnweb::axum::serve(listener, app)
        .await
        .map_err(|error| format!("the server failed: {error}"))
}
