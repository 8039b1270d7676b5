//! `capnweb-interop serve`.

use std::{future::Future, sync::Arc};

use axum::{Router, response::Response, routing::any};
use capnweb::{
    Encoding, Session, SessionOptions, StubType,
    axum::Rpc,
    webtransport::{Identity, Request, Server, http::StatusCode},
    ws::Upgrade,
};
use serde_json::json;

use crate::{commons::Commons, main_object::main_object, ready};

/// Serves a fresh main object to each connection: a POST is a batch, an upgrade a WebSocket, on every
/// path; other methods get 405. At `/message-pack` a WebSocket's messages are MessagePack. Pages of any
/// origin may read the answers. At the address `webtransport`, if there is one, the same over
/// WebTransport, with a certificate made for the occasion.
pub(crate) async fn serve(address: &str, webtransport: Option<&str>) -> Result<(), String> {
    let commons = Arc::new(Commons::default());
    let (for_rpc, packed) = (commons.clone(), commons.clone());
    let rpc = Rpc::new(move || main_object(&for_rpc)).allow_origin("*");
    let packed = any(async move |upgrade: Upgrade| -> Response {
        let (_session, mut connection) = Session::server(SessionOptions::new());
        connection.set_main(main_object(&packed).as_stub().clone());
        upgrade.encoding(Encoding::MessagePack).serve(connection)
    });
    let app = Router::new()
        .route("/message-pack", packed)
        .fallback_service(rpc.route());
    let (listener, bound) = ready::listen(address).await?;
    let serving = capnweb::axum::serve(listener, app);
    let failed = |error| format!("the server failed: {error}");
    let Some(address) = webtransport else {
        ready::tell(&json!({ "addr": bound }))?;
        return serving.await.map_err(failed);
    };
    let (at, serving_too) = serve_webtransport(address, commons)?;
    ready::tell(&json!({ "addr": bound, "webtransport": at }))?;
    tokio::select! {
        served = serving => served.map_err(failed),
        () = serving_too => Ok(()),
    }
}

/// The same main object on every path but `/refuse/STATUS`, which refuses.
fn serve_webtransport(
    address: &str,
    commons: Arc<Commons>,
) -> Result<(serde_json::Value, impl Future<Output = ()>), String> {
    let identity =
        Identity::self_signed(["127.0.0.1", "localhost"]).map_err(|error| error.to_string())?;
    let listener = Server::new(&identity)
        .fallback(move |request: Request| match refused(&request) {
            Some(status) => Err(status),
            None => Ok(main_object(&commons)),
        })
        .bind(address)
        .map_err(|error| format!("cannot listen on UDP {address}: {error}"))?;
    let at = json!({
        "addr": listener.local_addr().to_string(),
        "hash": identity.certificate_hash().to_string(),
    });
    Ok((at, listener.serve()))
}

fn refused(request: &Request) -> Option<StatusCode> {
    request.path().strip_prefix("/refuse/")?.parse().ok()
}
