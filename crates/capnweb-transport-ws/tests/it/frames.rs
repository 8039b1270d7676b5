//! The content of frames.

use capnweb_core::{Limits, SessionOptions, Stub};
use capnweb_transport_ws::{Connect, connect};
use futures_util::{SinkExt, StreamExt};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_tungstenite::tungstenite::{
    Bytes, Message,
    protocol::frame::{
        Frame,
        coding::{Data, OpCode},
    },
};

use crate::support::{Raw, host, serve, soon};

const PUSH: &str = r#"["push",["pipeline",0,["square"],[3]]]"#;

#[tokio::test]
async fn a_text_frame_is_a_message() {
    let mut peer = Raw::connect(&serve(SessionOptions::new()).await).await;
    peer.send(PUSH).await;
    peer.send(r#"["pull",1]"#).await;
    assert_eq!(peer.text().await, r#"["resolve",1,9]"#);
}

#[tokio::test]
async fn a_binary_frame_of_text_is_one_too() {
    let mut peer = Raw::connect(&serve(SessionOptions::new()).await).await;
    peer.send(Bytes::from_static(PUSH.as_bytes())).await;
    peer.send(Bytes::from_static(br#"["pull",1]"#)).await;
    assert_eq!(peer.text().await, r#"["resolve",1,9]"#);
}

#[tokio::test]
async fn a_frame_may_hold_several_messages() {
    let mut peer = Raw::connect(&serve(SessionOptions::new()).await).await;
    peer.send("").await;
    peer.send("\r\n").await;
    peer.send(format!("{PUSH}\n[\"pull\",1]\n")).await;
    assert_eq!(peer.text().await, r#"["resolve",1,9]"#);
    peer.send(format!("{PUSH}\r\n\r\n[\"pull\",2]\r\n")).await;
    assert_eq!(peer.text().await, r#"["resolve",2,9]"#);
}

#[tokio::test]
async fn a_message_may_come_in_fragments() {
    let mut peer = Raw::connect(&serve(SessionOptions::new()).await).await;
    let (first, rest) = PUSH.split_at(10);
    let frame = |text: &'static str, kind, last| {
        Message::Frame(Frame::message(text, OpCode::Data(kind), last))
    };
    peer.send(frame(first, Data::Text, false)).await;
    peer.send(frame(rest, Data::Continue, true)).await;
    peer.send(r#"["pull",1]"#).await;
    assert_eq!(peer.text().await, r#"["resolve",1,9]"#);
}

#[tokio::test]
async fn long_messages_are_received_in_parts() {
    let mut peer = Raw::connect(&serve(SessionOptions::new()).await).await;
    let text = "näïve 語".repeat(200_000);
    let push = format!(r#"["push",["pipeline",0,["echo"],["{text}"]]]"#);
    let expected = |id| format!(r#"["resolve",{id},"{text}"]"#);
    peer.send(&*push).await;
    peer.send(r#"["pull",1]"#).await;
    assert!(peer.text().await == expected(1));
    // Fragments cut characters.
    let bytes = Bytes::from(push.clone());
    for (at, kind, is_last) in [
        (0..1000, Data::Text, false),
        (1000..1_500_001, Data::Continue, false),
        (1_500_001..1_500_002, Data::Continue, false),
        (1_500_002..bytes.len(), Data::Continue, true),
    ] {
        let frame = Frame::message(bytes.slice(at), OpCode::Data(kind), is_last);
        peer.send(Message::Frame(frame)).await;
    }
    peer.send(r#"["pull",2]"#).await;
    assert!(peer.text().await == expected(2));
    // A frame of several messages.
    peer.send(format!(
        "{push}\r\n\n{PUSH}\n{push}\n[\"pull\",3]\n[\"pull\",4]\n[\"pull\",5]"
    ))
    .await;
    assert!(peer.text().await == expected(3));
    assert_eq!(peer.text().await, r#"["resolve",4,9]"#);
    assert!(peer.text().await == expected(5));
    // Binary frames of text.
    peer.send(Bytes::from(push)).await;
    peer.send(r#"["pull",6]"#).await;
    assert!(peer.text().await == expected(6));
}

#[tokio::test]
async fn long_bytes_that_are_no_text_end_the_session() {
    let mut bytes = vec![b' '; 3 << 20];
    bytes[2 << 20] = 0xff;
    let bytes = Bytes::from(bytes);
    let mut peer = Raw::connect(&serve(SessionOptions::new()).await).await;
    let frame = Frame::message(bytes.clone(), OpCode::Data(Data::Text), true);
    peer.send(Message::Frame(frame)).await;
    let expected = "a WebSocket message is not valid UTF-8";
    assert_eq!(peer.close_frame().await, (1007, expected.to_owned()));

    let mut peer = Raw::connect(&serve(SessionOptions::new()).await).await;
    peer.send(bytes).await;
    assert!(peer.text().await.contains("is not valid UTF-8"));
}

#[tokio::test]
async fn pings_are_answered() {
    let mut peer = Raw::connect(&serve(SessionOptions::new()).await).await;
    peer.0
        .send(Message::Ping(Bytes::from_static(b"are you there?")))
        .await
        .unwrap();
    match soon(peer.0.next()).await {
        Some(Ok(Message::Pong(bytes))) => assert_eq!(&bytes[..], b"are you there?"),
        other => panic!("expected a pong, got {other:?}"),
    }
}

#[tokio::test]
async fn a_message_may_come_along_with_the_handshake() {
    let url = serve(SessionOptions::new()).await;
    let mut socket = TcpStream::connect(host(&url)).await.unwrap();
    let mut request = format!(
        "GET / HTTP/1.1\r\nhost: {}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        host(&url)
    )
    .into_bytes();
    for message in [PUSH, r#"["pull",1]"#] {
        // A final text frame, masked with zeros, which leave the text unchanged.
        request.extend([
            0x81,
            0x80 | u8::try_from(message.len()).unwrap(),
            0,
            0,
            0,
            0,
        ]);
        request.extend(message.as_bytes());
    }
    socket.write_all(&request).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(br#"["resolve",1,9]"#) {
        assert_ne!(
            soon(socket.read_buf(&mut answer)).await.unwrap(),
            0,
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn bytes_that_are_no_text_end_the_session() {
    let mut peer = Raw::connect(&serve(SessionOptions::new()).await).await;
    peer.send(Bytes::from_static(&[b'[', 0xff])).await;
    assert_eq!(
        peer.close_frame().await,
        (1007, "a WebSocket message is not valid UTF-8".to_owned())
    );

    let mut peer = Raw::connect(&serve(SessionOptions::new()).await).await;
    let bytes = Bytes::from_static(&[b'[', 0xff]);
    peer.send(Message::Frame(Frame::message(
        bytes,
        OpCode::Data(Data::Text),
        true,
    )))
    .await;
    assert_eq!(peer.close_frame().await.0, 1007);
}

#[tokio::test]
async fn a_message_over_the_limit_ends_the_session_and_names_it() {
    let limits = Limits::default().with_max_message_size(100);
    let url = serve(SessionOptions::new().with_limits(limits)).await;
    let mut peer = Raw::connect(&url).await;
    peer.send("x".repeat(301)).await;
    let (code, reason) = peer.close_frame().await;
    assert_eq!(code, 1009);
    assert!(
        reason.contains("300 bytes") && reason.contains("max_message_size"),
        "{reason}"
    );

    // The other end receives the reason.
    let api: Stub = connect(&url).await.unwrap();
    let error = soon(api.call("echo", ("x".repeat(301),)).fetch::<String>())
        .await
        .unwrap_err();
    assert!(error.message().contains("max_message_size"), "{error}");

    // This time the limit is the client's.
    let limits = Limits::default().with_max_message_size(100);
    let client = Connect::new(serve(SessionOptions::new()).await);
    let client = client.options(SessionOptions::new().with_limits(limits));
    let api: Stub = client.connect().await.unwrap();
    let error = soon(api.call("echo", ("x".repeat(301),)).fetch::<String>())
        .await
        .unwrap_err();
    assert!(
        error.is_limit() && error.message().contains("300 bytes"),
        "{error}"
    );

    // The reason arrives even if most of the message is still in flight and is never read.
    let mut peer = Raw::connect(&url).await;
    soon(peer.send("x".repeat(10_000_000))).await;
    assert_eq!(peer.close_frame().await.0, 1009);

    // The same if the message arrives in small fragments.
    let mut peer = Raw::connect(&url).await;
    for kind in [Data::Text, Data::Continue, Data::Continue, Data::Continue] {
        let fragment = Frame::message("x".repeat(100), OpCode::Data(kind), false);
        peer.send(Message::Frame(fragment)).await;
    }
    assert_eq!(peer.close_frame().await.0, 1009);
}

#[tokio::test]
async fn rubbish_is_answered_with_an_abort() {
    let mut peer = Raw::connect(&serve(SessionOptions::new()).await).await;
    peer.send("rubbish").await;
    let abort = peer.text().await;
    assert!(abort.starts_with(r#"["abort",["error","#), "{abort}");
    assert_eq!(peer.close_frame().await.0, 3000);
}

/// Returns the code and reason with which the server closes after receiving these bytes.
async fn closed_for(bytes: &[u8]) -> (u16, String) {
    let mut peer = Raw::connect(&serve(SessionOptions::new()).await).await;
    peer.0.get_mut().write_all(bytes).await.unwrap();
    peer.close_frame().await
}

#[tokio::test]
async fn a_frame_that_is_not_allowed_ends_the_session() {
    for (bytes, code, reason) in [
        (&[0x81, 0x02, b'[', b']'][..], 1002, "not masked"),
        (&[0xc1, 0x80, 0, 0, 0, 0], 1002, "reserved bit"),
        (&[0x83, 0x80, 0, 0, 0, 0], 1002, "opcode 3"),
        (&[0x80, 0x80, 0, 0, 0, 0], 1002, "none was begun"),
        (
            &[0x01, 0x80, 0, 0, 0, 0, 0x81, 0x80, 0, 0, 0, 0],
            1002,
            "before the last one was complete",
        ),
        (&[0x09, 0x80, 0, 0, 0, 0], 1002, "fragmented"),
        (&[0x89, 0xfe, 0, 126, 0, 0, 0, 0], 1002, "125 bytes"),
        (&[0x88, 0x81, 0, 0, 0, 0, 3], 1002, "half a code"),
        (&[0x88, 0x82, 0, 0, 0, 0, 3, 238], 1002, "code 1006"),
        (&[0x88, 0x83, 0, 0, 0, 0, 3, 232, 0xff], 1007, "UTF-8"),
        // The first half of a character, followed by the end of the message.
        (
            &[0x01, 0x81, 0, 0, 0, 0, 0xc3, 0x80, 0x80, 0, 0, 0, 0],
            1007,
            "UTF-8",
        ),
        // The first line is text, but the second is not.
        (
            &[0x81, 0x84, 0, 0, 0, 0, b'[', b']', b'\n', 0xff],
            1007,
            "UTF-8",
        ),
        // The header announces eight exbibytes, which is enough for a refusal.
        (
            &[0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            1009,
            "9223372036854775808 bytes",
        ),
    ] {
        let (closed, why) = closed_for(bytes).await;
        assert!(
            closed == code && why.contains(reason),
            "{bytes:?}: {closed} {why}"
        );
    }
}

#[tokio::test]
async fn a_character_may_be_cut_by_fragments_and_they_by_pings() {
    let mut peer = Raw::connect(&serve(SessionOptions::new()).await).await;
    let text = "äöü€😀";
    let push = format!(r#"["push",["pipeline",0,["echo"],["{text}"]]]"#);
    let mut kind = Data::Text;
    for byte in push.as_bytes().chunks(1) {
        let frame = Frame::message(byte.to_vec(), OpCode::Data(kind), false);
        peer.send(Message::Frame(frame)).await;
        peer.send(Message::Ping(Bytes::copy_from_slice(byte))).await;
        kind = Data::Continue;
    }
    let last = Frame::message(Bytes::new(), OpCode::Data(kind), true);
    peer.send(Message::Frame(last)).await;
    peer.send(r#"["pull",1]"#).await;
    let mut answers = 0;
    loop {
        match soon(peer.0.next()).await {
            Some(Ok(Message::Pong(pong))) => {
                assert_eq!(&pong[..], &push.as_bytes()[answers..=answers]);
                answers += 1;
            }
            Some(Ok(Message::Text(answer))) => {
                assert_eq!(answer.as_str(), format!(r#"["resolve",1,"{text}"]"#));
                break;
            }
            other => panic!("expected a pong or text, got {other:?}"),
        }
    }
    assert_eq!(answers, push.len());
}

#[tokio::test]
async fn the_latest_ping_is_answered_when_the_peer_reads_again() {
    const CALLS: u32 = 40;
    let mut peer = Raw::connect(&serve(SessionOptions::new()).await).await;
    // More than the sockets can buffer.
    let text = "x".repeat(1_000_000);
    for id in 1..=CALLS {
        let push = format!(r#"["push",["pipeline",0,["echo"],["{text}"]]]"#);
        peer.send(push).await;
        peer.send(format!(r#"["pull",{id}]"#)).await;
    }
    for ping in 0..10_000_u32 {
        let ping = Bytes::copy_from_slice(&ping.to_be_bytes());
        peer.send(Message::Ping(ping)).await;
    }
    let (mut texts, mut latest) = (0, None);
    while texts < CALLS || latest != Some(9_999) {
        match soon(peer.0.next()).await {
            Some(Ok(Message::Text(answer))) => {
                assert!(answer.len() > text.len());
                texts += 1;
            }
            Some(Ok(Message::Pong(pong))) => {
                let number = pong.as_ref().try_into().map(u32::from_be_bytes).unwrap();
                assert!(latest.is_none_or(|latest| latest < number));
                latest = Some(number);
            }
            other => panic!("expected text or a pong, got {other:?}"),
        }
    }
}
