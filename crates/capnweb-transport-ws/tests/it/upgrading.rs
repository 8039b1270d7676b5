//! Requests that cannot become WebSockets.

use std::{future::pending, time::Duration};

use axum::{Router, routing::any, serve::Listener};
use capnweb_core::{Session, SessionOptions};
use capnweb_transport_ws::Upgrade;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    net::TcpStream,
    sync::mpsc,
};

use crate::support::{host, serve, soon};

const KEY: &str = "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const VERSION: &str = "sec-websocket-version: 13\r\n";
const UPGRADE: &str = "connection: keep-alive, Upgrade\r\nupgrade: WebSocket\r\n";

/// Returns the head of the response to a request with these headers, in lower case.
async fn head(url: &str, method: &str, headers: &[&str]) -> String {
    let mut socket = TcpStream::connect(host(url)).await.unwrap();
    let request = format!(
        "{method} / HTTP/1.1\r\nhost: {}\r\n{}\r\n",
        host(url),
        headers.concat()
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
        assert_ne!(soon(socket.read_buf(&mut answer)).await.unwrap(), 0);
    }
    String::from_utf8(answer).unwrap().to_ascii_lowercase()
}

#[tokio::test]
async fn a_request_for_a_web_socket_is_accepted() {
    let url = serve(SessionOptions::new()).await;
    let head = head(&url, "GET", &[UPGRADE, VERSION, KEY]).await;
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    // RFC 6455 contains the answer to this key.
    assert!(
        head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="),
        "{head}"
    );
    assert!(!head.contains("sec-websocket-protocol"), "{head}");
}

#[tokio::test]
async fn the_first_subprotocol_that_both_know_is_selected() {
    let url = serve(SessionOptions::new()).await;
    let offer = "sec-websocket-protocol: unknown, other\r\nsec-websocket-protocol: capnweb\r\n";
    let head = head(&url, "GET", &[UPGRADE, VERSION, KEY, offer]).await;
    assert!(head.contains("sec-websocket-protocol: other\r\n"), "{head}");
}

#[tokio::test]
async fn a_request_that_is_none_is_refused() {
    let url = serve(SessionOptions::new()).await;
    for (method, headers, status) in [
        ("GET", &[][..], "426"),
        ("GET", &[VERSION, KEY], "426"),
        ("GET", &[UPGRADE, KEY], "426"),
        (
            "GET",
            &[UPGRADE, "sec-websocket-version: 8\r\n", KEY],
            "426",
        ),
        ("GET", &[UPGRADE, VERSION], "400"),
        ("GET", &[UPGRADE, VERSION, KEY, KEY], "400"),
        (
            "GET",
            &[UPGRADE, VERSION, KEY, "sec-websocket-key: x\r\n"],
            "400",
        ),
        ("GET", &[UPGRADE, VERSION, "sec-websocket-key: \r\n"], "400"),
        (
            "GET",
            &[UPGRADE, VERSION, "sec-websocket-key: c2hvcnQ=\r\n"],
            "400",
        ),
        (
            "GET",
            &[
                UPGRADE,
                VERSION,
                "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ\r\n",
            ],
            "400",
        ),
        (
            "POST",
            &[UPGRADE, VERSION, KEY, "content-length: 0\r\n"],
            "405",
        ),
    ] {
        let head = head(&url, method, headers).await;
        assert!(
            head.starts_with(&format!("http/1.1 {status} ")),
            "{headers:?}: {head}"
        );
        assert_eq!(
            head.contains("sec-websocket-version: 13\r\n"),
            status == "426",
            "{head}"
        );
    }
}

/// A listener that accepts one existing stream.
struct One(Option<DuplexStream>);

impl Listener for One {
    type Io = DuplexStream;
    type Addr = ();

    async fn accept(&mut self) -> (DuplexStream, ()) {
        match self.0.take() {
            Some(stream) => (stream, ()),
            None => pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_client_that_takes_no_answer_is_given_up() {
    let (ended, mut end) = mpsc::unbounded_channel();
    let app = Router::new().route(
        "/",
        any(async move |upgrade: Upgrade| {
            let (session, connection) = Session::server(SessionOptions::new());
            tokio::spawn(async move { ended.send(session.closed().await) });
            upgrade.timeout(Duration::from_millis(50)).serve(connection)
        }),
    );
    // The answer does not fit into the stream's buffer, and nobody reads it.
    let (mut client, server) = duplex(16);
    tokio::spawn(async { axum::serve(One(Some(server)), app).await });
    let request = format!("GET / HTTP/1.1\r\nhost: x\r\n{UPGRADE}{VERSION}{KEY}\r\n");
    soon(client.write_all(request.as_bytes())).await.unwrap();
    let reason = soon(end.recv()).await.unwrap();
    let message = reason.message();
    assert!(message.contains("no answer within 50ms"), "{message}");
}
