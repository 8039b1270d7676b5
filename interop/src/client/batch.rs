//! HTTP batches: what is particular to them.

use capnweb::{Stub, http};

use super::check::{Checks, Over, ensure, ensure_eq, ensure_err};

pub(super) fn checks(checks: &mut Checks) {
    checks.add(
        "batch: what is joined travels together",
        Over::BATCH,
        |peer| async move {
            let api = peer.api();
            async fn doubled(api: &Stub, i: u32) -> capnweb::Result<u32> {
                let square = api.call("square", (i,)).fetch::<u32>().await?;
                Ok(square * 2)
            }
            let answers = tokio::try_join!(
                doubled(&api, 1),
                api.call("square", (2,)).fetch::<u32>(),
                async { api.call("square", (3,)).fetch::<u32>().await },
            )?;
            ensure_eq!(answers, (2, 4, 9));
            Ok(())
        },
    );

    checks.add(
        "batch: what was not asked for in time fails",
        Over::BATCH,
        |peer| async move {
            let api = peer.api();
            let late = api.call("square", (3,));
            ensure_eq!(api.call("square", (2,)).fetch::<u32>().await?, 4);
            let error = ensure_err!(late.await);
            ensure!(error.message().contains("Batch RPC request ended"), error);
            let error = ensure_err!(api.call("square", (4,)).await);
            ensure!(error.message().contains("Batch RPC request ended"), error);
            Ok(())
        },
    );

    checks.add(
        "batch: a stub in an answer is spent with its batch",
        Over::BATCH,
        |peer| async move {
            let counter = peer.api().call("makeCounter", (1,)).fetch::<Stub>().await?;
            ensure_err!(counter.call("increment", ()).await);
            Ok(())
        },
    );

    checks.add("batch: every path serves", Over::BATCH, |peer| async move {
        for path in ["", "/", "/api", "/a/b?x=1"] {
            let api: Stub = http::batch(format!("{}{path}", peer.address.http()));
            ensure_eq!(api.call("square", (3,)).fetch::<u32>().await?, 9);
        }
        Ok(())
    });

    checks
        .add(
            "batch: a callback fails at once, with an error that says why",
            Over::BATCH,
            |peer| async move {
                let callback = Stub::function(|i: u32| async move { Ok(i) });
                let error = ensure_err!(peer.api().call("callFunction", (callback, 1)).await);
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
            let callback = Stub::function(move |i: u32| {
                if let Ok(mut sender) = sender.lock()
                    && let Some(sender) = sender.take()
                {
                    let _ = sender.send(i);
                }
                async { Ok(()) }
            });
            let api = peer.api();
            let called = api.get("probe").call("callMany", (callback, 1));
            let other = api.call("square", (2,)).fetch::<u32>();
            ensure_eq!(other.await?, 4);
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
            let api: Stub = http::batch("http://127.0.0.1:9/nobody");
            let error = ensure_err!(api.call("square", (2,)).await);
            ensure!(error.message().contains("http://127.0.0.1:9/nobody"), error);
            ensure!(error.is_disconnected(), error);
            Ok(())
        },
    );

    checks.add(
        "batch: a batch with nothing in it sends nothing",
        Over::BATCH,
        |_| async move {
            let api: Stub = http::batch("http://127.0.0.1:9/nobody");
            drop(api);
            Ok(())
        },
    );
}
