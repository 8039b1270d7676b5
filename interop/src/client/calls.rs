//! Calls and properties.

use std::sync::Mutex;

use capnweb::{SessionOptions, Stub, Value, observe::TracePropagator};

use super::check::{Checks, Over, ensure, ensure_eq, ensure_err};

/// Sends the same context of a trace with each call.
struct Traced;

impl TracePropagator for Traced {
    fn current(&self) -> Option<String> {
        Some("00-0123456789abcdef0123456789abcdef-0123456789abcdef-01".to_owned())
    }

    fn set_parent(&self, _: &tracing::Span, _: &str) {}
}

pub(super) fn checks(checks: &mut Checks) {
    checks.add(
        "calls: the methods of the main object answer",
        Over::BOTH,
        |peer| async move {
            ensure_eq!(peer.api().square(7.0).await?, 49.0);
            let pong = peer.api().ping().await?;
            ensure!(pong.starts_with("pong from "), pong);
            ensure_eq!(peer.api().add(2.0, 3.0).await?, 5.0);
            ensure_eq!(peer.api().add(0.1, 0.2).await?, 0.1 + 0.2);
            ensure_eq!(peer.api().next(41.0).await?, 42.0);
            ensure_eq!(peer.api().return_number(-1.5).await?, -1.5);
            ensure_eq!(peer.api().list(4).await?, [0.0, 1.0, 2.0, 3.0]);
            ensure_eq!(peer.api().sleep(5.0).await?, 5.0);
            let fibonacci = peer.api().generate_fibonacci(8).await?;
            ensure_eq!(fibonacci, [0.0, 1.0, 1.0, 2.0, 3.0, 5.0, 8.0, 13.0]);
            Ok(())
        },
    );

    checks.add(
        "calls: echoArgs gives every argument",
        Over::BOTH,
        |peer| async move {
            // Call by name, since a typed method would have a fixed number of arguments.
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
            // Typed calls have no extra arguments.
            let square = peer.api().call("square", (3, "extra"));
            ensure_eq!(square.fetch::<u32>().await?, 9);
            Ok(())
        },
    );

    checks.add(
        "calls: properties and steps through them",
        Over::BOTH,
        |peer| async move {
            ensure_eq!(peer.api().version().await?, "1.0");
            let list = peer.probe().nested().a().b();
            ensure_eq!(list.await?, [10.0, 20.0, 30.0]);
            let triple = peer.probe().nested().triple().call(5.0);
            ensure_eq!(triple.await?, 15.0);
            ensure_eq!(peer.probe().nested().a().b().at(1).await?, 20.0);
            // The same by name.
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
                peer.api().get_user().get("nowhere").await?,
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
            let error = ensure_err!(peer.api().get_user().call("name", ()).await);
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
            let calls = (0..1000).map(|i| api.square(f64::from(i)));
            for (i, answer) in (0..).zip(capnweb::join_all(calls).await) {
                ensure_eq!(answer?, f64::from(i * i));
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
            let slow = async { api.sleep(200.0).await.map(|_| done("slow")) };
            let quick = async { api.ping().await.map(|_| done("quick")) };
            tokio::try_join!(slow, quick)?;
            ensure_eq!(finished.into_inner().unwrap_or_default(), ["quick", "slow"]);
            Ok(())
        },
    );

    checks.add(
        "calls: a callback is called as often as it is asked for, in order",
        Over::WS,
        |peer| async move {
            let events = std::sync::Arc::new(Mutex::new(Vec::new()));
            let noting = events.clone();
            let note = Stub::function(move |i: u32| {
                noting.lock().map(|mut events| events.push(i)).ok();
                async { Ok(()) }
            });
            peer.api().call("subscribe", (note, 50)).await?;
            let events = events.lock().map(|events| events.clone());
            ensure_eq!(events.unwrap_or_default(), (0..50).collect::<Vec<_>>());
            Ok(())
        },
    );

    checks.add(
        "calls: calls that nobody awaits arrive all the same",
        Over::WS,
        |peer| async move {
            let (sender, mut heard) = tokio::sync::mpsc::unbounded_channel();
            let count = Stub::function(move |text: String| {
                let sent = sender.send(text.len());
                async move { sent.map_err(|_| capnweb::Error::new("nobody counts")) }
            });
            let sent = peer.api().call("flood", (count, 2000, 300));
            ensure_eq!(sent.fetch::<usize>().await?, 2000);
            for _ in 0..2000 {
                ensure_eq!(heard.recv().await, Some(300));
            }
            Ok(())
        },
    );

    checks.add(
        "calls: each of many objects is one of its own",
        Over::WS,
        |peer| async move {
            let counters = peer
                .api()
                .call("getMany", (5,))
                .fetch::<Vec<Stub>>()
                .await?;
            let values = counters
                .iter()
                .map(|counter| counter.call("increment", (10,)).fetch::<u32>());
            for (i, value) in (0..).zip(capnweb::join_all(values).await) {
                ensure_eq!(value?, i + 10);
            }
            Ok(())
        },
    );

    checks.add(
        "calls: a trace that comes with a call is ignored",
        Over::WS,
        |peer| async move {
            let options = SessionOptions::new().with_trace_propagator(Traced);
            let session = peer.connect_with(options).await?;
            let api = session.main();
            ensure_eq!(api.call("square", (7,)).fetch::<u32>().await?, 49);
            let counter = api.call("makeCounter", (4,));
            ensure_eq!(counter.call("increment", (3,)).fetch::<u32>().await?, 7);
            let list = api.call("list", (3,)).map(|item| item);
            ensure_eq!(list.fetch::<Vec<u32>>().await?, [0, 1, 2]);
            Ok(())
        },
    );
}
