//! Both ends of a batch.

use std::sync::Arc;

use capnweb::{
    Limits, Object, SessionOptions, Stub,
    axum::{Rpc, rpc},
    http::Batch,
};
use tokio::sync::{Notify, mpsc};

use crate::support::{Server, api, soon};

#[tokio::test]
async fn calls_that_nobody_waits_for_run_on() {
    let (finished, mut finish) = mpsc::unbounded_channel();
    let go_on = Arc::new(Notify::new());
    let wait = go_on.clone();
    let server = Server::of(rpc(move || {
        let (wait, finished) = (wait.clone(), finished.clone());
        Object::new()
            .method("slow", move || {
                let (wait, finished) = (wait.clone(), finished.clone());
                async move {
                    wait.notified().await;
                    Ok(finished.send(()).is_ok())
                }
            })
            .method("quick", async || Ok(1))
            .into_stub()
    }))
    .await;

    let api = server.batch();
    let slow = api.call("slow", ());
    assert_eq!(soon(api.call("quick", ()).fetch::<u32>()).await.unwrap(), 1);
    // The batch is answered, and its session is over.
    drop((api, slow));
    go_on.notify_one();
    soon(finish.recv()).await.unwrap();
}

#[tokio::test]
async fn a_batch_over_the_limit_is_refused() {
    let options = SessionOptions::new().with_limits(Limits::default().with_max_message_size(100));
    let server = Server::of(Rpc::new(api).options(options).route()).await;
    let error = soon(server.batch().call("echo", ("x".repeat(400),)))
        .await
        .unwrap_err();
    let expected = "RPC request failed: 413 Payload Too Large: The request is over the limit";
    assert!(error.message().starts_with(expected), "{error}");
}

#[tokio::test]
async fn the_servers_reason_reaches_every_promise() {
    let options = SessionOptions::new().with_limits(Limits::default().with_max_depth(4));
    let server = Server::of(Rpc::new(api).options(options).route()).await;
    let session = Batch::new(server.http()).session();
    let deep = session
        .main()
        .call("square", ([[[[[[1]]]]]],))
        .fetch::<f64>();
    let fine = session.main().call("square", (1,)).fetch::<f64>();
    let (deep, fine) = soon(async { tokio::join!(deep, fine) }).await;
    let (deep, fine) = (deep.unwrap_err(), fine.unwrap_err());
    assert_eq!(deep.message(), fine.message());
    assert!(deep.message().contains("deep"), "{deep}");
}

#[tokio::test]
async fn batches_can_be_many_at_once() {
    let server = Server::of(rpc(api)).await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..50_u32 {
        let api: Stub = server.batch();
        tasks.spawn(async move { (n, api.call("square", (n,)).fetch::<u32>().await) });
    }
    while let Some(done) = soon(tasks.join_next()).await {
        let (n, square) = done.unwrap();
        assert_eq!(square.unwrap(), n * n);
    }
}
