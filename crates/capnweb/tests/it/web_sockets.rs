//! Both ends of a WebSocket.

use axum::Router;
use capnweb::{Stub, axum::rpc};
use tokio::{net::TcpListener, sync::oneshot};

use crate::support::{Server, api, soon};

#[tokio::test]
async fn calls_go_both_ways() {
    let server = Server::of(rpc(api)).await;
    let api = server.connect().await;
    let double = Stub::function(|n: u32| async move { Ok(2 * n) });
    let doubled = api.call("callBack", (double, 4)).fetch::<u32>();
    assert_eq!(soon(doubled).await.unwrap(), 8);
}

#[tokio::test]
async fn a_session_ends_when_its_client_goes() {
    let (made, mut making) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::of(rpc(move |peer: capnweb::axum::Peer| {
        let session = peer.0.session().unwrap();
        made.send(session).unwrap();
        api()
    }))
    .await;
    let client = server.connect().await;
    assert_eq!(
        soon(client.call("square", (2,)).fetch::<f64>())
            .await
            .unwrap(),
        4.0
    );
    let session = soon(making.recv()).await.unwrap();
    drop(client);
    let reason = soon(session.closed()).await;
    assert!(
        reason.message().starts_with("Peer closed WebSocket: 3000 "),
        "{reason}"
    );
}

#[tokio::test]
async fn shutting_down_leaves_open_sockets_open() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let app = Router::new().route("/", rpc(api));
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(capnweb::axum::serve_with_shutdown(listener, app, async {
        let _ = stopped.await;
    }));
    let client: Stub = capnweb::ws::connect(&url).await.unwrap();
    assert_eq!(
        soon(client.call("square", (2,)).fetch::<f64>())
            .await
            .unwrap(),
        4.0
    );
    stop.send(()).unwrap();
    soon(serving).await.unwrap().unwrap();
    assert!(capnweb::ws::connect::<Stub>(&url).await.is_err());
    assert_eq!(
        soon(client.call("square", (3,)).fetch::<f64>())
            .await
            .unwrap(),
        9.0
    );
}
