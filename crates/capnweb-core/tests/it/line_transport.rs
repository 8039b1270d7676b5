//! Sessions over byte streams with lines.

use capnweb_core::{
    Error, Limits, LinesTransport, Object, Payload, Session, SessionOptions, Stub, join_all,
};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream, duplex};

use crate::support::{Broken, calculator, idle, within};

fn serve(io: DuplexStream, options: SessionOptions, main: Stub) -> Session {
    let transport = LinesTransport::new(io, options.limits());
    let (session, mut connection) = Session::server(options);
    connection.set_main(main);
    tokio::spawn(connection.drive(transport));
    session
}

fn connect(io: DuplexStream) -> Session {
    let (session, connection) = Session::client(SessionOptions::new());
    tokio::spawn(connection.drive(LinesTransport::new(io, &Limits::default())));
    session
}

/// A peer that writes bytes and reads lines.
struct Raw(BufReader<DuplexStream>);

impl Raw {
    fn client(options: SessionOptions) -> Self {
        let (ours, theirs) = duplex(1 << 16);
        serve(theirs, options, calculator());
        Self(BufReader::new(ours))
    }

    async fn write(&mut self, text: impl AsRef<[u8]>) {
        within(self.0.write_all(text.as_ref())).await.unwrap();
    }

    /// Returns the next line with its newline, or an empty string at the end.
    async fn line(&mut self) -> String {
        let mut line = String::new();
        within(self.0.read_line(&mut line)).await.unwrap();
        line
    }
}

const PUSH: &str = r#"["push",["pipeline",0,["square"],[3]]]"#;

#[tokio::test]
async fn a_peer_that_never_releases_is_still_answered() {
    let mut raw = Raw::client(SessionOptions::new());
    for id in 1..=100 {
        raw.write(format!("{PUSH}\n[\"pull\",{id}]\n")).await;
        assert_eq!(raw.line().await, format!("[\"resolve\",{id},9]\n"));
    }
    // The peer writes without reading meanwhile.
    for id in 101..=400 {
        raw.write(format!("{PUSH}\n")).await;
        tokio::task::yield_now().await;
        raw.write(format!("[\"pull\",{id}]\n")).await;
        tokio::task::yield_now().await;
    }
    for id in 101..=400 {
        assert_eq!(raw.line().await, format!("[\"resolve\",{id},9]\n"));
    }
}

#[tokio::test]
async fn sessions_talk_through_a_narrow_pipe() {
    for capacity in [1, 7, 100_000] {
        let (left, right) = duplex(capacity);
        serve(left, SessionOptions::new(), calculator());
        let session = connect(right);
        let api = session.main();
        let squares = (0..200).map(|n| api.call("square", (n,)).fetch::<u32>());
        let squares: Result<Vec<u32>, Error> =
            within(join_all(squares)).await.into_iter().collect();
        assert_eq!(
            squares.unwrap(),
            (0..200).map(|n| n * n).collect::<Vec<u32>>()
        );
    }
}

#[tokio::test]
async fn long_messages_pass() {
    let (left, right) = duplex(10_000);
    serve(left, SessionOptions::new(), calculator());
    let session = connect(right);
    let long = "näïve ".repeat(100_000);
    let echo = session.main().call("echo", (&long,)).fetch::<String>();
    assert_eq!(within(echo).await.unwrap(), long);
}

