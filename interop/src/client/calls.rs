//! Calls and properties.

use std::sync::Mutex;

use capnweb::{Stub, Value};

use super::check::{Checks, Over, ensure, ensure_eq, ensure_err};

pub(super) fn checks(checks: &mut Checks) {
    checks.add(
        "calls: the methods of the main object answer",
        Over::BOTH,
        |peer| async move {
            ensure_eq!(peer.api().call("square", (7,)).fetch::<f64>().await?, 49.0);
            let pong = peer.api().call("ping", ()).fetch::<String>().await?;
            ensure!(pong.starts_with("pong from "), pong);
            ensure_eq!(peer.api().call("add", (2, 3)).fetch::<u32>().await?, 5);
            ensure_eq!(
                peer.api().call("add", (0.1, 0.2)).fetch::<f64>().await?,
                0.1 + 0.2
            );
            ensure_eq!(peer.api().call("next", (41,)).fetch::<u32>().await?, 42);
            ensure_eq!(
                peer.api()
                    .call("returnNumber", (-1.5,))
                    .fetch::<f64>()
                    .await?,
                -1.5
            );
            ensure_eq!(
                peer.api().call("list", (4,)).fetch::<Vec<u32>>().await?,
                [0, 1, 2, 3]
            );
            ensure_eq!(peer.api().call("sleep", (5,)).fetch::<u32>().await?, 5);
            let fibonacci = peer
                .api()
                .call("generateFibonacci", (8,))
                .fetch::<Vec<u32>>()
                .await?;
            ensure_eq!(fibonacci, [0, 1, 1, 2, 3, 5, 8, 13]);
            Ok(())
        },
    );

    checks.add(
        "calls: echoArgs gives every argument",
        Over::BOTH,
        |peer| async move {
            ensure_eq!(peer.api().call("echoArgs", ()).await?, Value::Array(vec![]));
            let echoed = peer
                .api()
                .call("echoArgs", (1, [2], "x", None::<u32>))
                .await?;
            let expected = vec![
                Value::from(1.0),
                Value::from(vec![Value::from(2.0)]),
                Value::from("x"),
                Value::Null,
            ];
            ensure_eq!(echoed, Value::from(expected));
            Ok(())
        },
    );

    checks.add(
        "calls: extra arguments are ignored",
        Over::BOTH,
        |peer| async move {
            ensure_eq!(
                peer.api()
                    .call("square", (3, "extra"))
                    .fetch::<u32>()
                    .await?,
                9
            );
            Ok(())
        },
    );

    checks.add(
        "calls: properties and steps through them",
        Over::BOTH,
        |peer| async move {
            ensure_eq!(peer.api().get("version").fetch::<String>().await?, "1.0");
            let nested = peer.probe().get("nested").get("a").get("b");
            ensure_eq!(nested.fetch::<Vec<u32>>().await?, [10, 20, 30]);
            let triple = peer.probe().get("nested").call("triple", (5,));
            ensure_eq!(triple.fetch::<u32>().await?, 15);
            let element = peer.probe().get("nested").get("a").get("b").get(1_u64);
            ensure_eq!(element.fetch::<u32>().await?, 20);
            Ok(())
        },
    );

    checks.add(
        "calls: a property that is not there is undefined",
        Over::BOTH,
        |peer| async move {
            ensure_eq!(peer.api().get("nowhere").await?, Value::Undefined);
            ensure_eq!(
                peer.api().get("version").get("nowhere").await?,
                Value::Undefined
            );
            ensure_eq!(
                peer.api().call("getUser", ()).get("nowhere").await?,
                Value::Undefined
            );
            let error = ensure_err!(peer.api().get("nowhere").get("further").await);
            ensure!(error.is_type_error(), error);
            ensure_eq!(
                error.message(),
                "Cannot read properties of undefined (reading 'further')"
            );
            Ok(())
        },
    );

    checks.add(
        "calls: what is no function is a TypeError",
        Over::BOTH,
        |peer| async move {
            let error = ensure_err!(peer.api().call("nowhere", ()).await);
            ensure!(error.is_type_error(), error);
            ensure_eq!(error.message(), "'nowhere' is not a function.");
            let error = ensure_err!(peer.api().call("getUser", ()).call("name", ()).await);
            ensure_eq!(error.message(), "'name' is not a function.");
            Ok(())
        },
    );

    checks.add(
        "calls: a method read as a property is a callable",
        Over::WS,
        |peer| async move {
            let square = peer.api().get("square").fetch::<Stub>().await?;
            ensure_eq!(square.invoke((6,)).fetch::<u32>().await?, 36);
            ensure_eq!(
                peer.api().get("square").invoke((7,)).fetch::<u32>().await?,
                49
            );
            Ok(())
        },
    );

    checks.add(
        "calls: a thousand in flight",
        Over::BOTH,
        |peer| async move {
            let api = peer.api();
            let calls: Vec<_> = (0..1000_u64)
                .map(|i| api.call("square", (i,)).fetch::<u64>())
                .collect();
            for (i, answer) in (0..).zip(capnweb::join_all(calls).await) {
                ensure_eq!(answer?, i * i);
            }
            Ok(())
        },
    );

    checks.add(
        "calls: one that waits holds up no other",
        Over::WS,
        |peer| async move {
            let api = peer.api();
            let finished = Mutex::new(Vec::new());
            let done = |what: &'static str| {
                if let Ok(mut finished) = finished.lock() {
                    finished.push(what);
                }
            };
            let slow = async {
                api.call("sleep", (200,))
                    .fetch::<u32>()
                    .await
                    .map(|_| done("slow"))
            };
            let quick = async { api.call("ping", ()).await.map(|_| done("quick")) };
            tokio::try_join!(slow, quick)?;
            ensure_eq!(finished.into_inner().unwrap_or_default(), ["quick", "slow"]);
            Ok(())
        },
    );
}
