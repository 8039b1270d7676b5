//! `capnweb-interop proxy`: connects two peers through our sessions with each of them.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use capnweb::{
    Error, Session, SessionOptions,
    ws::{Upgrade, Upgraded, WebSocketTransport},
};
use serde::Deserialize;

use crate::{
    pairs::{Couple, Pairs, Side},
    ready,
};

type Socket = WebSocketTransport<Upgraded>;

/// Pairs WebSockets with the same `pair`, one with `side=server` and one with `side=client`.
///
/// Each sees the other's main object as ours. Nothing is read from either before both have
/// connected. When one session ends, the other ends with the same reason.
pub(crate) async fn serve(address: &str) -> Result<(), String> {
    let app = Router::new()
        .fallback(connect)
        .with_state(Pairs::<Socket>::new());
    let (listener, bound) = ready::listen(address).await?;
    ready::tell(&serde_json::json!({ "addr": bound }))?;
    capnweb::axum::serve(listener, app)
        .await
        .map_err(|error| format!("the proxy failed: {error}"))
}

/// The pair and the end that a peer requests.
#[derive(Deserialize)]
struct Wish {
    pair: String,
    side: Side,
}

async fn connect(
    State(pairs): State<Arc<Pairs<Socket>>>,
    Query(wish): Query<Wish>,
    upgrade: Upgrade,
) -> Response {
    let Some(reservation) = pairs.reserve(wish.pair, wish.side) else {
        return (
            StatusCode::CONFLICT,
            "this side of the pair is connected already",
        )
            .into_response();
    };
    upgrade.accept(SessionOptions::default(), async move |socket| {
        if let Some(couple) = reservation.arrive(socket) {
            bring_together(couple).await;
        }
    })
}

async fn bring_together(couple: Couple<Socket>) {
    let (to_server, mut server) = Session::server(passing_on());
    let (to_client, mut client) = Session::server(passing_on());
    server.set_main(to_client.main());
    client.set_main(to_server.main());

    let mut server = tokio::spawn(server.drive(couple.server));
    let mut client = tokio::spawn(client.drive(couple.client));
    let (over, other, reason) = tokio::select! {
        reason = &mut server => (to_client, client, reason),
        reason = &mut client => (to_server, server, reason),
    };
    over.close(reason.unwrap_or_else(|_| Error::new("the proxy's own driver failed")));
    // The other one ends with the reason that it was just told.
    let _ = other.await;
    drop(couple.meeting);
}

/// Returns options that pass errors on unchanged, including any stack that their origin revealed.
fn passing_on() -> SessionOptions {
    SessionOptions::new().on_send_error(|error| Some(error.clone()))
}
