//! Limits for all clients of a server together.

use std::{net::SocketAddr, time::Duration};

use axum::Router;
use capnweb::{
    Limits, Object, ServerLimits, SessionOptions, Stub,
    axum::{Rpc, serve},
    lines, tcp,
    transport::ByteBudget,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::support::{Folder, api, soon};

const SHORT: Duration = Duration::from_millis(400);

const UPGRADE: &str = "GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
    sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

const BATCH: &str = "[\"push\",[\"pipeline\",0,[\"square\"],[3]]]\n[\"pull\",1]";

fn post(len: usize, body: &str) -> String {
    format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {len}\r\n\r\n{body}")
}

/// The length of the result of the method `long`.
const LONG: usize = 16 << 20;

fn long_api() -> Stub {
    Object::new()
        .method("square", async |n: f64| Ok(n * n))
        .method("long", async || Ok("x".repeat(LONG)))
        .into_stub()
}

async fn start(limits: &ServerLimits) -> SocketAddr {
    let route = Rpc::new(long_api).server_limits(limits).route();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().route("/", route);
    tokio::spawn(
        serve(listener, app)
            .server_limits(limits)
            .write_timeout(SHORT),
    );
    address
}

async fn send(server: SocketAddr, request: impl AsRef<[u8]>) -> TcpStream {
    let mut stream = TcpStream::connect(server).await.unwrap();
    stream.write_all(request.as_ref()).await.unwrap();
    stream
}

/// Returns the head of a response, in lower case.
async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match soon(stream.read_u8()).await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&head).to_ascii_lowercase()
}

async fn is_served(server: SocketAddr) {
    let batch: Stub = capnweb::http::batch(format!("http://{server}/"));
    let square = soon(batch.call("square", (3,)).fetch::<f64>()).await;
    assert_eq!(square.unwrap(), 9.0);
    let api: Stub = soon(capnweb::ws::connect(format!("ws://{server}/")))
        .await
        .unwrap();
    let square = soon(api.call("square", (3,)).fetch::<f64>()).await;
    assert_eq!(square.unwrap(), 9.0);
}

