//! Messages as MessagePack.

use axum::{Router, routing::any};
use capnweb_core::{Encoding, Limits, Session, SessionOptions, Stub};
use capnweb_transport_ws::{Connect, Upgrade};
use tokio_tungstenite::tungstenite::{Bytes, Message};

use crate::support::{Raw, api, serve_router, soon};

async fn serve(options: SessionOptions) -> String {
    serve_router(Router::new().route(
        "/",
        any(async move |upgrade: Upgrade| {
            let (_session, mut connection) = Session::server(options);
            connection.set_main(api());
            upgrade.encoding(Encoding::MessagePack).serve(connection)
        }),
    ))
    .await
}

fn packed(message: &str) -> Bytes {
    let mut packed = Vec::new();
    Encoding::MessagePack
        .encode(message.as_bytes(), &mut packed)
        .unwrap();
    packed.into()
}

/// Returns the message in the next frame, which must be binary.
async fn next(peer: &mut Raw) -> String {
    let message = soon(futures_util::StreamExt::next(&mut peer.0)).await;
    let Some(Ok(Message::Binary(bytes))) = message else {
        panic!("expected a binary frame, got {message:?}")
    };
    let mut text = String::new();
    let limits = Limits::default();
    Encoding::MessagePack
        .decode(&bytes, &limits, &mut text)
        .unwrap();
    text
}

#[tokio::test]
async fn both_ends_talk_message_pack() {
    let url = serve(SessionOptions::new()).await;
    let client = Connect::new(&url).encoding(Encoding::MessagePack);
    let api: Stub = soon(client.connect()).await.unwrap();
    let square = soon(api.call("square", (7,)).fetch::<u32>()).await;
    assert_eq!(square.unwrap(), 49);
    let text = "ünïcödé ".repeat(10_000);
    let echo = soon(api.call("echo", (&text,)).fetch::<String>()).await;
    assert_eq!(echo.unwrap(), text);
}

#[tokio::test]
async fn frames_are_binary_and_text_is_read_too() {
    let mut peer = Raw::connect(&serve(SessionOptions::new()).await).await;
    peer.send(packed(r#"["push",["pipeline",0,["square"],[3]]]"#))
        .await;
    peer.send(r#"["pull",1]"#).await;
    assert_eq!(next(&mut peer).await, r#"["resolve",1,9]"#);
}

#[tokio::test]
async fn a_frame_that_is_no_message_pack_ends_the_session() {
    let limits = Limits::default().with_max_message_size(100);
    let url = serve(SessionOptions::new().with_limits(limits)).await;
    // An extension, an array that is longer than its frame, and an array without an end.
    let nulls = [&[0xdc, 0, 100][..], &[0xc0; 100]].concat();
    for (frame, code, reason) in [
        (vec![0xd4, 1, 0], 1007, "an extension"),
        (nulls, 1009, "max_message_size"),
        (vec![0x92, 1], 1007, "not whole"),
    ] {
        let mut peer = Raw::connect(&url).await;
        peer.send(Bytes::from(frame)).await;
        let (closed, why) = peer.close_frame().await;
        assert_eq!(closed, code, "{why}");
        assert!(why.contains(reason), "{why}");
    }
    // Only the session checks whether this is a valid message.
    let mut peer = Raw::connect(&url).await;
    peer.send(packed("[1]")).await;
    assert!(next(&mut peer).await.starts_with(r#"["abort","#));
    assert_eq!(peer.close_frame().await.0, 3000);
}
