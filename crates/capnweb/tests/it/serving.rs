//! `capnweb::axum::serve`: client addresses, clients that stall, and HTTP/2.

use std::{net::SocketAddr, time::Duration};

use axum::{Router, extract::ConnectInfo};
use bytes::Bytes;
use capnweb::{
    Object, Stub,
    axum::{rpc, serve},
};
use futures_util::future::join_all;
use h2::{client, ext::Protocol};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::oneshot,
};

use crate::support::{Server, api, soon};

fn address_of(ConnectInfo(client): ConnectInfo<SocketAddr>) -> Stub {
    Object::new()
        .property("address", client.to_string())
        .into_stub()
}

/// Listens on a free port of the loopback interface, and returns the address.
async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

async fn client_address(server: &str) -> Vec<String> {
    let mut addresses = Vec::new();
    let apis: [Stub; 2] = [
        capnweb::http::batch(format!("http://{server}/")),
        capnweb::ws::connect(format!("ws://{server}/"))
            .await
            .unwrap(),
    ];
    for api in apis {
        addresses.push(soon(api.get("address").fetch()).await.unwrap());
    }
    addresses
}

#[tokio::test]
async fn a_factory_knows_the_address_of_its_client() {
    let server = Server::of(rpc(address_of)).await;
    for address in client_address(server.address()).await {
        assert!(address.starts_with("127.0.0.1:"), "{address}");
    }

    // The same call as with axum.
    let (listener, address) = listen().await;
    let app = Router::new().route("/", rpc(address_of));
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(serve(listener, app));
    for address in client_address(&address.to_string()).await {
        assert!(address.starts_with("127.0.0.1:"), "{address}");
    }
}

