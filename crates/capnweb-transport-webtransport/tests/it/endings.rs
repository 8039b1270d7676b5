//! Ends of sessions.

use capnweb_core::{Error, Session, Stub};
use tokio::sync::mpsc;

use crate::support::{Raw, Served, api, serve, serve_with, soon};

/// Starts a server, and returns a receiver of the reasons for which its sessions end.
fn serve_and_watch() -> (Served, mpsc::UnboundedReceiver<Error>) {
    let (ended, ends) = mpsc::unbounded_channel();
    let served = serve_with(|server| {
        server.route("/api", move |request| {
            let closed = request.peer().closed();
            let ended = ended.clone();
            tokio::spawn(async move { ended.send(closed.await) });
            api()
        })
    });
    (served, ends)
}

#[tokio::test]
async fn a_client_that_has_no_more_use_for_it() {
    let (served, mut ends) = serve_and_watch();
    let api = served.api().await;
    soon(api.call("square", (3,)).fetch::<f64>()).await.unwrap();
    drop(api);
    let reason = soon(ends.recv()).await.unwrap();
    assert_eq!(reason.message(), "the peer closed the connection");
    assert!(reason.is_disconnected());
}

#[tokio::test]
async fn the_clients_reason_reaches_the_server() {
    let (served, mut ends) = serve_and_watch();
    let session = soon(served.at("/api").session()).await.unwrap();
    session.close(Error::new("out of tea"));
    assert_eq!(soon(ends.recv()).await.unwrap().message(), "out of tea");
}

#[tokio::test]
async fn the_servers_reason_reaches_the_client() {
    let (hand, mut handed) = mpsc::unbounded_channel::<Option<Session>>();
    let served = serve_with(|server| {
        server.route("/api", move |request| {
            hand.send(request.peer().session()).unwrap();
            api()
        })
    });
    let client = soon(served.at("/api").session()).await.unwrap();
    let call = client.main().call("hang", ()).fetch::<()>();
    let server = soon(handed.recv()).await.unwrap().unwrap();
    server.close(Error::new("out of tea"));
    assert_eq!(soon(client.closed()).await.message(), "out of tea");
    let error = soon(call).await.unwrap_err();
    assert_eq!(error.message(), "out of tea");
    assert!(error.is_disconnected());
}

#[tokio::test]
async fn a_client_that_closes_the_connection() {
    let (served, mut ends) = serve_and_watch();
    let peer = Raw::open(&served).await;
    peer.connection.close(0_u32.into(), b"");
    assert_eq!(
        soon(ends.recv()).await.unwrap().message(),
        "the peer closed the connection"
    );
    let peer = Raw::open(&served).await;
    peer.connection.close(7_u32.into(), b"a bug");
    let reason = soon(ends.recv()).await.unwrap();
    assert!(reason.message().contains("a bug"), "{reason}");
    assert!(reason.is_disconnected());
}

#[tokio::test]
async fn a_client_that_goes_before_it_is_in() {
    let (served, mut ends) = serve_and_watch();
    let (_endpoint, connection) = Raw::without_stream(&served).await;
    connection.close(0_u32.into(), b"");
    let reason = soon(ends.recv()).await.unwrap();
    assert!(reason.message().contains("not opened"), "{reason}");
}

#[tokio::test]
async fn a_stream_that_is_broken_off() {
    let (served, mut ends) = serve_and_watch();
    let mut peer = Raw::open(&served).await;
    peer.send.reset(7_u32.into()).unwrap();
    let reason = soon(ends.recv()).await.unwrap();
    assert_eq!(
        reason.message(),
        "the connection was lost: the peer broke off its stream with code 7"
    );
}

#[tokio::test]
async fn a_server_that_is_no_more() {
    let served = serve();
    let client = soon(served.at("/api").session()).await.unwrap();
    let api: Stub = client.main();
    let call = api.call("hang", ()).fetch::<()>();
    soon(api.call("square", (3,)).fetch::<f64>()).await.unwrap();
    served.abort();
    let reason = soon(client.closed()).await;
    assert!(reason.is_disconnected(), "{reason}");
    assert!(soon(call).await.unwrap_err().is_disconnected());
}

#[tokio::test]
async fn calls_before_the_end_are_still_sent() {
    let (told, mut hear) = mpsc::unbounded_channel();
    let served = serve_with(|server| {
        server.route("/api", move |_| {
            let told = told.clone();
            capnweb_core::Object::new()
                .sync_method("note", move |text: String| {
                    told.send(text.len()).map_err(|_| Error::internal())
                })
                .into_stub()
        })
    });
    let api = served.api().await;
    for _ in 0..10 {
        capnweb_core::Promise::detach(api.call("note", ("x".repeat(300_000),)));
    }
    drop(api);
    for _ in 0..10 {
        assert_eq!(soon(hear.recv()).await.unwrap(), 300_000);
    }
}
