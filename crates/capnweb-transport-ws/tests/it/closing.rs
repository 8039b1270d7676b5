//! Ends of sessions.

use capnweb_core::{Error, Session, SessionOptions, Stub};
use capnweb_transport_ws::{Connect, connect};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::{Message, protocol::CloseFrame};

use crate::support::{Raw, serve, soon};

/// Returns a client of this library, and the other end of its WebSocket.
async fn client_and_raw() -> (Session, Raw) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let (session, raw) = tokio::join!(Connect::new(url).session(), Raw::accept(&listener));
    (session.unwrap(), raw)
}

#[tokio::test]
async fn the_peers_close_frame_is_the_reason() {
    let (session, mut peer) = client_and_raw().await;
    let call = session.main().call("anything", ()).fetch::<()>();
    let frame = CloseFrame {
        code: 3000.into(),
        reason: "out of tea".into(),
    };
    peer.send(Message::Close(Some(frame))).await;
    let reason = soon(session.closed()).await;
    assert_eq!(reason.message(), "Peer closed WebSocket: 3000 out of tea");
    assert!(reason.is_disconnected());
    assert_eq!(soon(call).await.unwrap_err().message(), reason.message());
}

#[tokio::test]
async fn a_close_frame_is_answered() {
    let bye = || CloseFrame {
        code: 1000.into(),
        reason: "bye".into(),
    };
    let (_session, mut server) = client_and_raw().await;
    server.send(Message::Close(Some(bye()))).await;
    assert_eq!(server.close_frame().await, (1000, "bye".to_owned()));

    let mut client = Raw::connect(&serve(SessionOptions::new()).await).await;
    client.send(Message::Close(Some(bye()))).await;
    assert_eq!(client.close_frame().await, (1000, "bye".to_owned()));
}

#[tokio::test]
async fn a_close_frame_without_a_code() {
    let (session, mut peer) = client_and_raw().await;
    peer.send(Message::Close(None)).await;
    assert_eq!(
        soon(session.closed()).await.message(),
        "Peer closed WebSocket: 1005 "
    );
}

#[tokio::test]
async fn a_connection_that_just_ends() {
    let (session, peer) = client_and_raw().await;
    drop(peer);
    let reason = soon(session.closed()).await;
    assert!(
        reason.message().starts_with("Peer closed WebSocket: 1006 "),
        "{reason}"
    );
    assert!(reason.is_disconnected());
}

#[tokio::test]
async fn our_reason_is_sent_and_cut_to_fit() {
    let (session, mut peer) = client_and_raw().await;
    session.close(Error::new("ü".repeat(100)));
    let abort = format!(r#"["abort",["error","Error","{}"]]"#, "ü".repeat(100));
    assert_eq!(peer.text().await, abort);
    assert_eq!(peer.close_frame().await, (3000, "ü".repeat(61)));
}

#[tokio::test]
async fn dropping_the_last_stub_closes() {
    let (session, mut peer) = client_and_raw().await;
    let main = session.main();
    drop(session);
    let call = main.call("anything", ());
    drop(main);
    assert_eq!(
        peer.text().await,
        r#"["push",["pipeline",0,["anything"],[]]]"#
    );
    drop(call);
    let reason = "RPC session was shut down by disposing the main stub".to_owned();
    loop {
        match soon(futures_util::StreamExt::next(&mut peer.0)).await {
            Some(Ok(Message::Text(_))) => {}
            Some(Ok(Message::Close(Some(frame)))) => {
                assert_eq!(
                    (u16::from(frame.code), frame.reason.to_string()),
                    (3000, reason)
                );
                break;
            }
            other => panic!("expected a close frame, got {other:?}"),
        }
    }
}

#[tokio::test]
async fn the_servers_session_ends_when_the_client_is_dropped() {
    let url = serve(SessionOptions::new()).await;
    let api: Stub = connect(&url).await.unwrap();
    let (broke, mut breaks) = tokio::sync::mpsc::unbounded_channel();
    // A function that reports when the server releases it.
    struct Tell(tokio::sync::mpsc::UnboundedSender<()>);
    impl Drop for Tell {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    let tell = Tell(broke);
    let callback = Stub::function(move |n: u32| {
        let _held = &tell;
        async move { Ok(n) }
    });
    assert_eq!(
        soon(api.call("callBack", (callback, 1)).fetch::<u32>())
            .await
            .unwrap(),
        1
    );
    drop(api);
    soon(breaks.recv()).await.unwrap();
}

#[test]
fn a_runtime_that_is_shut_down_breaks_the_session() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (session, call) = runtime.block_on(async {
        let url = serve(SessionOptions::new()).await;
        let session = Connect::new(url).session().await.unwrap();
        let call = session.main().call("hang", ()).fetch::<()>();
        (session, call)
    });
    drop(runtime);
    let elsewhere = tokio::runtime::Runtime::new().unwrap();
    let error = elsewhere.block_on(soon(call)).unwrap_err();
    assert!(error.is_disconnected(), "{error}");
    assert!(session.end_reason().unwrap().is_disconnected());
}

#[tokio::test]
async fn an_abort_is_told_with_the_close_code_behind_it() {
    let (session, mut peer) = client_and_raw().await;
    let call = session.main().call("anything", ()).fetch::<()>();
    assert_eq!(
        peer.text().await,
        r#"["push",["pipeline",0,["anything"],[]]]"#
    );
    assert_eq!(peer.text().await, r#"["pull",1]"#);
    let abort = r#"["abort",["error","Error","who are you?"]]"#;
    peer.send(Message::text(abort)).await;
    let frame = CloseFrame {
        code: 4403.into(),
        reason: "who are you?".into(),
    };
    peer.send(Message::Close(Some(frame))).await;
    for reason in [soon(session.closed()).await, soon(call).await.unwrap_err()] {
        assert_eq!(reason.message(), "who are you?");
        assert_eq!(reason.session_end().unwrap().close_code(), Some(4403));
    }
    // The close frame is answered.
    assert_eq!(peer.close_frame().await, (4403, "who are you?".to_owned()));
}
