//! Promises as arguments.

use capnweb::{Error, Promise, Stub, Value};
use serde::Serialize;

use super::check::{Checks, Over, ensure_eq, ensure_err};

#[derive(Serialize)]
struct Nested<'a> {
    list: [&'a Promise<Value>; 2],
    deep: Deep<'a>,
}

#[derive(Serialize)]
struct Deep<'a> {
    name: &'a Promise<Value>,
}

pub(super) fn checks(checks: &mut Checks) {
    checks.add(
        "arguments: promises where values are expected",
        Over::BOTH,
        |peer| async move {
            let api = peer.api();
            let sum = api.call("add", (api.call("square", (2,)), api.call("square", (3,))));
            ensure_eq!(sum.fetch::<u32>().await?, 13);
            let api = peer.api();
            ensure_eq!(
                api.call("square", (api.call("sleep", (20,)),))
                    .fetch::<u32>()
                    .await?,
                400
            );
            let api = peer.api();
            let id = api.call("getUser", ()).get("id");
            ensure_eq!(api.call("square", (&id,)).fetch::<u32>().await?, 49);
            let api = peer.api();
            let version = api.call("echo", (api.get("version"),));
            ensure_eq!(version.fetch::<String>().await?, "1.0");
            Ok(())
        },
    );

    checks.add(
        "arguments: promises nested in a struct",
        Over::BOTH,
        |peer| async move {
            let api = peer.api();
            let nine = api.call("square", (3,));
            let name = api.call("getUser", ()).get("name");
            let nested = Nested {
                list: [&nine, &nine],
                deep: Deep { name: &name },
            };
            let seen = api.get("probe").call("describe", (nested,));
            ensure_eq!(
                seen.fetch::<String>().await?,
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
            let counter = api.call("makeCounter", (5,));
            ensure_eq!(
                api.call("incrementCounter", (&counter, 2))
                    .fetch::<u32>()
                    .await?,
                7
            );
            let api = peer.api();
            let later = api.get("probe").call("counterAfter", (10, 5));
            ensure_eq!(api.call("useCounter", (&later, 3)).fetch::<u32>().await?, 8);
            Ok(())
        },
    );

    checks.add(
        "arguments: a promise of ours that settles later",
        Over::WS,
        |peer| async move {
            let (sender, receiver) = tokio::sync::oneshot::channel::<u32>();
            let ours = Promise::<Value>::from_future(async move {
                receiver.await.map_err(|_| Error::new("never sent"))
            });
            let answer = peer.api().call("square", (&ours,)).fetch::<u32>();
            ensure_eq!(peer.api().call("square", (2,)).fetch::<u32>().await?, 4);
            ensure_eq!(sender.send(6), Ok(()));
            ensure_eq!(answer.await?, 36);
            Ok(())
        },
    );

    checks.add(
        "arguments: a promise of ours that fails",
        Over::WS,
        |peer| async move {
            let ours = Promise::<Value>::from_future(async {
                tokio::task::yield_now().await;
                Err::<(), _>(Error::range_error("ours"))
            });
            let error = ensure_err!(peer.api().call("square", (&ours,)).await);
            ensure_eq!((error.name(), error.message()), ("RangeError", "ours"));
            Ok(())
        },
    );

    checks.add(
        "arguments: a promise of ours for a stub",
        Over::WS,
        |peer| async move {
            let ours = Promise::<Value>::from_future(async {
                tokio::task::yield_now().await;
                Ok(Stub::function(|x: u32| async move { Ok(x + 1) }))
            });
            let answer = peer.api().call("callFunction", (&ours, 4)).get("result");
            ensure_eq!(answer.fetch::<u32>().await?, 5);
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
            let api = peer.api();
            let later = api.get("probe").call("later", (10, 5)).get("later");
            ensure_eq!(api.call("square", (&later,)).fetch::<u32>().await?, 25);
            Ok(())
        },
    );
}
