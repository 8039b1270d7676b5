//! Sessions over byte streams with length-prefixed frames.

use capnweb_core::{
    Bytes, Encoding, Error, FramesTransport, Limits, Payload, Session, SessionOptions, join_all,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use crate::support::{Broken, calculator, within};

pub(crate) fn encodings() -> Vec<Encoding> {
    vec![
        Encoding::Json,
        #[cfg(feature = "message-pack")]
        Encoding::MessagePack,
    ]
}

fn serve(io: DuplexStream, encoding: Encoding, options: SessionOptions) {
    let transport = FramesTransport::new(io, encoding, options.limits());
    let (_, mut connection) = Session::server(options);
    connection.set_main(calculator());
    tokio::spawn(connection.drive(transport));
}

fn connect(io: DuplexStream, encoding: Encoding) -> Session {
    let (session, connection) = Session::client(SessionOptions::new());
    tokio::spawn(connection.drive(FramesTransport::new(io, encoding, &Limits::default())));
    session
}

#[tokio::test]
async fn sessions_talk_through_pipes_of_any_capacity() {
    for encoding in encodings() {
        for capacity in [1, 7, 100_000] {
            let (left, right) = duplex(capacity);
            serve(left, encoding, SessionOptions::new());
            let session = connect(right, encoding);
            let api = session.main();
            let squares = (0..100).map(|n| api.call("square", (n,)).fetch::<u32>());
            let squares: Result<Vec<u32>, Error> =
                within(join_all(squares)).await.into_iter().collect();
            let expected: Vec<u32> = (0..100).map(|n| n * n).collect();
            assert_eq!(squares.unwrap(), expected, "{encoding:?}");
        }
        let (left, right) = duplex(10_000);
        serve(left, encoding, SessionOptions::new());
        let session = connect(right, encoding);
        let bytes = Bytes::from((0..=255).cycle().take(1_000_000).collect::<Vec<u8>>());
        let echo = session.main().call("echo", (&bytes,)).fetch::<Bytes>();
        assert_eq!(within(echo).await.unwrap(), bytes, "{encoding:?}");
    }
}

/// Returns a server's answers to these bytes until it ends.
async fn last_words(encoding: Encoding, bytes: &[u8]) -> String {
    let limits = Limits::default().with_max_message_size(100);
    let (mut ours, theirs) = duplex(1 << 16);
    serve(theirs, encoding, SessionOptions::new().with_limits(limits));
    ours.write_all(bytes).await.unwrap();
    let mut words = Vec::new();
    within(ours.read_to_end(&mut words)).await.unwrap();
    let mut text = String::new();
    let frame = words.get(4..).unwrap_or_default();
    encoding
        .decode(frame, &Limits::default(), &mut text)
        .unwrap();
    assert_eq!(
        words[..4],
        u32::try_from(frame.len()).unwrap().to_be_bytes()
    );
    text
}

#[tokio::test]
async fn a_framing_error_is_named_in_the_abort() {
    for encoding in encodings() {
        let words = last_words(encoding, &[0xff; 4]).await;
        assert!(
            words.starts_with(r#"["abort",["error","RangeError","#),
            "{words}"
        );
        assert!(words.contains("max_message_size"), "{words}");
        let words = last_words(encoding, &[0, 0, 0, 1, 0xff]).await;
        assert!(words.starts_with(r#"["abort",["error","#), "{words}");
    }
}

#[tokio::test]
async fn a_truncated_stream_is_reported() {
    for (bytes, reason) in [
        (&b""[..], "the peer closed the connection"),
        (
            b"\0\0",
            "the connection was lost in the middle of a message",
        ),
        (
            b"\0\0\0\x05[",
            "the connection was lost in the middle of a message",
        ),
    ] {
        let (mut ours, theirs) = duplex(1 << 16);
        let session = connect(theirs, Encoding::Json);
        let call = session.main().call("x", ()).fetch::<u32>();
        ours.write_all(bytes).await.unwrap();
        drop(ours);
        let error = within(call).await.unwrap_err();
        assert!(error.is_disconnected());
        assert_eq!(error.message(), reason);
    }
}

#[tokio::test]
async fn messages_sent_before_the_peer_stopped_reading_count() {
    for encoding in encodings() {
        // Several times more than is read in one turn.
        let mut said = Vec::new();
        let abort = r#"["abort",["error","Error","this is why"]]"#;
        for message in [r#"["resolve",7,1]"#]
            .repeat(4000)
            .into_iter()
            .chain([abort])
        {
            let mut frame = Vec::new();
            encoding.encode(message.as_bytes(), &mut frame).unwrap();
            said.extend(u32::try_from(frame.len()).unwrap().to_be_bytes());
            said.extend(frame);
        }
        let said: &'static [u8] = said.leak();
        let (session, connection) = Session::client(SessionOptions::new());
        let io = tokio::io::join(said, Broken);
        let call = session.main().call("wait", ()).fetch::<Payload>();
        tokio::spawn(connection.drive(FramesTransport::new(io, encoding, &Limits::default())));
        assert_eq!(within(call).await.unwrap_err().message(), "this is why");
    }
}
