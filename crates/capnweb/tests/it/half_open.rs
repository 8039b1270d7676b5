//! Connections that are open at both ends but dead in between, and peers that stall.

use axum::Router;
use capnweb::{axum::Rpc, lines, tcp, unix, ws};
use capnweb_test_support::{
    Relay,
    half_open::{Given, assert_noticed, options},
};
use tokio::net::{TcpListener, UnixListener};

use crate::support::{Folder, soon};

#[tokio::test]
async fn over_web_sockets() {
    let given = Given::default();
    let mains = given.clone();
    let route = Rpc::new(move || mains.main()).options(options()).route();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let relay = Relay::tcp(listener.local_addr().unwrap()).await;
    let app = Router::new().route("/", route);
    tokio::spawn(async move { capnweb::axum::serve(listener, app).await.unwrap() });
    let connect = ws::Connect::new(format!("ws://{}/", relay.address())).options(options());
    let api = soon(connect.connect()).await.unwrap();
    assert_noticed(&given, api, &relay).await;
}

#[tokio::test]
async fn over_tcp() {
    let given = Given::default();
    let mains = given.clone();
    let server = lines::Server::new(move |_| mains.main()).options(options());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let relay = Relay::tcp(listener.local_addr().unwrap()).await;
    tokio::spawn(tcp::serve_with(listener, server));
    let client = lines::Client::new().options(options());
    let session = soon(tcp::connect_with(relay.address(), &client))
        .await
        .unwrap();
    let api = session.main();
    drop(session);
    assert_noticed(&given, api, &relay).await;
}

#[tokio::test]
async fn over_unix_sockets() {
    let folder = Folder::new("half-open");
    let given = Given::default();
    let mains = given.clone();
    let server = lines::Server::new(move |_| mains.main()).options(options());
    let listener = UnixListener::bind(folder.join("server")).unwrap();
    let relay = Relay::unix(&folder.join("relay"), &folder.join("server")).await;
    tokio::spawn(unix::serve_with(listener, server));
    let client = lines::Client::new().options(options());
    let session = soon(unix::connect_with(folder.join("relay"), &client))
        .await
        .unwrap();
    let api = session.main();
    drop(session);
    assert_noticed(&given, api, &relay).await;
}
