//! Subprotocols and encodings of WebSockets.

use axum::http::{HeaderMap, StatusCode};
use capnweb::{
    Encoding, Object, Stub,
    axum::{Rpc, Subprotocol, rpc},
    ws::Connect,
};
use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::{
    connect_async,
    tungstenite::{Message, client::IntoClientRequest},
};

use crate::support::{Server, api, soon};

/// Accepts clients that offer a token as a subprotocol, like pages, which cannot send headers.
async fn connect(
    headers: HeaderMap,
    Subprotocol(selected): Subprotocol,
) -> Result<Stub, StatusCode> {
    let offered = headers.get("sec-websocket-protocol");
    let offered = offered.and_then(|offered| offered.to_str().ok());
    let mut offered = offered.unwrap_or_default().split(',').map(str::trim);
    match offered.find_map(|name| name.strip_prefix("bearer.")) {
        Some("1234") => Ok(Object::new().property("selected", selected).into_stub()),
        _ => Err(StatusCode::UNAUTHORIZED),
    }
}

#[tokio::test]
async fn the_factory_sees_which_one_is_selected() {
    let server = Server::of(Rpc::new(connect).protocols(["other", "capnweb"]).route()).await;
    let api: Stub = Connect::new(server.ws())
        .protocol("unknown")
        .protocol("capnweb")
        .protocol("bearer.1234")
        .connect()
        .await
        .unwrap();
    let selected = soon(api.get("selected").fetch::<Option<String>>()).await;
    assert_eq!(selected.unwrap().as_deref(), Some("capnweb"));
    let refused = Connect::new(server.ws()).protocol("capnweb").session();
    let error = refused.await.unwrap_err();
    assert!(error.message().contains("401"), "{error}");
}

#[tokio::test]
async fn a_client_may_offer_none() {
    let server = Server::of(
        Rpc::new(|Subprotocol(selected): Subprotocol| {
            Object::new().property("selected", selected).into_stub()
        })
        .protocols(["capnweb"])
        .route(),
    )
    .await;
    for api in server.both().await {
        let selected = soon(api.get("selected").fetch::<Option<String>>()).await;
        assert_eq!(selected.unwrap(), None);
    }
}

#[tokio::test]
async fn without_the_setting_none_is_selected() {
    let server = Server::of(rpc(api)).await;
    let mut request = server.ws().into_client_request().unwrap();
    let offer = "capnweb, bearer.x".parse().unwrap();
    request
        .headers_mut()
        .insert("sec-websocket-protocol", offer);
    // A browser would close the connection too.
    assert!(soon(connect_async(request)).await.is_err());
}

#[tokio::test]
async fn the_route_may_encode_messages_otherwise() {
    let server = Server::of(Rpc::new(api).encoding(Encoding::MessagePack).route()).await;
    let client: Stub = Connect::new(server.ws())
        .encoding(Encoding::MessagePack)
        .connect()
        .await
        .unwrap();
    let square = client.call("square", (3,)).fetch::<f64>();
    assert_eq!(soon(square).await.unwrap(), 9.0);

    // The server answers in binary frames.
    let (mut socket, _) = soon(connect_async(server.ws())).await.unwrap();
    for text in [r#"["push",["pipeline",0,["square"],[3]]]"#, r#"["pull",1]"#] {
        socket.send(Message::text(text)).await.unwrap();
    }
    let answer = soon(socket.next()).await.unwrap().unwrap();
    assert!(answer.is_binary(), "{answer:?}");
    // Batches are text.
    assert_eq!(
        soon(server.batch().call("square", (3,)).fetch::<f64>())
            .await
            .unwrap(),
        9.0
    );
}

#[test]
#[should_panic(expected = "\"capnweb, other\" can be the name of no subprotocol")]
fn a_name_that_can_never_match_is_a_mistake() {
    let _ = Rpc::<_, (), _>::new(api).protocols(["capnweb, other"]);
}
