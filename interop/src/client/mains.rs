//! Both sides have a main object.

use std::sync::Arc;

use capnweb::{Stub, Value};

use super::check::{Checks, Over, ensure_eq, ensure_err};

pub(super) fn checks(checks: &mut Checks) {
    checks.add(
        "mains: the peer calls our main object",
        Over::WS,
        |peer| async move {
            let greeting = peer.probe().call("callPeer", ("greet", ("peer",)));
            ensure_eq!(greeting.fetch::<String>().await?, "hello peer");
            let sum = peer.probe().call("callPeer", ("add", (1, 2)));
            ensure_eq!(sum.fetch::<u32>().await?, 3);
            Ok(())
        },
    );

    checks.add(
        "mains: the peer reads a property of our main object",
        Over::WS,
        |peer| async move {
            let title = peer.probe().call("readPeer", ("title",));
            ensure_eq!(title.fetch::<String>().await?, "a client");
            ensure_eq!(
                peer.probe().call("readPeer", ("nowhere",)).await?,
                Value::Undefined
            );
            Ok(())
        },
    );

    checks.add(
        "mains: our main object's errors come back",
        Over::WS,
        |peer| async move {
            let error = ensure_err!(
                peer.probe()
                    .call("callPeer", ("fail", ("from below",)))
                    .await
            );
            ensure_eq!((error.name(), error.message()), ("TypeError", "from below"));
            let no_arguments: [u32; 0] = [];
            let error = ensure_err!(
                peer.probe()
                    .call("callPeer", ("nowhere", no_arguments))
                    .await
            );
            ensure_eq!(error.message(), "'nowhere' is not a function.");
            Ok(())
        },
    );

    checks.add(
        "mains: calls cross in both directions",
        Over::WS,
        |peer| async move {
            let (api, probe) = (peer.api(), peer.probe());
            let there: Vec<_> = (0..50_u32)
                .map(|i| api.call("square", (i,)).fetch::<u32>())
                .collect();
            let back: Vec<_> = (0..50_u32)
                .map(|i| probe.call("callPeer", ("add", (i, i))).fetch::<u32>())
                .collect();
            for (i, answer) in (0..).zip(capnweb::join_all(there).await) {
                ensure_eq!(answer?, i * i);
            }
            for (i, answer) in (0..).zip(capnweb::join_all(back).await) {
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
            let callback = Stub::function(move |i: u32| {
                let text = sent.clone();
                async move { Ok((i, text.as_str().to_owned())) }
            });
            let back = peer
                .probe()
                .call("callMany", (callback, 5000))
                .fetch::<Vec<(u32, String)>>();
            let there = (0..5000_u32).map(|i| {
                api.call("echo", ((i, text.as_str()),))
                    .fetch::<(u32, String)>()
            });
            let there = capnweb::join_all(there.collect::<Vec<_>>()).await;
            ensure_eq!(back.await?.len(), 5000);
            ensure_eq!(
                there.into_iter().collect::<Result<Vec<_>, _>>()?.len(),
                5000
            );
            Ok(())
        },
    );
}
