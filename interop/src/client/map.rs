//! Functions that this side records and the peer applies.

use capnweb::{Callback, Promise, Value};

use super::check::{Checks, Over, ensure, ensure_eq, ensure_err};
use crate::main_object::User;

#[capnweb::value]
#[derive(Debug, PartialEq)]
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
            let squares = api.list(5).map(|i| api.square(i));
            ensure_eq!(squares.await?, [0.0, 1.0, 4.0, 9.0, 16.0]);
            Ok(())
        },
    );

    checks.add(
        "map: tuples, structs, lists and constants",
        Over::BOTH,
        |peer| async move {
            let api = peer.api();
            let made = api.list(2).map(|i| {
                let squared = api.square(&i);
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
            let seen = api.probe().describe(&made);
            let (seen, made) = tokio::try_join!(seen, made)?;
            let plain_and_squared = |plain: f64| Pair {
                plain,
                squared: plain * plain,
            };
            ensure_eq!(
                made[1],
                (plain_and_squared(1.0), vec![1.0], "same".to_owned(), None)
            );
            ensure_eq!(
                seen,
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
            let sums = api.list(4).map(|i| api.add(api.square(&i), api.next(&i)));
            ensure_eq!(sums.await?, [1.0, 3.0, 7.0, 13.0]);
            Ok(())
        },
    );

    checks.add(
        "map: one value, null and undefined",
        Over::BOTH,
        |peer| async move {
            // Call by name, since a typed map requires a list or an option.
            let api = peer.api();
            let once = api
                .call("returnNumber", (6,))
                .map(|n| api.call("square", (n,)));
            ensure_eq!(once.fetch::<u32>().await?, 36);
            let api = peer.api();
            let name = api.call("getUser", ()).map(|user| (user.get("name"),));
            ensure_eq!(name.fetch::<(String,)>().await?, ("Ada".to_owned(),));
            let api = peer.api();
            let null = api.return_null().map(|n| api.square(n));
            let null = Promise::cast::<Value>(null);
            ensure_eq!(null.await?, Value::Null);
            let api = peer.api();
            ensure_eq!(api.return_null().map(|n| api.square(n)).await?, None);
            let api = peer.api();
            let some = Promise::cast::<Option<f64>>(api.return_number(6.0));
            ensure_eq!(some.map(|n| api.square(n)).await?, Some(36.0));
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
            let tags = api.get_user().tags().map(|tag| (tag,));
            ensure_eq!(tags.await?, [("x".to_owned(),)]);
            let api = peer.api();
            let users = Promise::cast::<Vec<User>>(api.echo([api.get_user()]));
            let ids = users.map(|user| api.square(user.id()));
            ensure_eq!(ids.await?, [49.0]);
            Ok(())
        },
    );

    checks.add(
        "map: a map of a map and a map inside a map",
        Over::BOTH,
        |peer| async move {
            let api = peer.api();
            let twice = api.list(3).map(|i| api.square(i)).map(|i| api.next(i));
            ensure_eq!(twice.await?, [1.0, 2.0, 5.0]);
            let api = peer.api();
            let nested = api.list(4).map(|n| {
                api.generate_fibonacci(Promise::cast(n))
                    .map(|f| api.square(f))
            });
            ensure_eq!(
                nested.await?,
                [vec![], vec![0.0], vec![0.0, 1.0], vec![0.0, 1.0, 1.0]]
            );
            Ok(())
        },
    );

    checks.add(
        "map: three levels that use each other's elements",
        Over::BOTH,
        |peer| async move {
            let api = peer.api();
            let cubes = api.list(3).map(|a| {
                api.list(Promise::cast(a.clone())).map(|b| {
                    api.list(2).map(|c| {
                        let sum = api.add(api.add(&a, &b), c);
                        (a.clone(), b.clone(), sum)
                    })
                })
            });
            let pairs = |a: f64, b: f64| [0.0, 1.0].map(|c| (a, b, a + b + c)).to_vec();
            let expected = [
                vec![],
                vec![pairs(1.0, 0.0)],
                vec![pairs(2.0, 0.0), pairs(2.0, 1.0)],
            ];
            ensure_eq!(cubes.await?, expected);
            Ok(())
        },
    );

    checks.add(
        "map: promises and stubs captured from outside",
        Over::BOTH,
        |peer| async move {
            let api = peer.api();
            let nine = api.square(3.0);
            let sums = api.list(3).map(|i| api.add(i, &nine));
            ensure_eq!(sums.await?, [9.0, 10.0, 11.0]);
            let api = peer.api();
            let counter = api.make_counter(100.0);
            let totals = api.list(3).map(|i| counter.increment(i));
            ensure_eq!(totals.await?, [100.0, 101.0, 103.0]);
            Ok(())
        },
    );

    checks.add(
        "map: an awaited stub captured from outside",
        Over::WS,
        |peer| async move {
            let api = peer.api();
            let counter = api.make_counter(100.0).await?;
            let totals = api.list(3).map(|i| counter.increment(i));
            ensure_eq!(totals.await?, [100.0, 101.0, 103.0]);
            Ok(())
        },
    );

    checks.add(
        "map: a function of ours captured from outside",
        Over::WS,
        |peer| async move {
            let api = peer.api();
            let double = Callback::<f64, f64>::new(|x: f64| x * 2.0);
            let doubled = api.list(3).map(|i| double.call(i));
            ensure_eq!(doubled.await?, [0.0, 2.0, 4.0]);
            let passed = api.list(2).map(|i| api.call_function(&double, i));
            let results = passed.map(|outcome| Promise::cast::<f64>(outcome.result()));
            ensure_eq!(results.await?, [0.0, 2.0]);
            Ok(())
        },
    );

    checks.add(
        "map: stubs as elements and as results",
        Over::WS,
        |peer| async move {
            let api = peer.api();
            let counters = peer.probe().stubs().list();
            let values = counters.map(|counter| counter.increment(10.0));
            ensure_eq!(values.await?, [11.0, 12.0]);
            let made = api.list(3).map(|i| api.make_counter(i)).await?;
            ensure_eq!(made.len(), 3);
            for (start, counter) in [0.0, 1.0, 2.0].into_iter().zip(&made) {
                ensure_eq!(counter.increment(()).await?, start + 1.0);
            }
            Ok(())
        },
    );

    checks.add(
        "map: an error in the middle",
        Over::BOTH,
        |peer| async move {
            let api = peer.api();
            let failing = api.list(3).map(|_| api.fail("in the middle"));
            ensure_eq!(ensure_err!(failing.await).message(), "in the middle");
            let api = peer.api();
            let failing = Promise::cast::<Vec<f64>>(api.fail("before")).map(|i| i);
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
            let mapped = api.list(2).map(|i| {
                escaped = Some(i.clone());
                i
            });
            ensure_eq!(mapped.await?, [0.0, 1.0]);
            if let Some(escaped) = escaped {
                let error = ensure_err!(escaped.await);
                ensure!(error.message().contains("map"), error);
            }
            ensure_eq!(api.square(2.0).await?, 4.0);
            Ok(())
        },
    );
}