#[tokio::test]
async fn a_route_and_a_unix_socket_can_be_served() {
    let (listener, address) = listen().await;
    tokio::spawn(serve(listener, rpc::<(), _, _>(api)));
    let client: Stub = capnweb::ws::connect(format!("ws://{address}/"))
        .await
        .unwrap();
    assert_eq!(
        soon(client.call("square", (3,)).fetch::<f64>())
            .await
            .unwrap(),
        9.0
    );

    let path = std::env::temp_dir().join(format!("capnweb-serving-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(serve(listener, Router::new().route("/", rpc(api))));
    let stream = UnixStream::connect(&path).await.unwrap();
    std::fs::remove_file(&path).unwrap();
    let session = capnweb::ws::Connect::new("ws://localhost/").over(stream);
    let client = soon(session).await.unwrap().main();
    assert_eq!(
        soon(client.call("square", (3,)).fetch::<f64>())
            .await
            .unwrap(),
        9.0
    );
}

const SHORT: Duration = Duration::from_millis(400);

/// Returns the bytes that the server sends before it closes the connection.
async fn until_closed(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // The server may reset a connection from which it has not read everything.
    let _ = soon(stream.read_to_end(&mut bytes)).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn a_connection_without_a_whole_request_is_closed() {
    let (listener, address) = listen().await;
    let app = Router::new().route("/", rpc(api));
    tokio::spawn(serve(listener, app).header_timeout(SHORT));
    let halves = [
        "",
        "P",
        "PRI * HT",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "POST / HT",
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-le",
        "POST / HTTP/1.1\r\nhost: x\r\n",
    ];
    let closed = halves.map(|half| async move {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(half.as_bytes()).await.unwrap();
        let answer = until_closed(&mut stream).await;
        assert!(!answer.starts_with("HTTP/1.1 2"), "{half:?}: {answer}");
    });
    join_all(closed).await;
    // A client that has received its response and sends no other request.
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let answer = until_closed(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test]
async fn a_request_may_be_answered_later_than_it_has_to_be_made() {
    let (listener, address) = listen().await;
    let slow = || {
        Object::new()
            .method("slow", async || {
                tokio::time::sleep(3 * SHORT).await;
                Ok(7)
            })
            .into_stub()
    };
    let app = Router::new().route("/", rpc(slow));
    tokio::spawn(serve(listener, app).header_timeout(SHORT));
    let batch: Stub = capnweb::http::batch(format!("http://{address}/"));
    let socket: Stub = capnweb::ws::connect(format!("ws://{address}/"))
        .await
        .unwrap();
    for api in [batch, socket] {
        assert_eq!(soon(api.call("slow", ()).fetch::<u32>()).await.unwrap(), 7);
    }
}

#[tokio::test]
async fn requests_under_way_are_answered_before_the_server_stops() {
    let (listener, address) = listen().await;
    let (called, call) = oneshot::channel();
    let called = std::sync::Arc::new(std::sync::Mutex::new(Some(called)));
    let (go, gone) = oneshot::channel::<()>();
    let gone = std::sync::Arc::new(tokio::sync::Mutex::new(Some(gone)));
    let app = Router::new().route(
        "/",
        rpc(move || {
            let (called, gone) = (called.clone(), gone.clone());
            Object::new()
                .method("wait", move || {
                    let (called, gone) = (called.clone(), gone.clone());
                    async move {
                        called.lock().unwrap().take().unwrap().send(()).unwrap();
                        gone.lock().await.take().unwrap().await.unwrap();
                        Ok(7)
                    }
                })
                .into_stub()
        }),
    );
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(serve(listener, app).shutdown_on(async {
        let _ = stopped.await;
    }));
    // An idle connection does not delay the shutdown.
    let idle = TcpStream::connect(address).await.unwrap();
    let batch: Stub = capnweb::http::batch(format!("http://{address}/"));
    let waiting = tokio::spawn(batch.call("wait", ()).fetch::<u32>());
    soon(call).await.unwrap();
    stop.send(()).unwrap();
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!serving.is_finished());
    go.send(()).unwrap();
    assert_eq!(soon(waiting).await.unwrap().unwrap(), 7);
    soon(serving).await.unwrap().unwrap();
    drop(idle);
}

#[tokio::test]
async fn a_web_socket_is_opened_over_http2() {
    let server = Server::of(rpc(api)).await;
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let (sender, connection) = client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let mut sender: client::SendRequest<Bytes> = sender.ready().await.unwrap();
    // Send a batch first, so that the server's settings are known.
    let request = axum::http::Request::post("http://localhost/")
        .body(())
        .unwrap();
    let (response, mut send) = sender.send_request(request, false).unwrap();
    send.send_data(Bytes::new(), true).unwrap();
    assert_eq!(soon(response).await.unwrap().status(), 200);
    assert!(sender.is_extended_connect_protocol_enabled());
    let request = axum::http::Request::builder()
        .method("CONNECT")
        .uri("http://localhost/")
        .header("sec-websocket-version", "13")
        .extension(Protocol::from_static("websocket"))
        .body(())
        .unwrap();
    let (response, mut send) = sender.send_request(request, false).unwrap();
    let response = soon(response).await.unwrap();
    assert_eq!(response.status(), 200);
    // Masked with zeros, which leaves the text unchanged.
    let frame = |text: &str| {
        let len = 0x80 | u8::try_from(text.len()).unwrap();
        [&[0x81, len, 0, 0, 0, 0], text.as_bytes()].concat().into()
    };
    let push = frame(r#"["push",["pipeline",0,["square"],[3]]]"#);
    send.send_data(push, false).unwrap();
    send.send_data(frame(r#"["pull",1]"#), false).unwrap();
    let mut receive = response.into_body();
    let mut answer = Vec::new();
    while answer.len() < 2 + r#"["resolve",1,9]"#.len() {
        answer.extend_from_slice(&soon(receive.data()).await.unwrap().unwrap());
    }
    assert_eq!(&answer[2..], br#"["resolve",1,9]"#);
}

/// Waits until both ends of this number of connections are idle, with or without a keep-alive
/// timer.
#[cfg(target_os = "linux")]
async fn has_keep_alive(port: u16, connections: usize, expected: bool) {
    let idle = async {
        while capnweb_test_support::keep_alive_timers(port) != vec![expected; 2 * connections] {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let timers = || capnweb_test_support::keep_alive_timers(port);
    let waited = tokio::time::timeout(Duration::from_secs(5), idle).await;
    assert!(waited.is_ok(), "{expected}: {:?}", timers());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn both_ends_of_a_connection_ask_for_each_other() {
    for keep_alive in [Some(Duration::from_secs(30)), None] {
        let (listener, address) = listen().await;
        let route = capnweb::axum::Rpc::new(api).tcp_keep_alive(keep_alive);
        let app = Router::new().route("/", route.route());
        tokio::spawn(serve(listener, app).tcp_keep_alive(keep_alive));
        let socket = capnweb::ws::Connect::new(format!("ws://{address}/"))
            .tcp_keep_alive(keep_alive)
            .session();
        let _socket = soon(socket).await.unwrap();
        has_keep_alive(address.port(), 1, keep_alive.is_some()).await;

        let (listener, address) = listen().await;
        let server = capnweb::lines::Server::new(|_| api()).tcp_keep_alive(keep_alive);
        tokio::spawn(capnweb::tcp::serve_with(listener, server));
        let client = capnweb::lines::Client::new().tcp_keep_alive(keep_alive);
        let _session = capnweb::tcp::connect_with(address, &client).await.unwrap();
        has_keep_alive(address.port(), 1, keep_alive.is_some()).await;
    }
    // A connection that is not a WebSocket yet, with `serve` and with axum's own server.
    let (listener, address) = listen().await;
    tokio::spawn(serve(listener, Router::new().route("/", rpc(api))));
    let batch: Stub = capnweb::http::batch(format!("http://{address}/"));
    assert_eq!(
        soon(batch.call("square", (3,)).fetch::<f64>())
            .await
            .unwrap(),
        9.0
    );
    has_keep_alive(address.port(), 1, true).await;
    let (listener, address) = listen().await;
    let app = Router::new().route("/", rpc(api));
    tokio::spawn(async { axum::serve(listener, app).await });
    let socket = capnweb::ws::Connect::new(format!("ws://{address}/")).session();
    let _socket = soon(socket).await.unwrap();
    has_keep_alive(address.port(), 1, true).await;
}
