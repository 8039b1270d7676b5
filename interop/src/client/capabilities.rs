//! Objects and functions by reference, both ways.

use std::sync::{Arc, Mutex, PoisonError};

use capnweb::{Object, Promise, Stub, Value};
use serde::{Deserialize, Serialize};

use super::check::{Checks, Over, ensure, ensure_eq};

/// A function that adds up what it is called with.
pub(super) fn tally() -> Stub {
    let total = Mutex::new(0);
    Stub::function(move |by: i64| {
        let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
        *total += by;
        let now = *total;
        async move { Ok(now) }
    })
}

/// A counter of ours, and what it has counted to.
fn counter() -> (Stub, Arc<Mutex<i64>>) {
    let total = Arc::new(Mutex::new(0));
    let counted = total.clone();
    let stub = Object::new()
        .sync_method("increment", move |by: Option<i64>| {
            let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
            *total += by.unwrap_or(1);
            Ok(*total)
        })
        .into_stub();
    (stub, counted)
}

#[derive(Serialize, Deserialize)]
struct Held {
    held: Stub,
    note: String,
}

#[derive(Deserialize)]
struct Stubs {
    list: Vec<Stub>,
    deep: Deep,
    double: Stub,
}

#[derive(Deserialize)]
struct Deep {
    counter: Stub,
}

#[derive(Deserialize)]
struct Twice {
    a: Stub,
    b: Stub,
}

