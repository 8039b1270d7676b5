//! Sessions between a client and a server of this library.

use std::future::IntoFuture;

use axum::{Router, http::HeaderMap, routing::any};
use capnweb_core::{Object, Session, SessionOptions, Stub};
use capnweb_transport_ws::{Connect, Upgrade, connect};

use crate::support::{api, serve, serve_router, soon};

#[tokio::test]
async fn calls_go_both_ways() {
    let url = serve(SessionOptions::new()).await;
    let api: Stub = connect(&url).await.unwrap();
    assert_eq!(
        soon(api.call("square", (3,)).fetch::<f64>()).await.unwrap(),
        9.0
    );
    let double = Stub::function(|n: u32| async move { Ok(2 * n) });
    let doubled = api.call("callBack", (double, 4)).fetch::<u32>();
    assert_eq!(soon(doubled).await.unwrap(), 8);
}

#[tokio::test]
async fn many_calls_at_once_are_answered() {
    let url = serve(SessionOptions::new()).await;
    let api: Stub = connect(&url).await.unwrap();
    let squares: Vec<_> = (0..5000)
        .map(|n| api.call("square", (n,)).fetch::<f64>())
        .collect();
    for (n, square) in (0..).zip(squares) {
        assert_eq!(soon(square).await.unwrap(), f64::from(n * n));
    }
}

#[tokio::test]
async fn large_messages_arrive_whole() {
    let url = serve(SessionOptions::new()).await;
    let api: Stub = connect(&url).await.unwrap();
    let text = "ä€😀 ".repeat(500_000);
    let (one, two) = tokio::join!(
        soon(api.call("echo", (&text,)).fetch::<String>()),
        soon(api.call("echo", (&text,)).fetch::<String>()),
    );
    assert!(one.unwrap() == text && two.unwrap() == text);
}

#[tokio::test]
async fn the_servers_main_sees_the_clients() {
    let url = serve_router(Router::new().route(
        "/",
        any(async |upgrade: Upgrade| {
            let (session, mut connection) = Session::server(SessionOptions::new());
            let client = session.main();
            connection.set_main(
                Object::new()
                    .method("yourName", move || {
                        client.get("name").fetch::<String>().into_future()
                    })
                    .into_stub(),
            );
            upgrade.serve(connection)
        }),
    ))
    .await;
    let main = Object::new().property("name", "Ada").into_stub();
    let api: Stub = Connect::new(url).main(main).connect().await.unwrap();
    assert_eq!(
        soon(api.call("yourName", ()).fetch::<String>())
            .await
            .unwrap(),
        "Ada"
    );
}

#[tokio::test]
async fn headers_reach_the_server() {
    let url = serve_router(Router::new().route(
        "/",
        any(async |headers: HeaderMap, upgrade: Upgrade| {
            let header = |name| headers.get(name).unwrap().to_str().unwrap().to_owned();
            let seen = (header("authorization"), header("sec-websocket-protocol"));
            let (_, mut connection) = Session::server(SessionOptions::new());
            connection.set_main(Object::new().property("seen", seen).into_stub());
            upgrade.protocols(["capnweb"]).serve(connection)
        }),
    ))
    .await;
    let api: Stub = Connect::new(url)
        .header("authorization", "Bearer 1234")
        .protocol("first")
        .protocol("capnweb")
        .connect()
        .await
        .unwrap();
    let seen = api.get("seen").fetch::<(String, String)>();
    assert_eq!(
        soon(seen).await.unwrap(),
        ("Bearer 1234".to_owned(), "first, capnweb".to_owned())
    );
}

#[tokio::test]
async fn an_accepted_transport_can_be_driven_later() {
    let (opened, mut open) = tokio::sync::mpsc::unbounded_channel();
    let url = serve_router(Router::new().route(
        "/",
        any(async move |upgrade: Upgrade| {
            upgrade.accept(SessionOptions::new(), async move |transport| {
                opened.send(transport).unwrap();
            })
        }),
    ))
    .await;
    let client: Stub = connect(&url).await.unwrap();
    let square = client.call("square", (5,)).fetch::<f64>();

    let transport = soon(open.recv()).await.unwrap();
    let (_, mut connection) = Session::server(SessionOptions::new());
    connection.set_main(api());
    tokio::spawn(connection.drive(transport));
    assert_eq!(soon(square).await.unwrap(), 25.0);
}
