//! Pings, and peers that do not answer them.

use std::time::Duration;

use capnweb_core::{EndCause, Error, KeepAlive, Object, Session, SessionOptions};
use capnweb_transport_ws::Connect;
use futures_util::{SinkExt, StreamExt};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::sleep,
};
use tokio_tungstenite::tungstenite::{
    Message,
    protocol::frame::{
        Frame,
        coding::{Data, OpCode},
    },
};

use crate::support::{Raw, serve, serve_router, soon};

/// Enough time for a live peer to answer.
const TIMEOUT: Duration = Duration::from_secs(1);

fn options() -> SessionOptions {
    let keep_alive = KeepAlive::new()
        .with_interval(Duration::from_millis(50))
        .with_timeout(TIMEOUT);
    SessionOptions::new().with_keep_alive(keep_alive)
}

/// Starts a call that is never answered. Returns it, and the server's end of the connection.
async fn hanging_call() -> (JoinHandle<Error>, Raw) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let connect = Connect::new(url).options(options());
    let (session, raw) = tokio::join!(connect.session(), Raw::accept(&listener));
    let call = session.unwrap().main().call("hang", ()).fetch::<()>();
    (tokio::spawn(async move { call.await.unwrap_err() }), raw)
}

async fn silence(call: JoinHandle<Error>) -> String {
    let error = soon(call).await.unwrap();
    assert!(error.is_disconnected());
    assert_eq!(
        error.session_end().unwrap().cause(),
        EndCause::Silence,
        "{error}"
    );
    error.message().to_owned()
}

