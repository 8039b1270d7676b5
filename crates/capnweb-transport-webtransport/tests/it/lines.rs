//! Variants of the framing that other senders may use.

use std::time::Duration;

use crate::support::{Raw, serve, serve_with};

const PUSH: &str = r#"["push",["pipeline",0,["square"],[3]]]"#;

#[tokio::test]
async fn lines_are_read_leniently() {
    let served = serve();
    let mut peer = Raw::connect(&served).await;
    peer.send(format!("\n\r\n{PUSH}\r\n\n  \n[\"pull\",")).await;
    // A message may arrive in several pieces.
    tokio::time::sleep(Duration::from_millis(20)).await;
    peer.send("1]\n").await;
    assert_eq!(peer.line().await.unwrap(), r#"["resolve",1,9]"#);
}

#[tokio::test]
async fn the_last_line_needs_no_newline() {
    let served = serve();
    let mut peer = Raw::connect(&served).await;
    peer.send(format!("{PUSH}\n[\"pull\",1]")).await;
    peer.send.finish().await.unwrap();
    // The end of the stream ends the session, but earlier messages still count.
    while let Some(line) = peer.line().await {
        assert_eq!(line, r#"["resolve",1,9]"#);
    }
}

#[tokio::test]
async fn the_session_lives_on_one_stream() {
    let served = serve();
    let mut peer = Raw::connect(&served).await;
    // The server answers on this stream, and rejects others.
    peer.send(format!("{PUSH}\n[\"pull\",1]\n")).await;
    assert_eq!(peer.line().await.unwrap(), r#"["resolve",1,9]"#);
    for _ in 0..20 {
        let (mut send, mut receive) = peer.connection.open_bi().await.unwrap().await.unwrap();
        let _ = send.write_all(b"[\"abort\",1]\n").await;
        assert!(receive.read(&mut [0; 8]).await.is_err());
    }
    peer.send(format!("{PUSH}\n[\"pull\",2]\n")).await;
    assert_eq!(peer.line().await.unwrap(), r#"["resolve",2,9]"#);
}

#[tokio::test]
async fn a_frame_that_is_no_message_ends_the_session() {
    for (text, part) in [
        (&b"nonsense\n"[..], "abort"),
        (b"[\"push\"\xff]\n", "UTF-8"),
    ] {
        let served = serve();
        let mut peer = Raw::connect(&served).await;
        peer.send(text).await;
        let line = peer.line().await.unwrap();
        assert!(line.starts_with(r#"["abort","#), "{line}");
        assert!(line.contains(part), "{line}");
        assert_eq!(peer.line().await, None);
    }
}

#[tokio::test]
async fn a_message_that_is_too_long() {
    let options = capnweb_core::SessionOptions::new()
        .with_limits(capnweb_core::Limits::default().with_max_message_size(1000));
    let served = serve_with(|server| {
        server
            .route("/api", |_| crate::support::api())
            .options(options)
    });
    let mut peer = Raw::connect(&served).await;
    // This message has no end.
    let text = "x".repeat(1 << 16);
    let mut answer = [0; 4096];
    let len = loop {
        tokio::select! {
            read = peer.receive.read(&mut answer) => break read.unwrap().unwrap(),
            written = peer.send.write_all(text.as_bytes()) => written.unwrap(),
        }
    };
    let line = std::str::from_utf8(&answer[..len]).unwrap();
    assert!(line.starts_with(r#"["abort","#), "{line}");
    assert!(line.contains("1000 UTF-16 code units"), "{line}");
}
