//! Promises as arguments.

use std::future::IntoFuture;

use capnweb::{Callback, Error, Promise, Value};

use super::check::{Checks, Over, ensure, ensure_eq, ensure_err};

#[capnweb::value]
struct Nested {
    list: Vec<Promise<f64>>,
    deep: Deep,
}

#[capnweb::value]
struct Deep {
    name: Promise<String>,
}

pub(super) fn checks(checks: &mut Checks) {
    checks.add(
        "arguments: promises where values are expected",
        Over::BOTH,
        |peer| async move {
            let api = peer.api();
            let sum = api.add(api.square(2.0), api.square(3.0));
            ensure_eq!(sum.await?, 13.0);
            let api = peer.api();
            ensure_eq!(api.square(api.sleep(20.0)).await?, 400.0);
            let api = peer.api();
            ensure_eq!(api.square(api.get_user().id()).await?, 49.0);
            let api = peer.api();
            let version = Promise::cast::<String>(api.echo(api.version()));
            ensure_eq!(version.await?, "1.0");
            Ok(())
        },
    );

    checks.add(
        "arguments: promises nested in a struct",
        Over::BOTH,
        |peer| async move {
            let api = peer.api();
            let nine = api.square(3.0);
            let nested = Nested {
                list: vec![nine.clone(), nine],
                deep: Deep {
                    name: api.get_user().name(),
                },
            };
            let seen = api.probe().describe(nested);
            ensure_eq!(
                seen.await?,
                "{list: [number 9, number 9], deep: {name: string \"Ada\"}}"
            );
            Ok(())
        },
    );

    checks.add(
        "arguments: a promise for a stub",
        Over::BOTH,
        |peer| async move {
            let api = peer.api();
            let counter = api.make_counter(5.0);
            ensure_eq!(api.increment_counter(&counter, 2.0).await?, 7.0);
            let api = peer.api();
            let later = api.probe().counter_after(10.0, 5.0);
            ensure_eq!(api.use_counter(&later, 3.0).await?, 8.0);
            Ok(())
        },
    );

    checks.add(
        "arguments: a promise of ours that settles later",
        Over::WS,
        |peer| async move {
            let (sender, receiver) = tokio::sync::oneshot::channel::<f64>();
            let ours = Promise::<f64>::from_future(async move {
                receiver.await.map_err(|_| Error::new("never sent"))
            });
            let answer = peer.api().square(&ours).into_future();
            ensure_eq!(peer.api().square(2.0).await?, 4.0);
            ensure_eq!(sender.send(6.0), Ok(()));
            ensure_eq!(answer.await?, 36.0);
            Ok(())
        },
    );

    checks.add(
        "arguments: a promise of ours that fails",
        Over::WS,
        |peer| async move {
            let ours = Promise::<f64>::from_future(async {
                tokio::task::yield_now().await;
                Err::<f64, _>(Error::range_error("ours"))
            });
            let error = ensure_err!(peer.api().square(&ours).await);
            ensure_eq!((error.name(), error.message()), ("RangeError", "ours"));
            Ok(())
        },
    );

    checks.add(
        "arguments: a promise of ours for a stub",
        Over::WS,
        |peer| async move {
            let ours = Promise::<Callback<u32, u32>>::from_future(async {
                tokio::task::yield_now().await;
                Ok(|x: u32| x + 1)
            });
            let answer = peer.api().call_function(&ours, 4).result();
            ensure_eq!(Promise::cast::<u32>(answer).await?, 5);
            Ok(())
        },
    );

    checks.add(
        "arguments: a promise inside a result",
        Over::BOTH,
        |peer| async move {
            let result = peer.probe().call("later", (10, "x")).await?;
            ensure_eq!(result["now"], Value::Bool(true));
            ensure_eq!(result["later"], Value::from("x"));
            let result = peer.probe().later(10.0, "x").await?;
            ensure!(result.now, result.now);
            // In a received value, it has settled.
            ensure_eq!(result.later.await?, Value::from("x"));
            let api = peer.api();
            let later = Promise::cast::<f64>(api.probe().later(10.0, 5).later());
            ensure_eq!(api.square(&later).await?, 25.0);
            Ok(())
        },
    );
}
