//! Sessions between a client and a server of this library.

use capnweb_core::{Object, Stub};

use crate::support::{api, serve, serve_with, soon};

#[tokio::test]
async fn calls_go_both_ways() {
    let served = serve();
    let api = served.api().await;
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
    let served = serve();
    let api = served.api().await;
    let squares: Vec<_> = (0..5000)
        .map(|n| api.call("square", (n,)).fetch::<f64>())
        .collect();
    for (n, square) in (0..).zip(squares) {
        assert_eq!(soon(square).await.unwrap(), f64::from(n * n));
    }
}

#[tokio::test]
async fn large_messages_arrive_whole() {
    // Several times the size of QUIC's windows.
    let served = serve();
    let api = served.api().await;
    let text = "ä€😀 ".repeat(1_000_000);
    let (one, two) = tokio::join!(
        soon(api.call("echo", (&text,)).fetch::<String>()),
        soon(api.call("echo", (&text,)).fetch::<String>()),
    );
    assert!(one.unwrap() == text && two.unwrap() == text);
}

#[tokio::test]
async fn many_sessions_share_one_address() {
    let served = serve();
    let mut apis = Vec::new();
    for _ in 0..20 {
        apis.push(served.api().await);
    }
    let squares = apis
        .iter()
        .map(|api| api.call("square", (3,)).fetch::<f64>());
    for square in squares.collect::<Vec<_>>() {
        assert_eq!(soon(square).await.unwrap(), 9.0);
    }
}

#[tokio::test]
async fn the_server_can_speak_first() {
    let (told, mut hear) = tokio::sync::mpsc::unbounded_channel();
    let served = serve_with(|server| {
        server.route("/api", move |request| {
            let name = request.peer().get("name").fetch::<String>();
            let told = told.clone();
            tokio::spawn(async move { told.send(name.await) });
            api()
        })
    });
    let main = Object::new().property("name", "Ada").into_stub();
    let _api: Stub = soon(served.at("/api").main(main).connect()).await.unwrap();
    assert_eq!(soon(hear.recv()).await.unwrap().unwrap(), "Ada");
}

#[tokio::test]
async fn a_name_with_two_addresses() {
    // `localhost` may resolve to `::1` first, where nothing listens.
    let served = serve();
    let url = format!("https://localhost:{}/api", served.addr.port());
    let connect = capnweb_transport_webtransport::Connect::new(url);
    let api: Stub = soon(connect.certificate_hashes([served.hash]).connect())
        .await
        .unwrap();
    assert_eq!(
        soon(api.call("square", (3,)).fetch::<f64>()).await.unwrap(),
        9.0
    );
}