/// Waits until `count` returns the expected number.
async fn until(expected: usize, count: impl Fn() -> usize) {
    for attempt in 0.. {
        if count() == expected {
            return;
        }
        assert!(attempt < 500, "{} instead of {expected}", count());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn closed(stream: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    // The server may reset a connection from which it has not read everything.
    let _ = soon(stream.read_to_end(&mut rest)).await;
    rest
}

#[tokio::test]
async fn sessions_and_batches_are_bounded() {
    for limits in [
        ServerLimits::new().with_max_sessions(1),
        ServerLimits::new().with_max_sessions_per_address(1),
    ] {
        let server = start(&limits).await;
        let mut first = send(server, UPGRADE).await;
        assert!(head(&mut first).await.starts_with("http/1.1 101 "));
        for request in [UPGRADE, &post(BATCH.len(), BATCH)] {
            let refused = head(&mut send(server, request).await).await;
            assert!(refused.starts_with("http/1.1 503 "), "{refused}");
            assert!(refused.contains("\r\nretry-after: 5\r\n"), "{refused}");
        }
        let error = capnweb::ws::connect::<Stub>(format!("ws://{server}/"))
            .await
            .unwrap_err();
        assert!(error.message().contains("503"), "{error}");
        assert_eq!(limits.sessions(), 1);
        drop(first);
        until(0, || limits.sessions()).await;
        is_served(server).await;
    }
}

#[tokio::test]
async fn a_batch_counts_as_a_session_until_its_answer_is_read() {
    let limits = ServerLimits::new().with_max_sessions(1);
    let server = start(&limits).await;
    let batch = "[\"push\",[\"pipeline\",0,[\"long\"],[]]]\n[\"pull\",1]";
    let mut slow = send(server, post(batch.len(), batch)).await;
    assert!(head(&mut slow).await.starts_with("http/1.1 200 "));
    assert_eq!(limits.sessions(), 1);
    // The client is disconnected after it has read nothing for a while.
    until(0, || limits.sessions()).await;
    is_served(server).await;
}

#[tokio::test]
async fn silent_connections_make_way() {
    let limits = ServerLimits::new().with_max_handshakes(4);
    let server = start(&limits).await;
    let answered = post(BATCH.len(), BATCH);
    for begin in ["", "POST / HT", "POST / HTTP/1.1\r\nhost:", &answered] {
        let mut silent = Vec::new();
        for _ in 0..8 {
            silent.push(send(server, begin).await);
        }
        is_served(server).await;
        assert!(limits.handshakes() <= 4);
        // The oldest connections are closed.
        closed(&mut silent[0]).await;
    }
}

#[tokio::test]
async fn silent_connections_of_one_address_are_bounded() {
    let limits = ServerLimits::new().with_max_handshakes_per_address(2);
    let over_http = start(&limits).await;
    let of_lines = ServerLimits::new().with_max_handshakes_per_address(2);
    let server = lines::Server::new(|_| api()).server_limits(&of_lines);
    let over_tcp = start_lines(server).await;
    for (server, limits) in [(over_http, &limits), (over_tcp, &of_lines)] {
        let mut silent = [send(server, "").await, send(server, "").await];
        until(2, || limits.handshakes()).await;
        // Further connections are closed while the first two are young, and then take their place.
        let mut further = Vec::new();
        let makes_way = async {
            loop {
                let [oldest, _] = &mut silent;
                tokio::select! {
                    read = oldest.read_u8() => break read.unwrap_err(),
                    () = tokio::time::sleep(Duration::from_millis(50)) => {}
                }
                further.push(TcpStream::connect(server).await.unwrap());
            }
        };
        soon(makes_way).await;
        assert!(limits.handshakes() <= 2);
        assert!(closed(&mut further[0]).await.is_empty());
        drop((silent, further));
        until(0, || limits.handshakes()).await;
    }
    is_served(over_http).await;
    is_served_lines(over_tcp).await;
}

#[tokio::test]
async fn a_request_that_is_being_answered_does_not_make_way() {
    let limits = ServerLimits::new().with_max_handshakes(2);
    let slow = || {
        Object::new()
            .method("slow", async || {
                tokio::time::sleep(Duration::from_secs(3)).await;
                Ok(7)
            })
            .into_stub()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = listener.local_addr().unwrap();
    let route = Rpc::new(slow).server_limits(&limits).route();
    tokio::spawn(serve(listener, Router::new().route("/", route)).server_limits(&limits));
    let batch = "[\"push\",[\"pipeline\",0,[\"slow\"],[]]]\n[\"pull\",1]";
    let mut asking = send(server, post(batch.len(), batch)).await;
    until(1, || limits.sessions()).await;
    let mut silent = Vec::new();
    for _ in 0..4 {
        silent.push(send(server, "").await);
    }
    closed(&mut silent[0]).await;
    assert!(head(&mut asking).await.starts_with("http/1.1 200 "));
}

#[tokio::test]
async fn a_web_socket_does_not_make_way() {
    let limits = ServerLimits::new().with_max_handshakes(2);
    let server = start(&limits).await;
    // Open more connections than may wait for a request at a time.
    let mut opening = Vec::new();
    for _ in 0..20 {
        let connect = async move {
            let api: Stub = capnweb::ws::connect(format!("ws://{server}/")).await?;
            Ok::<_, capnweb::Error>(api)
        };
        opening.push(tokio::spawn(connect));
    }
    let mut apis = Vec::new();
    for api in opening {
        apis.push(soon(api).await.unwrap().unwrap());
    }
    let mut silent = Vec::new();
    for _ in 0..6 {
        silent.push(send(server, "").await);
    }
    closed(&mut silent[0]).await;
    for api in &apis {
        let square = soon(api.call("square", (3,)).fetch::<f64>()).await;
        assert_eq!(square.unwrap(), 9.0);
    }
    until(20, || limits.sessions()).await;
}

/// The header of a text frame of 4 MiB.
const LARGE_FRAME: [u8; 14] = [0x81, 0xff, 0, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0];

#[tokio::test]
async fn bytes_of_unfinished_frames_are_bounded() {
    let limits = ServerLimits::new().with_max_unfinished_bytes(3 << 20);
    let server = start(&limits).await;
    let mut first = send(server, UPGRADE).await;
    head(&mut first).await;
    first.write_all(&LARGE_FRAME).await.unwrap();
    first.write_all(&vec![b' '; 1 << 20]).await.unwrap();
    until(1, || usize::from(limits.unfinished().used() >= 1 << 20)).await;

    let mut second = send(server, UPGRADE).await;
    head(&mut second).await;
    // The server may have closed the connection by then.
    let _ = second.write_all(&LARGE_FRAME).await;
    let _ = second.write_all(&vec![b' '; (4 << 20) - 1]).await;
    let frame = closed(&mut second).await;
    assert!(frame.is_empty() || frame[0] == 0x88, "{frame:?}");
    if let Some(code) = frame.get(2..4) {
        assert_eq!(code, 1013_u16.to_be_bytes());
    }
    // Other clients are not affected.
    is_served(server).await;
    assert!(limits.unfinished().used() <= 3 << 20);
    drop(first);
    until(0, || limits.unfinished().used()).await;
}

#[tokio::test]
async fn bytes_of_unfinished_batches_are_bounded() {
    let limits = ServerLimits::new().with_max_unfinished_bytes(3 << 20);
    let server = start(&limits).await;
    let spaces = " ".repeat(1 << 20);
    let first = send(server, post(4 << 20, &spaces)).await;
    until(1, || usize::from(limits.unfinished().used() >= 1 << 20)).await;
    let mut second = send(server, post(4 << 20, &spaces.repeat(3))).await;
    let refused = head(&mut second).await;
    assert!(refused.starts_with("http/1.1 503 "), "{refused}");
    assert!(refused.contains("\r\nretry-after: 5\r\n"), "{refused}");
    is_served(server).await;
    drop(first);
    until(0, || limits.unfinished().used()).await;
}

#[tokio::test]
async fn bytes_of_unread_answers_are_bounded() {
    let limits = ServerLimits::new().with_max_unread_bytes(LONG * 3 / 2);
    let server = start(&limits).await;
    let batch = "[\"push\",[\"pipeline\",0,[\"long\"],[]]]\n[\"pull\",1]";
    let mut first = send(server, post(batch.len(), batch)).await;
    assert!(head(&mut first).await.starts_with("http/1.1 200 "));
    assert!(limits.unread().used() >= LONG);
    let mut second = send(server, post(batch.len(), batch)).await;
    let refused = head(&mut second).await;
    assert!(refused.starts_with("http/1.1 500 "), "{refused}");
    is_served(server).await;
    // A client that does not read is disconnected, and the memory for its answers is freed.
    until(0, || limits.unread().used()).await;
    assert!(closed(&mut first).await.len() < LONG);
    let mut third = send(server, post(batch.len(), batch)).await;
    assert!(closed_after_all(&mut third).await > LONG);
}

/// Reads a complete response and returns its length.
async fn closed_after_all(stream: &mut TcpStream) -> usize {
    assert!(head(stream).await.starts_with("http/1.1 200 "));
    let mut answer = vec![0; LONG + 1];
    soon(stream.read_exact(&mut answer)).await.unwrap()
}

async fn start_lines(
    server: lines::Server<impl FnMut(&capnweb::Session) -> Stub + Send + 'static>,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(tcp::serve_with(listener, server));
    address
}

async fn is_served_lines(server: SocketAddr) {
    let api: Stub = soon(tcp::connect(server)).await.unwrap();
    let square = soon(api.call("square", (3,)).fetch::<f64>()).await;
    assert_eq!(square.unwrap(), 9.0);
}

#[tokio::test]
async fn sessions_over_tcp_are_bounded() {
    let limits = ServerLimits::new().with_max_sessions(1);
    let server = start_lines(lines::Server::new(|_| api()).server_limits(&limits)).await;
    let first: Stub = soon(tcp::connect(server)).await.unwrap();
    soon(first.call("square", (3,)).fetch::<f64>())
        .await
        .unwrap();
    let mut second = send(server, "").await;
    assert!(closed(&mut second).await.is_empty());
    drop(first);
    until(0, || limits.sessions()).await;
    is_served_lines(server).await;
}

#[tokio::test]
async fn silence_over_tcp_has_an_end() {
    let server = lines::Server::new(|_| api()).first_message_timeout(SHORT);
    let server = start_lines(server).await;
    // Other clients were served before and after.
    is_served_lines(server).await;
    assert!(closed(&mut send(server, "").await).await.is_empty());
    // A client that has sent something may be silent for longer.
    let api: Stub = soon(tcp::connect(server)).await.unwrap();
    for _ in 0..2 {
        soon(api.call("square", (3,)).fetch::<f64>()).await.unwrap();
        tokio::time::sleep(2 * SHORT).await;
    }
}

#[cfg(unix)]
#[tokio::test]
async fn silence_over_a_unix_socket_has_an_end() {
    use capnweb::unix;

    let folder = Folder::new("silence");
    let path = folder.join("socket");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let server = lines::Server::new(|_| api()).first_message_timeout(SHORT);
    tokio::spawn(unix::serve_with(listener, server));
    let mut silent = tokio::net::UnixStream::connect(&path).await.unwrap();
    assert_eq!(soon(silent.read(&mut [0])).await.unwrap(), 0);
    let api: Stub = soon(unix::connect(&path)).await.unwrap();
    let square = soon(api.call("square", (3,)).fetch::<f64>()).await;
    assert_eq!(square.unwrap(), 9.0);
}

#[tokio::test]
async fn silent_connections_over_tcp_make_way() {
    let limits = ServerLimits::new().with_max_handshakes(2);
    let server = start_lines(lines::Server::new(|_| api()).server_limits(&limits)).await;
    let mut silent = Vec::new();
    for _ in 0..4 {
        silent.push(send(server, "").await);
    }
    is_served_lines(server).await;
    assert!(closed(&mut silent[0]).await.is_empty());
}

#[tokio::test]
async fn bytes_of_unfinished_lines_are_bounded() {
    let limits = ServerLimits::new().with_max_unfinished_bytes(3 << 20);
    let server = start_lines(lines::Server::new(|_| api()).server_limits(&limits)).await;
    let first = send(server, " ".repeat(1 << 20)).await;
    until(1, || usize::from(limits.unfinished().used() >= 1 << 20)).await;
    let mut second = send(server, "").await;
    let _ = second.write_all(&vec![b' '; 4 << 20]).await;
    closed(&mut second).await;
    is_served_lines(server).await;
    drop(first);
    until(0, || limits.unfinished().used()).await;
}

#[cfg(feature = "message-pack")]
#[tokio::test]
async fn bytes_of_unfinished_frames_of_a_stream_are_bounded() {
    let budget = ByteBudget::new(1 << 20);
    let (io, mut peer) = tokio::io::duplex(1 << 16);
    let options = SessionOptions::new().with_limits(Limits::default());
    let transport = capnweb::transport::FramesTransport::new(
        io,
        capnweb::Encoding::MessagePack,
        options.limits(),
    )
    .budget(&budget);
    let (_session, connection) = capnweb::Session::server(options);
    let driven = tokio::spawn(connection.drive(transport));
    peer.write_all(&(8_u32 << 20).to_be_bytes()).await.unwrap();
    let mut ended = driven;
    let reason = loop {
        tokio::select! {
            ended = &mut ended => break ended.unwrap(),
            written = peer.write_all(&[0; 1 << 16]) => {
                if written.is_err() {
                    break soon(&mut ended).await.unwrap();
                }
            }
            else => break soon(&mut ended).await.unwrap(),
        }
    };
    assert_eq!(
        reason.exceeded_limit(),
        Some(capnweb::Limit::UnfinishedBytes)
    );
    assert_eq!(budget.used(), 0);
}
