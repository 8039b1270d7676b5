//! `capnweb-interop serve`.

use std::sync::Arc;

use axum::{Router, response::Response, routing::any};
use capnweb::{Encoding, FromStub, Session, SessionOptions, axum::Rpc, ws::Upgrade};

use crate::{commons::Commons, main_object::main_object, ready};

/// Serves a fresh main object to each connection: a POST is a batch, an upgrade a WebSocket, on every
/// path; other methods get 405. At `/message-pack` a WebSocket's messages are MessagePack. Pages of any origin may read the answers.
pub(crate) async fn serve(address: &str) -> Result<(), String> {
    let commons = Arc::new(Commons::default());
    let packed = commons.clone();
    let rpc = Rpc::new(move || main_object(&commons)).allow_origin("*");
    let packed = any(async move |upgrade: Upgrade| -> Response {
        let (_session, mut connection) = Session::server(SessionOptions::new());
        connection.set_main(main_object(&packed).as_stub().clone());
        upgrade.encoding(Encoding::MessagePack).serve(connection)
    });
    let app = Router::new()
        .route("/message-pack", packed)
        .fallback_service(rpc.route());
    let listener = ready::listen(address).await?;
    capnweb::axum::serve(listener, app)
        .await
        .map_err(|error| format!("the server failed: {error}"))
}
