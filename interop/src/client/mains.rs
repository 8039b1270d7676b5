//! Main objects on both sides.

use std::{future::IntoFuture, sync::Arc};

use capnweb::{Callback, Promise, Value};

use super::check::{Checks, Over, ensure_eq, ensure_err};

pub(super) fn checks(checks: &mut Checks) {
    checks.add(
        "mains: the peer calls our main object",
        Over::WS,
        |peer| async move {
            let greeting = Promise::cast::<String>(peer.probe().call_peer("greet", ("peer",)));
            ensure_eq!(greeting.await?, "hello peer");
            let sum = Promise::cast::<u32>(peer.probe().call_peer("add", (1, 2)));
            ensure_eq!(sum.await?, 3);
            Ok(())
        },
    );

    checks.add(
        "mains: the peer reads a property of our main object",
        Over::WS,
        |peer| async move {
            let title = Promise::cast::<String>(peer.probe().read_peer("title"));
            ensure_eq!(title.await?, "a client");
            let nowhere = Promise::cast::<Value>(peer.probe().read_peer("nowhere"));
            ensure_eq!(nowhere.await?, Value::Undefined);
            Ok(())
        },
    );

    checks.add(
        "mains: our main object's errors come back",
        Over::WS,
        |peer| async move {
            let error = ensure_err!(peer.probe().call_peer("fail", ("from below",)).await);
            ensure_eq!((error.name(), error.message()), ("TypeError", "from below"));
            let no_arguments: [u32; 0] = [];
            let error = ensure_err!(peer.probe().call_peer("nowhere", no_arguments).await);
            ensure_eq!(error.message(), "'nowhere' is not a function.");
            Ok(())
        },
    );

    checks.add(
        "mains: calls cross in both directions",
        Over::WS,
        |peer| async move {
            let (api, probe) = (peer.api(), peer.probe());
            let there = capnweb::join_all((0..50).map(|i| api.square(f64::from(i))));
            let sum = |i| Promise::cast::<u32>(probe.call_peer("add", (i, i)));
            let back = capnweb::join_all((0..50_u32).map(sum));
            for (i, answer) in (0..).zip(there.await) {
                ensure_eq!(answer?, f64::from(i * i));
            }
            for (i, answer) in (0..).zip(back.await) {
                ensure_eq!(answer?, i + i);
            }
            Ok(())
        },
    );

    checks.add(
        "mains: both sides flood each other",
        Over::WS,
        |peer| async move {
            let text = Arc::new("x".repeat(1000));
            let (api, sent) = (peer.api(), text.clone());
            let callback =
                Callback::<u32, (u32, String)>::new(move |i: u32| (i, sent.as_str().to_owned()));
            let back = peer.probe().call_many(callback, 5000);
            let back = Promise::cast::<Vec<(u32, String)>>(back).into_future();
            let echo = |i| Promise::cast::<(u32, String)>(api.echo((i, text.as_str())));
            let there = capnweb::join_all((0..5000_u32).map(echo)).await;
            ensure_eq!(back.await?.len(), 5000);
            ensure_eq!(
                there.into_iter().collect::<Result<Vec<_>, _>>()?.len(),
                5000
            );
            Ok(())
        },
    );
}