#[tokio::test]
async fn a_client_sends_pings_and_goes_on_when_they_are_answered() {
    let (call, mut server) = hanging_call().await;
    let mut pings = 0;
    while pings < 10 {
        match soon(server.0.next()).await {
            // The next read answers the ping.
            Some(Ok(Message::Ping(payload))) => {
                assert!(payload.is_empty());
                pings += 1;
            }
            // This is the call.
            Some(Ok(Message::Text(_))) if pings == 0 => {}
            other => panic!("expected a ping, got {other:?}"),
        }
    }
    assert!(!call.is_finished());
    server
        .send(r#"["reject",1,["error","Error","enough"]]"#)
        .await;
    assert_eq!(soon(call).await.unwrap().message(), "enough");
}

#[tokio::test]
async fn a_server_sends_pings_and_drops_a_client_that_answers_none() {
    let mut peer = Raw::connect(&serve(options()).await).await;
    let mut pings = 0;
    while pings < 10 {
        match soon(peer.0.next()).await {
            Some(Ok(Message::Ping(_))) => pings += 1,
            other => panic!("expected a ping, got {other:?}"),
        }
    }
    // Read below the library, which would answer the ping. The ping, the abort and the close frame
    // still arrive.
    let socket = peer.0.get_mut();
    let mut rest = Vec::new();
    while !rest.windows(7).any(|part| part == b"[\"abort") {
        assert_ne!(soon(socket.read_buf(&mut rest)).await.unwrap(), 0);
    }
    let words = String::from_utf8_lossy(&rest);
    assert!(words.contains("sent nothing for 1.05s"), "{words}");
}

#[tokio::test]
async fn a_server_that_stands_still_fails_the_calls_of_its_client() {
    let (call, server) = hanging_call().await;
    let message = silence(call).await;
    assert_eq!(
        message,
        "the peer has sent nothing for 1.05s, not even an answer to a ping"
    );
    drop(server);
}

#[tokio::test]
async fn half_a_frame_ends_the_session() {
    let (call, mut server) = hanging_call().await;
    // Send a text frame of 100 bytes, but only five of them.
    let socket = server.0.get_mut();
    socket.write_all(&[0x81, 100]).await.unwrap();
    socket.write_all(b"[\"res").await.unwrap();
    let message = silence(call).await;
    assert_eq!(message, "a message from the peer has stalled for 1.05s");
}

#[tokio::test]
async fn half_a_header_ends_the_session() {
    let (call, mut server) = hanging_call().await;
    server.0.get_mut().write_all(&[0x81]).await.unwrap();
    let message = silence(call).await;
    assert_eq!(message, "a message from the peer has stalled for 1.05s");
}

#[tokio::test]
async fn answers_to_pings_do_not_make_up_for_a_message_that_does_not_go_on() {
    let (call, mut server) = hanging_call().await;
    let first = Frame::message("[\"res", OpCode::Data(Data::Text), false);
    server.send(Message::Frame(first)).await;
    // Each read answers a ping.
    let reading = tokio::spawn(async move {
        let mut pings = 0;
        while let Some(Ok(message)) = server.0.next().await {
            pings += usize::from(message.is_ping());
        }
        pings
    });
    let message = silence(call).await;
    assert_eq!(message, "a message from the peer has stalled for 1.05s");
    assert!(soon(reading).await.unwrap() > 2);
}

#[tokio::test]
async fn a_frame_may_trickle() {
    let (call, mut server) = hanging_call().await;
    let answer = format!(r#"["reject",1,["error","Error","{}"]]"#, "x".repeat(20));
    let len = u8::try_from(answer.len()).unwrap();
    let socket = server.0.get_mut();
    socket.write_all(&[0x81, len]).await.unwrap();
    // In total this takes far longer than the timeout for a silent peer.
    for byte in answer.bytes() {
        sleep(TIMEOUT / 20).await;
        socket.write_all(&[byte]).await.unwrap();
    }
    assert_eq!(soon(call).await.unwrap().message(), "x".repeat(20));
}

#[tokio::test]
async fn pings_of_the_peer_are_signs_of_life() {
    let (call, mut server) = hanging_call().await;
    for _ in 0..20 {
        sleep(TIMEOUT / 10).await;
        server.0.feed(Message::Ping("hello".into())).await.unwrap();
        SinkExt::<Message>::flush(&mut server.0).await.unwrap();
    }
    assert!(!call.is_finished());
    silence(call).await;
}

/// Starts a server whose clients request a long text.
async fn serve_long_text(len: usize) -> (String, tokio::sync::mpsc::UnboundedReceiver<Error>) {
    use axum::{Router, routing::any};
    use capnweb_transport_ws::Upgrade;

    let (ended, ends) = tokio::sync::mpsc::unbounded_channel();
    let url = serve_router(Router::new().route(
        "/",
        any(async move |upgrade: Upgrade| {
            let (_session, mut connection) = Session::server(options());
            let text = move || Ok("x".repeat(len));
            connection.set_main(Object::new().sync_method("text", text).into_stub());
            upgrade.accept(options(), async move |transport| {
                let _ = ended.send(connection.drive(transport).await);
            })
        }),
    ))
    .await;
    (url, ends)
}

/// More than the sockets can buffer.
const LONG: usize = 20_000_000;

/// Connects a client that requests a long text. The test reads the answer.
async fn asking(url: &str) -> TcpStream {
    let mut client = Raw::connect(url).await;
    client.send(r#"["push",["pipeline",0,["text"],[]]]"#).await;
    client.send(r#"["pull",1]"#).await;
    client.0.into_inner()
}

#[tokio::test]
async fn a_client_that_reads_slowly_is_alive() {
    let (url, mut ends) = serve_long_text(LONG).await;
    let mut socket = asking(&url).await;
    let mut part = vec![0; LONG / 12];
    for _ in 0..12 {
        // Longer than the interval, and in total longer than the timeout.
        sleep(TIMEOUT / 4).await;
        soon(socket.read_exact(&mut part)).await.unwrap();
    }
    assert!(ends.try_recv().is_err());
}

#[tokio::test]
async fn a_client_that_does_not_read_is_dropped() {
    let (url, mut ends) = serve_long_text(LONG).await;
    let socket = asking(&url).await;
    let reason = soon(ends.recv()).await.unwrap();
    assert_eq!(reason.session_end().unwrap().cause(), EndCause::Silence);
    assert_eq!(
        reason.message(),
        "the peer has neither sent nor taken anything for 1.05s"
    );
    drop(socket);
}
