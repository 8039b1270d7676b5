//! Functions that we record and the peer applies.

use capnweb::{Stub, Value};
use serde::Serialize;

use super::check::{Checks, Over, ensure, ensure_eq, ensure_err};

#[derive(Serialize)]
struct Pair<A, B> {
    plain: A,
    squared: B,
}

pub(super) fn checks(checks: &mut Checks) {
    checks.add(
        "map: a call for each element",
        Over::BOTH,
        |peer| async move {
            let api = peer.api();
            let squares = api.call("list", (5,)).map(|i| api.call("square", (i,)));
            ensure_eq!(squares.fetch::<Vec<u32>>().await?, [0, 1, 4, 9, 16]);
            Ok(())
        },
    );

    checks.add(
        "map: tuples, structs, lists and constants",
        Over::BOTH,
        |peer| async move {
            let api = peer.api();
            let made = api.call("list", (2,)).map(|i| {
                let squared = api.call("square", (&i,));
                (
                    Pair {
                        plain: i.clone(),
                        squared,
                    },
                    [i],
                    "same",
                    None::<u32>,
                )
            });
            let seen = api.get("probe").call("describe", (&made,));
            ensure_eq!(
                seen.fetch::<String>().await?,
                "[[{plain: number 0, squared: number 0}, [number 0], string \"same\", null], \
             [{plain: number 1, squared: number 1}, [number 1], string \"same\", null]]"
            );
            Ok(())
        },
    );

    checks.add(
        "map: calls that depend on one another",
        Over::BOTH,
        |peer| async move {
            let api = peer.api();
            let sums = api
                .call("list", (4,))
                .map(|i| api.call("add", (api.call("square", (&i,)), api.call("next", (&i,)))));
            ensure_eq!(sums.fetch::<Vec<u32>>().await?, [1, 3, 7, 13]);
            Ok(())
        },
    );

    checks.add(
        "map: one value, null and undefined",
        Over::BOTH,
        |peer| async move {
            let api = peer.api();
            let once = api
                .call("returnNumber", (6,))
                .map(|n| api.call("square", (n,)));
            ensure_eq!(once.fetch::<u32>().await?, 36);
            let api = peer.api();
            let name = api.call("getUser", ()).map(|user| (user.get("name"),));
            ensure_eq!(name.fetch::<(String,)>().await?, ("Ada".to_owned(),));
            let api = peer.api();
            let null = api.call("returnNull", ()).map(|n| api.call("square", (n,)));
            ensure_eq!(null.await?, Value::Null);
            let api = peer.api();
            let undefined = api
                .call("returnUndefined", ())
                .map(|n| api.call("square", (n,)));
            ensure_eq!(undefined.await?, Value::Undefined);
            Ok(())
        },
    );

    checks.add(
        "map: a property of a result, and of the element",
        Over::BOTH,
        |peer| async move {
            let api = peer.api();
            let tags = api.call("getUser", ()).get("tags").map(|tag| (tag,));
            ensure_eq!(tags.fetch::<Vec<(String,)>>().await?, [("x".to_owned(),)]);
            let api = peer.api();
            let users = api.call("echo", ([api.call("getUser", ())],));
            let ids = users.map(|user| api.call("square", (user.get("id"),)));
            ensure_eq!(ids.fetch::<Vec<u32>>().await?, [49]);
            Ok(())
        },
    );

    checks.add(
        "map: a map of a map and a map inside a map",
        Over::BOTH,
        |peer| async move {
            let api = peer.api();
            let twice = api
                .call("list", (3,))
                .map(|i| api.call("square", (i,)))
                .map(|i| api.call("next", (i,)));
            ensure_eq!(twice.fetch::<Vec<u32>>().await?, [1, 2, 5]);
            let api = peer.api();
            let nested = api.call("list", (4,)).map(|n| {
                api.call("generateFibonacci", (n,))
                    .map(|f| api.call("square", (f,)))
            });
            ensure_eq!(
                nested.fetch::<Vec<Vec<u32>>>().await?,
                [vec![], vec![0], vec![0, 1], vec![0, 1, 1]]
            );
            Ok(())
        },
    );

    checks.add(
        "map: three levels that use each other's elements",
        Over::BOTH,
        |peer| async move {
            let api = peer.api();
            let cubes = api.call("list", (3,)).map(|a| {
                api.call("list", (&a,)).map(|b| {
                    api.call("list", (2,)).map(|c| {
                        let sum = api.call("add", (api.call("add", (&a, &b)), &c));
                        (a.clone(), b.clone(), sum)
                    })
                })
            });
            let list = |n: u32| (0..n).collect::<Vec<_>>();
            let expected: Vec<Vec<Vec<_>>> = (list(3).into_iter())
                .map(|a| {
                    let inner = list(a).into_iter();
                    inner
                        .map(|b| list(2).into_iter().map(|c| (a, b, a + b + c)).collect())
                        .collect()
                })
                .collect();
            ensure_eq!(
                cubes.fetch::<Vec<Vec<Vec<(u32, u32, u32)>>>>().await?,
                expected
            );
            Ok(())
        },
    );

    checks.add(
        "map: promises and stubs captured from outside",
        Over::BOTH,
        |peer| async move {
            let api = peer.api();
            let nine = api.call("square", (3,));
            let sums = api.call("list", (3,)).map(|i| api.call("add", (i, &nine)));
            ensure_eq!(sums.fetch::<Vec<u32>>().await?, [9, 10, 11]);
            let api = peer.api();
            let counter = api.call("makeCounter", (100,));
            let totals = api
                .call("list", (3,))
                .map(|i| counter.call("increment", (i,)));
            ensure_eq!(totals.fetch::<Vec<u32>>().await?, [100, 101, 103]);
            Ok(())
        },
    );

    checks.add(
        "map: an awaited stub captured from outside",
        Over::WS,
        |peer| async move {
            let api = peer.api();
            let counter = api.call("makeCounter", (100,)).fetch::<Stub>().await?;
            let totals = api
                .call("list", (3,))
                .map(|i| counter.call("increment", (i,)));
            ensure_eq!(totals.fetch::<Vec<u32>>().await?, [100, 101, 103]);
            Ok(())
        },
    );

    checks.add(
        "map: a function of ours captured from outside",
        Over::WS,
        |peer| async move {
            let api = peer.api();
            let double = Stub::function(|x: u32| async move { Ok(x * 2) });
            let doubled = api.call("list", (3,)).map(|i| double.invoke((i,)));
            ensure_eq!(doubled.fetch::<Vec<u32>>().await?, [0, 2, 4]);
            let passed = api
                .call("list", (2,))
                .map(|i| api.call("callFunction", (&double, i)));
            let results = passed.map(|outcome| outcome.get("result"));
            ensure_eq!(results.fetch::<Vec<u32>>().await?, [0, 2]);
            Ok(())
        },
    );

    checks.add(
        "map: stubs as elements and as results",
        Over::WS,
        |peer| async move {
            let api = peer.api();
            let counters = peer.probe().call("stubs", ()).get("list");
            let values = counters.map(|counter| counter.call("increment", (10,)));
            ensure_eq!(values.fetch::<Vec<u32>>().await?, [11, 12]);
            let made = api
                .call("list", (3,))
                .map(|i| api.call("makeCounter", (i,)));
            let made = made.fetch::<Vec<Stub>>().await?;
            ensure_eq!(made.len(), 3);
            for (start, counter) in (0..).zip(&made) {
                ensure_eq!(
                    counter.call("increment", ()).fetch::<u32>().await?,
                    start + 1
                );
            }
            Ok(())
        },
    );

    checks.add(
        "map: an error in the middle",
        Over::BOTH,
        |peer| async move {
            let api = peer.api();
            let failing = api
                .call("list", (3,))
                .map(|_| api.call("fail", ("in the middle",)));
            ensure_eq!(ensure_err!(failing.await).message(), "in the middle");
            let api = peer.api();
            let failing = api.call("fail", ("before",)).map(|i| i);
            ensure_eq!(ensure_err!(failing.await).message(), "before");
            Ok(())
        },
    );

    checks.add(
        "map: a placeholder that escapes fails with an error that says so",
        Over::WS,
        |peer| async move {
            let api = peer.api();
            let mut escaped = None;
            let mapped = api.call("list", (2,)).map(|i| {
                escaped = Some(i.clone());
                i
            });
            ensure_eq!(mapped.fetch::<Vec<u32>>().await?, [0, 1]);
            if let Some(escaped) = escaped {
                let error = ensure_err!(escaped.call("toString", ()).await);
                ensure!(error.message().contains("map"), error);
            }
            ensure_eq!(api.call("square", (2,)).fetch::<u32>().await?, 4);
            Ok(())
        },
    );
}
