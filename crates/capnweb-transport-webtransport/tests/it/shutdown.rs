//! A server that stops.

use std::time::Duration;

use capnweb_core::{Bytes, ConnectFailure, Error, Object, Readable, Stub};
use futures_util::{StreamExt, stream};
use tokio::sync::{mpsc, oneshot};

use crate::support::{failure, serve, serve_for, soon};

#[tokio::test]
async fn a_server_without_sessions_stops_at_once() {
    let served = serve();
    let url = served.url("/api");
    let connect = served.at("/api").timeout(Duration::from_millis(200));
    soon(served.stop()).await.unwrap();
    assert_eq!(failure(connect, &url).await.0, ConnectFailure::Unreachable);
}

#[tokio::test]
async fn calls_under_way_finish() {
    let (started, mut starts) = mpsc::unbounded_channel();
    let (finish, finished) = oneshot::channel::<u32>();
    let finished = std::sync::Mutex::new(Some(finished));
    let served = serve_for(
        |server| {
            server.route("/api", move |_| {
                let finished = finished.lock().unwrap().take();
                let started = started.clone();
                Object::new()
                    .method("wait", {
                        let finished = std::sync::Mutex::new(finished);
                        move || {
                            started.send(()).unwrap();
                            let finished = finished.lock().unwrap().take();
                            async move { finished.unwrap().await.map_err(|_| Error::internal()) }
                        }
                    })
                    .into_stub()
            })
        },
        Duration::from_secs(60),
    );
    let url = served.url("/api");
    let another = served.at("/api");
    let client = soon(served.at("/api").session()).await.unwrap();
    let api: Stub = client.main();
    let waiting = api.call("wait", ()).fetch::<u32>();
    soon(starts.recv()).await.unwrap();

    let stopping = served.stop();
    // New clients are refused.
    assert_eq!(failure(another, &url).await.0, ConnectFailure::Refused);
    assert!(!stopping.is_finished() && client.end_reason().is_none());

    finish.send(7).unwrap();
    assert_eq!(soon(waiting).await.unwrap(), 7);
    assert_eq!(
        soon(client.closed()).await.message(),
        "the server is shutting down"
    );
    soon(stopping).await.unwrap();
}

#[tokio::test]
async fn streams_under_way_finish() {
    const CHUNKS: usize = 40;
    let served = serve_for(
        |server| {
            server.route("/api", |_| {
                Object::new()
                    .sync_method("download", || {
                        let chunks =
                            (0..CHUNKS).map(|_| Ok::<_, Error>(Bytes::from(vec![7; 100_000])));
                        Ok(Readable::<Bytes>::from_stream(stream::iter(chunks)))
                    })
                    .into_stub()
            })
        },
        Duration::from_secs(60),
    );
    let client = soon(served.at("/api").session()).await.unwrap();
    let download = client.main().call("download", ());
    let mut download = soon(download.fetch::<Readable<Bytes>>()).await.unwrap();
    soon(download.next()).await.unwrap().unwrap();
    let stopping = served.stop();
    let mut chunks = 1;
    while let Some(chunk) = soon(download.next()).await {
        assert_eq!(chunk.unwrap().len(), 100_000);
        chunks += 1;
    }
    assert_eq!(chunks, CHUNKS);
    soon(stopping).await.unwrap();
    assert_eq!(
        soon(client.closed()).await.message(),
        "the server is shutting down"
    );
}

#[tokio::test]
async fn calls_that_do_not_finish_are_cut_off() {
    let served = serve_for(
        |server| server.route("/api", |_| crate::support::api()),
        Duration::from_millis(100),
    );
    let api = served.api().await;
    let hanging = api.call("hang", ()).fetch::<()>();
    soon(api.call("square", (3,)).fetch::<f64>()).await.unwrap();
    let stopping = served.stop();
    let error = soon(hanging).await.unwrap_err();
    assert_eq!(error.message(), "the server is shutting down");
    assert!(error.is_disconnected());
    soon(stopping).await.unwrap();
}
