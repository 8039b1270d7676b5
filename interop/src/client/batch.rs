//! The specifics of HTTP batches.

use capnweb::Callback;
#[cfg(not(target_family = "wasm"))]
use capnweb::OrInternal;
#[cfg(not(target_family = "wasm"))]
use tokio::net::{TcpListener, TcpStream};

use super::{
    check::{Checks, Over, ensure, ensure_eq, ensure_err},
    connect,
};
use crate::main_object::MainStub;

pub(super) fn checks(checks: &mut Checks) {
    checks.add(
        "batch: what is joined travels together",
        Over::BATCH,
        |peer| async move {
            let api = peer.api();
            async fn doubled(api: &MainStub, i: f64) -> capnweb::Result<f64> {
                Ok(api.square(i).await? * 2.0)
            }
            let answers = tokio::try_join!(doubled(&api, 1.0), api.square(2.0), async {
                api.square(3.0).await
            },)?;
            ensure_eq!(answers, (2.0, 4.0, 9.0));
            Ok(())
        },
    );

    checks.add(
        "batch: what was not asked for in time fails",
        Over::BATCH,
        |peer| async move {
            let api = peer.api();
            let late = api.square(3.0);
            ensure_eq!(api.square(2.0).await?, 4.0);
            let error = ensure_err!(late.await);
            ensure!(error.message().contains("Batch RPC request ended"), error);
            let error = ensure_err!(api.square(4.0).await);
            ensure!(error.message().contains("Batch RPC request ended"), error);
            Ok(())
        },
    );

    checks.add(
        "batch: a stub in an answer is spent with its batch",
        Over::BATCH,
        |peer| async move {
            let counter = peer.api().make_counter(1.0).await?;
            let error = ensure_err!(counter.increment(()).await);
            ensure!(error.message().contains("Batch RPC request ended"), error);
            Ok(())
        },
    );

    checks.add("batch: every path serves", Over::BATCH, |peer| async move {
        for path in ["", "/", "/api", "/a/b?x=1"] {
            let api: MainStub = connect::batch(format!("{}{path}", peer.address.http()));
            ensure_eq!(api.square(3.0).await?, 9.0);
        }
        Ok(())
    });

    checks
        .add(
            "batch: a callback fails at once, with an error that says why",
            Over::BATCH,
            |peer| async move {
                let callback = Callback::<u32, u32>::new(|i: u32| i);
                let called = peer.api().call_function(callback, 1).result();
                let error = ensure_err!(called.await);
                ensure!(error.message().contains("WebSocket"), error);
                Ok(())
            },
        )
        .not_node("the reference never answers");

    checks.add(
        "batch: a callback that nobody waits for is run when the answer comes",
        Over::BATCH,
        |peer| async move {
            let (sender, receiver) = tokio::sync::oneshot::channel();
            let sender = std::sync::Mutex::new(Some(sender));
            let callback = Callback::<u32>::new(move |i: u32| {
                if let Ok(mut sender) = sender.lock()
                    && let Some(sender) = sender.take()
                {
                    let _ = sender.send(i);
                }
            });
            let api = peer.api();
            let called = api.probe().call_many(callback, 1);
            ensure_eq!(api.square(2.0).await?, 4.0);
            drop(called);
            let heard = receiver.await.ok();
            ensure_eq!(heard, Some(0));
            Ok(())
        },
    );

    checks.add(
        "batch: a server that is not there is a clear error",
        Over::BATCH,
        |_| async move {
            let api: MainStub = connect::batch("http://127.0.0.1:9/nobody");
            let error = ensure_err!(api.square(2.0).await);
            ensure!(error.message().contains("http://127.0.0.1:9/nobody"), error);
            ensure!(error.is_disconnected(), error);
            Ok(())
        },
    );

    // A page cannot listen.
    #[cfg(not(target_family = "wasm"))]
    checks.add(
        "batch: a batch with nothing in it sends nothing",
        Over::BATCH,
        |peer| async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.or_internal()?;
            let address = listener.local_addr().or_internal()?;
            let api: MainStub = connect::batch(format!("http://{address}/"));
            drop(api);
            // This leaves time for a request to another server, and so also to this one.
            ensure_eq!(peer.api().square(2.0).await?, 4.0);
            let ours = TcpStream::connect(address).await.or_internal()?;
            let (_, first) = listener.accept().await.or_internal()?;
            ensure_eq!(first, ours.local_addr().or_internal()?);
            Ok(())
        },
    );
}
