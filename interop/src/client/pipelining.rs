//! Calls on results that have not arrived yet.

use capnweb::{Promise, Value};

use super::check::{Checks, Over, ensure_eq};

pub(super) fn checks(checks: &mut Checks) {
    checks.add(
        "pipelining: a call on the result of a call",
        Over::BOTH,
        |peer| async move {
            let increment = peer.api().make_counter(4.0).increment(3.0);
            ensure_eq!(increment.await?, 7.0);
            Ok(())
        },
    );

    for (name, wait) in [("is there", None), ("waits", Some(20.0))] {
        let name = format!("pipelining: calls on a promise that {name} keep their order");
        checks.add(name, Over::BOTH, move |peer| async move {
            let api = peer.api();
            let counter = match wait {
                None => api.make_counter(0.0),
                Some(ms) => api.probe().counter_after(ms, 0.0),
            };
            let (a, b, c, value) = tokio::try_join!(
                counter.increment(1.0),
                counter.increment(10.0),
                counter.increment(100.0),
                counter.value(),
            )?;
            ensure_eq!((a, b, c, value), (1.0, 11.0, 111.0, 111.0));
            Ok(())
        });
    }

    checks.add(
        "pipelining: properties of a result",
        Over::BOTH,
        |peer| async move {
            ensure_eq!(peer.api().get_user().name().await?, "Ada");
            ensure_eq!(peer.api().get_user().tags().at(0).await?, "x");
            ensure_eq!(peer.api().list(5).at(3).await?, 3.0);
            let beyond = Promise::cast::<Value>(peer.api().list(5).at(9));
            ensure_eq!(beyond.await?, Value::Undefined);
            Ok(())
        },
    );

    checks.add(
        "pipelining: a method of a stub inside a result",
        Over::BOTH,
        |peer| async move {
            let api = peer.api();
            let stubs = api.probe().stubs();
            let (deep, listed, doubled) = tokio::try_join!(
                stubs.deep().counter().increment(7.0),
                stubs.list().at(1).increment(5.0),
                stubs.double().call(21.0),
            )?;
            ensure_eq!((deep, listed, doubled), (10.0, 7.0, 42.0));
            Ok(())
        },
    );

    checks.add(
        "pipelining: three dependent calls in one round trip",
        Over::BOTH,
        |peer| async move {
            let api = peer.api();
            let first = api.add(1.0, 2.0);
            let second = api.square(&first);
            let third = api.add(&second, &first);
            let answers = tokio::try_join!(first, second, third)?;
            ensure_eq!(answers, (3.0, 9.0, 12.0));
            Ok(())
        },
    );

    checks.add(
        "pipelining: a chain of a thousand calls",
        Over::BOTH,
        |peer| async move {
            let api = peer.api();
            let mut at = api.next(0.0);
            for _ in 1..1000 {
                at = api.next(&at);
            }
            ensure_eq!(at.await?, 1000.0);
            Ok(())
        },
    );

    checks.add(
        "pipelining: a promise is good for more after it was awaited",
        Over::WS,
        |peer| async move {
            let api = peer.api();
            let promise = api.make_counter(1.0);
            let counter = promise.clone().await?;
            ensure_eq!(counter.increment(1.0).await?, 2.0);
            ensure_eq!(promise.increment(1.0).await?, 3.0);
            ensure_eq!(promise.clone().await?.value().await?, 3.0);
            let nine = api.square(3.0);
            ensure_eq!(nine.clone().await?, 9.0);
            ensure_eq!(nine.clone().await?, 9.0);
            ensure_eq!(api.square(&nine).await?, 81.0);
            ensure_eq!(api.use_counter(&promise, 1.0).await?, 4.0);
            Ok(())
        },
    );

    checks.add(
        "pipelining: a promise dropped while calls on it are under way",
        Over::WS,
        |peer| async move {
            let later = peer.probe().counter_after(20.0, 1.0);
            let increment = later.increment(41.0);
            drop(later);
            ensure_eq!(increment.await?, 42.0);
            Ok(())
        },
    );
}