pub(super) fn checks(checks: &mut Checks) {
    checks.add(
        "capabilities: objects of the peer keep their state",
        Over::WS,
        |peer| async move {
            let first = peer
                .api()
                .call("makeCounter", (10,))
                .fetch::<Stub>()
                .await?;
            let second = peer.api().call("makeCounter", ()).fetch::<Stub>().await?;
            ensure_eq!(first.call("increment", ()).fetch::<i64>().await?, 11);
            ensure_eq!(first.call("increment", (-5,)).fetch::<i64>().await?, 6);
            ensure_eq!(second.get("value").fetch::<i64>().await?, 0);
            Ok(())
        },
    );

    checks.add(
        "capabilities: the peer's own objects, passed back",
        Over::BOTH,
        |peer| async move {
            let api = peer.api();
            let answer = api.call("callSquare", (&api, 5)).get("result");
            ensure_eq!(answer.fetch::<u32>().await?, 25);
            let api = peer.api();
            let answer = api
                .call("callSquare", (api.call("self", ()), 6))
                .get("result");
            ensure_eq!(answer.fetch::<u32>().await?, 36);
            Ok(())
        },
    );

    checks.add(
        "capabilities: an awaited stub, passed back",
        Over::WS,
        |peer| async move {
            let counter = peer.api().call("makeCounter", (1,)).fetch::<Stub>().await?;
            ensure_eq!(
                peer.api()
                    .call("useCounter", (&counter, 2))
                    .fetch::<u32>()
                    .await?,
                3
            );
            ensure_eq!(counter.get("value").fetch::<u32>().await?, 3);
            Ok(())
        },
    );

    checks.add(
        "capabilities: our functions and objects are called",
        Over::WS,
        |peer| async move {
            let tenfold = Stub::function(|i: u32| async move { Ok(i * 10) });
            let answer = peer.api().call("callFunction", (&tenfold, 4)).get("result");
            ensure_eq!(answer.fetch::<u32>().await?, 40);
            let wrap = Stub::function(|x: Value| async move { Ok((x, "seen")) });
            let answer = peer.api().call("callBack", (wrap, [1, 2])).get("got");
            ensure_eq!(
                answer.fetch::<(Vec<u32>, String)>().await?,
                (vec![1, 2], "seen".to_owned())
            );
            let (counter, counted) = counter();
            ensure_eq!(
                peer.api()
                    .call("incrementCounter", (&counter, 3))
                    .fetch::<u32>()
                    .await?,
                3
            );
            ensure_eq!(
                peer.api()
                    .call("useCounter", (&counter, 4))
                    .fetch::<u32>()
                    .await?,
                7
            );
            ensure_eq!(*counted.lock().unwrap_or_else(PoisonError::into_inner), 7);
            Ok(())
        },
    );

    checks.add(
        "capabilities: a stub of ours comes back inside a struct and works",
        Over::WS,
        |peer| async move {
            let (stub, _) = counter();
            let sent = Held {
                held: stub,
                note: "n".to_owned(),
            };
            let back = peer.api().call("echo", (sent,)).fetch::<Held>().await?;
            ensure_eq!(back.note, "n");
            ensure_eq!(back.held.call("increment", (2,)).fetch::<u32>().await?, 2);
            let again = peer
                .probe()
                .call("decode", (&back,))
                .fetch::<Held>()
                .await?;
            ensure_eq!(again.held.call("increment", (2,)).fetch::<u32>().await?, 4);
            Ok(())
        },
    );

    checks.add(
        "capabilities: a stub of ours comes back as a whole result",
        Over::WS,
        |peer| async move {
            let (stub, _) = counter();
            let back = peer.api().call("echo", (&stub,)).fetch::<Stub>().await?;
            ensure_eq!(back.call("increment", (2,)).fetch::<u32>().await?, 2);
            let piped = peer.api().call("echo", (&stub,)).call("increment", (2,));
            ensure_eq!(piped.fetch::<u32>().await?, 4);
            Ok(())
        },
    );

    checks.add(
        "capabilities: stubs nested in a result all work",
        Over::WS,
        |peer| async move {
            let stubs = peer.probe().call("stubs", ()).fetch::<Stubs>().await?;
            ensure_eq!(stubs.list.len(), 2);
            for (start, counter) in (1..).zip(&stubs.list) {
                ensure_eq!(
                    counter.call("increment", ()).fetch::<u32>().await?,
                    start + 1
                );
            }
            ensure_eq!(stubs.deep.counter.get("value").fetch::<u32>().await?, 3);
            ensure_eq!(stubs.double.invoke((4,)).fetch::<u32>().await?, 8);
            let twice = peer.probe().call("twice", ()).fetch::<Twice>().await?;
            twice.a.call("increment", (5,)).await?;
            drop(twice.a);
            ensure_eq!(twice.b.get("value").fetch::<u32>().await?, 5);
            Ok(())
        },
    );

    checks.add(
        "capabilities: a callback that is kept",
        Over::WS,
        |peer| async move {
            peer.probe().call("keep", (tally(),)).await?;
            ensure_eq!(peer.probe().call("callKept", (2,)).fetch::<u32>().await?, 2);
            ensure_eq!(peer.probe().call("callKept", (3,)).fetch::<u32>().await?, 5);
            peer.probe().call("dropKept", ()).await?;
            Ok(())
        },
    );

    checks.add(
        "capabilities: a callback that gives a stub",
        Over::WS,
        |peer| async move {
            let giver = Stub::function(|_: Value| async { Ok(counter().0) });
            let given = peer.api().call("callBack", (giver, 0)).get("got");
            ensure_eq!(given.call("increment", (9,)).fetch::<u32>().await?, 9);
            Ok(())
        },
    );

    checks.add(
        "capabilities: a callback that calls the peer meanwhile",
        Over::WS,
        |peer| async move {
            let api = peer.api();
            let asking = Stub::function(move |i: u32| {
                let square = api.call("square", (i,)).fetch::<u32>();
                async move { Ok(square.await? + 1) }
            });
            let answer = peer.api().call("callFunction", (&asking, 6)).get("result");
            ensure_eq!(answer.fetch::<u32>().await?, 37);
            Ok(())
        },
    );

    checks.add(
        "capabilities: a callback that answers with a promise of the peer's",
        Over::WS,
        |peer| async move {
            let api = peer.api();
            let forwarding = Stub::function(move |i: u32| {
                let square: Promise<Value> = api.call("square", (i,));
                async move { Ok(square) }
            });
            let answer = peer
                .api()
                .call("callFunction", (&forwarding, 6))
                .get("result");
            ensure_eq!(answer.fetch::<u32>().await?, 36);
            Ok(())
        },
    );

    checks.add(
        "capabilities: a stub of one session through another",
        Over::WS,
        |peer| async move {
            let other = peer.connect().await?;
            let counter = other
                .main()
                .call("makeCounter", (1,))
                .fetch::<Stub>()
                .await?;
            ensure_eq!(
                peer.api()
                    .call("useCounter", (&counter, 2))
                    .fetch::<u32>()
                    .await?,
                3
            );
            let answer = peer
                .api()
                .call("callSquare", (other.main(), 5))
                .get("result");
            ensure_eq!(answer.fetch::<u32>().await?, 25);
            let pending = other.main().get("probe").call("counterAfter", (10, 5));
            ensure_eq!(
                peer.api()
                    .call("incrementCounter", (&pending, 2))
                    .fetch::<u32>()
                    .await?,
                7
            );
            let failing = peer
                .api()
                .call("callFunction", (other.main().get("fail"), "through two"));
            let error = failing.await.err();
            let error = error.as_ref().map(|error| (error.name(), error.message()));
            ensure_eq!(error, Some(("RangeError", "through two")));
            Ok(())
        },
    );

    checks.add(
        "capabilities: a callback of ours through another session",
        Over::WS,
        |peer| async move {
            let other = peer.connect().await?;
            let name = "rust: a callback through another session";
            peer.probe().call("share", (name, tally())).await?;
            let far = other
                .main()
                .get("probe")
                .call("shared", (name,))
                .fetch::<Stub>()
                .await?;
            ensure_eq!(far.invoke((2,)).fetch::<u32>().await?, 2);
            ensure_eq!(far.invoke((3,)).fetch::<u32>().await?, 5);
            let refused = far.call("nowhere", ()).await;
            ensure!(refused.is_err(), refused);
            peer.probe().call("unshare", (name,)).await?;
            Ok(())
        },
    );
}
