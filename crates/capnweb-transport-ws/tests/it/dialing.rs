//! Ways to reach a server: several addresses, custom streams, and headers.

use std::time::{Duration, Instant};

use axum::{Router, extract::Request, routing::any};
use capnweb_core::{ConnectFailure, Object, Session, SessionOptions, Stub};
use capnweb_test_support::{SilentListener, trusting};
use capnweb_transport_ws::{Connect, Upgrade};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{host, serve, serve_router, serve_tls, soon};

#[tokio::test]
async fn an_address_that_drops_packets_does_not_hold_up_the_next() {
    let silent = SilentListener::start().await;
    let url = serve(SessionOptions::new()).await;
    let server = host(&url).parse().unwrap();
    let start = Instant::now();
    let api: Stub = Connect::new(&url)
        .addresses([silent.address(), server])
        .connect()
        .await
        .unwrap();
    let took = start.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(
        soon(api.call("square", (3,)).fetch::<f64>()).await.unwrap(),
        9.0
    );
    // On its own, this address takes up the whole timeout.
    let error = Connect::new(&url)
        .addresses([silent.address()])
        .timeout(Duration::from_millis(500))
        .session()
        .await
        .unwrap_err();
    assert_eq!(error.connect_failure(), Some(&ConnectFailure::Timeout));
}

#[tokio::test]
async fn an_address_that_refuses_is_followed_by_the_next() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refusing = free.local_addr().unwrap();
    drop(free);
    let url = serve(SessionOptions::new()).await;
    let server = host(&url).parse().unwrap();
    let connecting = Connect::new(&url).addresses([refusing, server]).session();
    soon(connecting).await.unwrap();
}

#[tokio::test]
async fn the_host_may_be_elsewhere() {
    let url = serve_router(seen()).await;
    let api: Stub = Connect::new("ws://service.invalid/")
        .addresses([host(&url).parse().unwrap()])
        .connect()
        .await
        .unwrap();
    let seen: String = soon(api.get("host").fetch()).await.unwrap();
    assert_eq!(seen, "service.invalid");
}

/// A server whose main object returns the headers of the request.
fn seen() -> Router {
    Router::new().route(
        "/",
        any(async |upgrade: Upgrade, request: Request| {
            let header = |name: &str| -> Vec<String> {
                let values = request.headers().get_all(name).iter();
                values
                    .map(|value| value.to_str().unwrap().to_owned())
                    .collect()
            };
            let (_, mut connection) = Session::server(SessionOptions::new());
            connection.set_main(
                Object::new()
                    .property("host", header("host").join("|"))
                    .property("userAgent", header("user-agent").join("|"))
                    .property("cookies", header("cookie").len())
                    .into_stub(),
            );
            upgrade.serve(connection)
        }),
    )
}

#[tokio::test]
async fn headers_of_ones_own_take_the_place_of_others() {
    let url = serve_router(seen()).await;
    let api: Stub = Connect::new(&url)
        .header("Host", "api.example")
        .header("user-agent", "example/1.0")
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .connect()
        .await
        .unwrap();
    let seen = async |name: &str| soon(api.get(name).fetch::<String>()).await.unwrap();
    assert_eq!(seen("host").await, "api.example");
    assert_eq!(seen("userAgent").await, "example/1.0");
    assert_eq!(soon(api.get("cookies").fetch::<u32>()).await.unwrap(), 2);
}

#[tokio::test]
async fn headers_of_the_handshake_are_refused() {
    for name in [
        "upgrade",
        "Connection",
        "sec-websocket-key",
        "Sec-WebSocket-Version",
    ] {
        let connect = Connect::new("ws://127.0.0.1:9/").header(name, "x");
        let error = connect.session().await.unwrap_err();
        assert!(error.is_type_error(), "{name}: {error}");
        let failure = error.connect_failure();
        assert_eq!(failure, Some(&ConnectFailure::InvalidRequest));
    }
    let connect = Connect::new("ws://127.0.0.1:9/")
        .header("host", "a")
        .header("host", "b");
    assert!(connect.session().await.unwrap_err().is_type_error());
}

#[tokio::test]
async fn any_stream_can_carry_a_session() {
    let url = serve(SessionOptions::new()).await;
    let stream = TcpStream::connect(host(&url)).await.unwrap();
    let session = Connect::new("ws://service.invalid/").over(stream);
    let session = soon(session).await.unwrap();
    let square = session.main().call("square", (3,)).fetch::<f64>();
    assert_eq!(soon(square).await.unwrap(), 9.0);

    // The other end of this stream is already gone.
    let (here, there) = tokio::io::duplex(1024);
    drop(there);
    let error = Connect::new("ws://service.invalid/").over(here).await;
    let error = error.unwrap_err();
    assert_eq!(error.connect_failure(), Some(&ConnectFailure::Disconnected));
}

#[tokio::test]
async fn a_stream_is_secured_if_the_url_says_so() {
    let server = serve_tls().await;
    let stream = TcpStream::connect(("127.0.0.1", server.port))
        .await
        .unwrap();
    let session = Connect::new("wss://localhost/")
        .tls_config(trusting(server.certificate))
        .over(stream);
    let session = soon(session).await.unwrap();
    let square = session.main().call("square", (3,)).fetch::<f64>();
    assert_eq!(soon(square).await.unwrap(), 9.0);
}
