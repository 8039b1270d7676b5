//! Calls on results that are not there yet.

use capnweb::{Stub, Value};

use super::check::{Checks, Over, ensure_eq};

pub(super) fn checks(checks: &mut Checks) {
    checks.add(
        "pipelining: a call on the result of a call",
        Over::BOTH,
        |peer| async move {
            let increment = peer.api().call("makeCounter", (4,)).call("increment", (3,));
            ensure_eq!(increment.fetch::<u32>().await?, 7);
            Ok(())
        },
    );

    for (name, wait) in [("is there", None), ("waits", Some(20))] {
        let name = format!("pipelining: calls on a promise that {name} keep their order");
        checks.add(name, Over::BOTH, move |peer| async move {
            let api = peer.api();
            let counter = match wait {
                None => api.call("makeCounter", (0,)),
                Some(ms) => api.get("probe").call("counterAfter", (ms, 0)),
            };
            let (a, b, c, value) = tokio::try_join!(
                counter.call("increment", (1,)).fetch::<u32>(),
                counter.call("increment", (10,)).fetch::<u32>(),
                counter.call("increment", (100,)).fetch::<u32>(),
                counter.get("value").fetch::<u32>(),
            )?;
            ensure_eq!((a, b, c, value), (1, 11, 111, 111));
            Ok(())
        });
    }

    checks.add(
        "pipelining: properties of a result",
        Over::BOTH,
        |peer| async move {
            let name = peer.api().call("getUser", ()).get("name");
            ensure_eq!(name.fetch::<String>().await?, "Ada");
            let tag = peer.api().call("getUser", ()).get("tags").get(0_u64);
            ensure_eq!(tag.fetch::<String>().await?, "x");
            let element = peer.api().call("list", (5,)).get(3_u64);
            ensure_eq!(element.fetch::<u32>().await?, 3);
            ensure_eq!(
                peer.api().call("list", (5,)).get(9_u64).await?,
                Value::Undefined
            );
            Ok(())
        },
    );

    checks.add(
        "pipelining: a method of a stub inside a result",
        Over::BOTH,
        |peer| async move {
            let api = peer.api();
            let stubs = api.get("probe").call("stubs", ());
            let (deep, listed, doubled) = tokio::try_join!(
                stubs
                    .get("deep")
                    .get("counter")
                    .call("increment", (7,))
                    .fetch::<u32>(),
                stubs
                    .get("list")
                    .get(1_u64)
                    .call("increment", (5,))
                    .fetch::<u32>(),
                stubs.call("double", (21,)).fetch::<u32>(),
            )?;
            ensure_eq!((deep, listed, doubled), (10, 7, 42));
            Ok(())
        },
    );

    checks.add(
        "pipelining: three dependent calls in one round trip",
        Over::BOTH,
        |peer| async move {
            let api = peer.api();
            let first = api.call("add", (1, 2));
            let second = api.call("square", (&first,));
            let third = api.call("add", (&second, &first));
            let answers = tokio::try_join!(
                first.fetch::<u32>(),
                second.fetch::<u32>(),
                third.fetch::<u32>(),
            )?;
            ensure_eq!(answers, (3, 9, 12));
            Ok(())
        },
    );

    checks.add(
        "pipelining: a chain of a thousand calls",
        Over::BOTH,
        |peer| async move {
            let api = peer.api();
            let mut at = api.call("next", (0,));
            for _ in 1..1000 {
                at = api.call("next", (&at,));
            }
            ensure_eq!(at.fetch::<u32>().await?, 1000);
            Ok(())
        },
    );

    checks.add(
        "pipelining: a promise is good for more after it was awaited",
        Over::WS,
        |peer| async move {
            let api = peer.api();
            let promise = api.call("makeCounter", (1,));
            let counter = promise.fetch::<Stub>().await?;
            ensure_eq!(counter.call("increment", (1,)).fetch::<u32>().await?, 2);
            ensure_eq!(promise.call("increment", (1,)).fetch::<u32>().await?, 3);
            ensure_eq!(
                promise
                    .fetch::<Stub>()
                    .await?
                    .get("value")
                    .fetch::<u32>()
                    .await?,
                3
            );
            let nine = api.call("square", (3,));
            ensure_eq!(nine.fetch::<u32>().await?, 9);
            ensure_eq!(nine.fetch::<u32>().await?, 9);
            ensure_eq!(api.call("square", (&nine,)).fetch::<u32>().await?, 81);
            ensure_eq!(
                api.call("useCounter", (&promise, 1)).fetch::<u32>().await?,
                4
            );
            Ok(())
        },
    );

    checks.add(
        "pipelining: a promise dropped while calls on it are under way",
        Over::WS,
        |peer| async move {
            let later = peer.probe().call("counterAfter", (20, 1));
            let increment = later.call("increment", (41,));
            drop(later);
            ensure_eq!(increment.fetch::<u32>().await?, 42);
            Ok(())
        },
    );
}