#[tokio::test]
async fn very_long_lines_are_received_in_parts() {
    let text = "näïve 語".repeat(200_000);
    let mut peer = Raw::client(SessionOptions::new());
    let push = format!(r#"["push",["pipeline",0,["echo"],["{text}"]]]"#);
    for (id, end) in [(1, "\n"), (3, "\r\n \n\n")] {
        peer.write(format!(
            "{push}{end}{PUSH}\n[\"pull\",{id}]\n[\"pull\",{}]\n",
            id + 1
        ))
        .await;
        assert!(peer.line().await == format!("[\"resolve\",{id},\"{text}\"]\n"));
        assert_eq!(peer.line().await, format!("[\"resolve\",{},9]\n", id + 1));
    }
    // A character is cut by the end of the line.
    peer.write([push.as_bytes(), b"\xe8\n"].concat()).await;
    assert!(peer.line().await.contains("a line is not valid UTF-8"));
    assert_eq!(peer.line().await, "");
}

#[tokio::test]
async fn the_end_of_a_very_long_line_decides_whether_it_was_lost() {
    let (heard, mut was_heard) = tokio::sync::mpsc::unbounded_channel();
    let main = Object::new().sync_method("hear", move |text: String| {
        let _ = heard.send(text.len());
        Ok(())
    });
    let main = main.into_stub();
    let text = "x".repeat(3 << 20);
    let push = format!(r#"["push",["pipeline",0,["hear"],["{text}"]]]"#);
    for (message, is_whole) in [(&push[..], true), (&push[..push.len() - 3], false)] {
        let (mut ours, theirs) = duplex(1 << 16);
        let session = serve(theirs, SessionOptions::new(), main.clone());
        within(ours.write_all(message.as_bytes())).await.unwrap();
        ours.shutdown().await.unwrap();
        let reason = within(session.closed()).await;
        let is_lost = reason.message().contains("in the middle of a message");
        assert_eq!(is_lost, !is_whole, "{reason}");
        assert_eq!(was_heard.try_recv().ok(), is_whole.then_some(text.len()));
    }
}

#[tokio::test]
async fn a_very_long_line_over_the_limit_is_named_in_the_abort() {
    let limits = Limits::default().with_max_message_size(1 << 20);
    let mut peer = Raw::client(SessionOptions::new().with_limits(limits));
    // This line does not end.
    peer.write("x".repeat((3 << 20) + 1)).await;
    let abort = peer.line().await;
    assert!(abort.contains("limit max_message_size"), "{abort}");
}

#[tokio::test]
async fn blank_lines_and_carriage_returns_are_ignored() {
    let mut peer = Raw::client(SessionOptions::new());
    peer.write(format!("\n\r\n{PUSH}\r\n\n[\"pull\",1]")).await;
    within(peer.0.shutdown()).await.unwrap();
    // The end arrived with the message, so the session ended before it could answer, but without an
    // error.
    assert_eq!(peer.line().await, "");

    let mut peer = Raw::client(SessionOptions::new());
    peer.write(format!("\n\r\n{PUSH}\r\n\n[\"pull\",1]\r\n"))
        .await;
    assert_eq!(peer.line().await, "[\"resolve\",1,9]\n");
    peer.write("  \n[\"release\",1,1]\n").await;
    peer.write(format!("{PUSH}\n[\"pull\",2]\n")).await;
    assert_eq!(peer.line().await, "[\"resolve\",2,9]\n");
}

#[tokio::test]
async fn the_last_message_needs_no_newline() {
    let (heard, was_heard) = tokio::sync::oneshot::channel();
    let heard = std::sync::Mutex::new(Some(heard));
    let main = Object::new()
        .sync_method("hear", move |text: String| {
            let heard = heard.lock().unwrap().take();
            heard.map(|heard| heard.send(text));
            Ok(())
        })
        .into_stub();
    let (mut ours, theirs) = duplex(1 << 16);
    serve(theirs, SessionOptions::new(), main);
    ours.write_all(br#"["push",["pipeline",0,["hear"],["the end"]]]"#)
        .await
        .unwrap();
    ours.shutdown().await.unwrap();
    assert_eq!(within(was_heard).await.unwrap(), "the end");
}

#[tokio::test]
async fn an_oversized_line_is_named_in_the_abort() {
    let limits = Limits::default().with_max_message_size(100);
    let mut peer = Raw::client(SessionOptions::new().with_limits(limits));
    // This line does not end.
    peer.write("é".repeat(1000)).await;
    let abort = peer.line().await;
    assert!(abort.starts_with(r#"["abort",["error","#), "{abort}");
    assert!(abort.contains("100 UTF-16 code units"), "{abort}");
    assert_eq!(peer.line().await, "");
}

#[tokio::test]
async fn invalid_utf_8_ends_the_session() {
    let mut peer = Raw::client(SessionOptions::new());
    peer.write(b"[\"pull\xff\"]\n").await;
    assert_eq!(
        peer.line().await,
        "[\"abort\",[\"error\",\"Error\",\"a line is not valid UTF-8\"]]\n"
    );
    assert_eq!(peer.line().await, "");
}

#[tokio::test]
async fn a_malformed_line_is_answered_with_an_abort() {
    let mut peer = Raw::client(SessionOptions::new());
    peer.write("rubbish\n").await;
    let abort = peer.line().await;
    assert!(abort.starts_with(r#"["abort",["error","#), "{abort}");
    assert_eq!(peer.line().await, "");
}

/// Returns the error of a waiting call after the peer has written this text and ended the stream.
async fn lost_after(text: &str) -> Error {
    let (ours, theirs) = duplex(1 << 16);
    let session = connect(theirs);
    let call = session.main().call("wait", ()).fetch::<Payload>();
    let mut ours = ours;
    ours.write_all(text.as_bytes()).await.unwrap();
    drop(ours);
    within(call).await.unwrap_err()
}

#[tokio::test]
async fn a_clean_end_differs_from_a_truncated_message() {
    for text in ["", "\n", "[\"resolve\",7,1]\r\n"] {
        let error = lost_after(text).await;
        assert!(error.is_disconnected());
        assert_eq!(error.message(), "the peer closed the connection", "{text}");
    }
    let error = lost_after(r#"["resolve",1,{"a""#).await;
    assert!(error.is_disconnected());
    assert_eq!(
        error.message(),
        "the connection was lost in the middle of a message"
    );
    let error = lost_after("[\"abort\",[\"error\",\"Error\",\"too late\"]]").await;
    assert_eq!(error.message(), "too late");
}

#[tokio::test]
async fn messages_sent_before_the_peer_stopped_reading_count() {
    // Several times more than is read in one turn.
    let mut said = "[\"resolve\",7,1]\n".repeat(4000);
    said.push_str("[\"abort\",[\"error\",\"Error\",\"this is why\"]]\n");
    let said: &'static [u8] = said.leak().as_bytes();
    let (session, connection) = Session::client(SessionOptions::new());
    let io = tokio::io::join(said, Broken);
    let call = session.main().call("wait", ()).fetch::<Payload>();
    tokio::spawn(connection.drive(LinesTransport::new(io, &Limits::default())));
    assert_eq!(within(call).await.unwrap_err().message(), "this is why");
}

#[tokio::test]
async fn the_abort_reaches_a_peer_that_keeps_writing() {
    let (mut ours, theirs) = duplex(64);
    let session = serve(theirs, SessionOptions::new(), calculator());
    session.close(Error::new("enough"));
    idle().await;
    // Nobody answers these messages, but they are read.
    within(ours.write_all("[\"pull\",1]\n".repeat(1000).as_bytes()))
        .await
        .unwrap();
    let mut words = String::new();
    within(ours.read_to_string(&mut words)).await.unwrap();
    assert_eq!(words, "[\"abort\",[\"error\",\"Error\",\"enough\"]]\n");
}
