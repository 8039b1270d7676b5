//! Objects and functions by reference, in both directions.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use capnweb::{Callback, Promise, Result, Stub, StubType, Value};

use super::check::{Checks, Over, ensure, ensure_eq};
use crate::{
    counter::{Counter, CounterStub},
    main_object::MainStub,
};

/// Returns a function that adds up its arguments.
pub(super) fn tally() -> Callback<f64, f64> {
    let total = Mutex::new(0.0);
    Callback::new(move |by: f64| {
        let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
        *total += by;
        *total
    })
}

/// A counter on this side.
#[derive(Default)]
pub(super) struct Count(Mutex<f64>);

impl Count {
    fn lock(&self) -> MutexGuard<'_, f64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counter for Count {
    fn increment(&self, by: Option<f64>) -> Result<f64> {
        let mut value = self.lock();
        *value += by.unwrap_or(1.0);
        Ok(*value)
    }

    fn value(&self) -> Result<f64> {
        Ok(*self.lock())
    }
}

#[capnweb::value]
struct Held {
    held: CounterStub,
    note: String,
}

pub(super) fn checks(checks: &mut Checks) {
    checks.add(
        "capabilities: objects of the peer keep their state",
        Over::WS,
        |peer| async move {
            let first = peer.api().make_counter(10.0).await?;
            let second = peer.api().make_counter(()).await?;
            ensure_eq!(first.increment(()).await?, 11.0);
            ensure_eq!(first.increment(-5.0).await?, 6.0);
            ensure_eq!(second.value().await?, 0.0);
            Ok(())
        },
    );

    checks.add(
        "capabilities: the peer's own objects, passed back",
        Over::BOTH,
        |peer| async move {
            let api = peer.api();
            ensure_eq!(api.call_square(&api, 5.0).result().await?, 25.0);
            let api = peer.api();
            ensure_eq!(api.call_square(api.this(), 6.0).result().await?, 36.0);
            Ok(())
        },
    );

    checks.add(
        "capabilities: an awaited stub, passed back",
        Over::WS,
        |peer| async move {
            let counter = peer.api().make_counter(1.0).await?;
            ensure_eq!(peer.api().use_counter(&counter, 2.0).await?, 3.0);
            ensure_eq!(counter.value().await?, 3.0);
            Ok(())
        },
    );

    checks.add(
        "capabilities: our functions and objects are called",
        Over::WS,
        |peer| async move {
            let tenfold = Callback::<u32, u32>::new(|i: u32| i * 10);
            let answer = peer.api().call_function(&tenfold, 4).result();
            ensure_eq!(Promise::cast::<u32>(answer).await?, 40);
            let wrap = Stub::function(|x: Value| async move { Ok((x, "seen")) });
            let answer = peer.api().call_back(wrap, [1, 2]).got();
            ensure_eq!(
                Promise::cast::<(Vec<u32>, String)>(answer).await?,
                (vec![1, 2], "seen".to_owned())
            );
            let counter = Arc::new(Count::default());
            let stub = CounterStub::new(counter.clone());
            ensure_eq!(peer.api().increment_counter(&stub, 3.0).await?, 3.0);
            // The object itself is accepted too.
            ensure_eq!(peer.api().use_counter(counter.clone(), 4.0).await?, 7.0);
            ensure_eq!(*counter.lock(), 7.0);
            Ok(())
        },
    );

    checks.add(
        "capabilities: a stub of ours comes back inside a struct and works",
        Over::WS,
        |peer| async move {
            let sent = Held {
                held: CounterStub::new(Count::default()),
                note: "n".to_owned(),
            };
            let back = Promise::cast::<Held>(peer.api().echo(sent)).await?;
            ensure_eq!(back.note, "n");
            ensure_eq!(back.held.increment(2.0).await?, 2.0);
            let again = Promise::cast::<Held>(peer.probe().decode(&back)).await?;
            ensure_eq!(again.held.increment(2.0).await?, 4.0);
            Ok(())
        },
    );

    checks.add(
        "capabilities: a stub of ours comes back as a whole result",
        Over::WS,
        |peer| async move {
            let stub = CounterStub::new(Count::default());
            let back = Promise::cast::<CounterStub>(peer.api().echo(&stub)).await?;
            ensure_eq!(back.increment(2.0).await?, 2.0);
            let piped = Promise::cast::<CounterStub>(peer.api().echo(&stub));
            ensure_eq!(piped.increment(2.0).await?, 4.0);
            Ok(())
        },
    );

    checks.add(
        "capabilities: stubs nested in a result all work",
        Over::WS,
        |peer| async move {
            let stubs = peer.probe().stubs().await?;
            ensure_eq!(stubs.list.len(), 2);
            for (start, counter) in [1.0, 2.0].into_iter().zip(&stubs.list) {
                ensure_eq!(counter.increment(()).await?, start + 1.0);
            }
            ensure_eq!(stubs.deep.counter.value().await?, 3.0);
            ensure_eq!(stubs.double.call(4.0).await?, 8.0);
            let twice = peer.probe().twice().await?;
            twice.a.increment(5.0).await?;
            drop(twice.a);
            ensure_eq!(twice.b.value().await?, 5.0);
            Ok(())
        },
    );

    checks.add(
        "capabilities: a callback that is kept",
        Over::WS,
        |peer| async move {
            peer.probe().keep(tally()).await?;
            // Call by name, since a typed method would have a fixed number of arguments.
            ensure_eq!(peer.probe().call("callKept", (2,)).fetch::<u32>().await?, 2);
            ensure_eq!(peer.probe().call("callKept", (3,)).fetch::<u32>().await?, 5);
            peer.probe().drop_kept().await?;
            Ok(())
        },
    );

    checks.add(
        "capabilities: a callback that gives a stub",
        Over::WS,
        |peer| async move {
            let giver =
                Callback::<Value, CounterStub>::new(|_: Value| CounterStub::new(Count::default()));
            let given = Promise::cast::<CounterStub>(peer.api().call_back(giver, 0).got());
            ensure_eq!(given.increment(9.0).await?, 9.0);
            Ok(())
        },
    );

    checks.add(
        "capabilities: a callback that calls the peer meanwhile",
        Over::WS,
        |peer| async move {
            let api = peer.api();
            let asking = Callback::<f64, f64>::new(move |i: f64| {
                let square = api.square(i);
                async move { Ok(square.await? + 1.0) }
            });
            let answer = peer.api().call_function(&asking, 6).result();
            ensure_eq!(Promise::cast::<f64>(answer).await?, 37.0);
            Ok(())
        },
    );

    checks.add(
        "capabilities: a callback that answers with a promise of the peer's",
        Over::WS,
        |peer| async move {
            let api = peer.api();
            let forwarding = Callback::<f64, f64>::new(move |i: f64| api.square(i));
            let answer = peer.api().call_function(&forwarding, 6).result();
            ensure_eq!(Promise::cast::<f64>(answer).await?, 36.0);
            Ok(())
        },
    );

    checks.add(
        "capabilities: a stub of one session through another",
        Over::WS,
        |peer| async move {
            let other = peer.connect().await?;
            let there = MainStub::from_stub(other.main());
            let counter = there.make_counter(1.0).await?;
            ensure_eq!(peer.api().use_counter(&counter, 2.0).await?, 3.0);
            let answer = peer.api().call_square(&there, 5.0).result();
            ensure_eq!(answer.await?, 25.0);
            let pending = there.probe().counter_after(10.0, 5.0);
            ensure_eq!(peer.api().increment_counter(&pending, 2.0).await?, 7.0);
            let failing = peer.api().call_function(there.get("fail"), "through two");
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
            peer.probe().share(name, tally()).await?;
            let there = MainStub::from_stub(other.main());
            let far = there.probe().shared(name).await?;
            ensure_eq!(far.invoke((2,)).fetch::<u32>().await?, 2);
            ensure_eq!(far.invoke((3,)).fetch::<u32>().await?, 5);
            let refused = far.call("nowhere", ()).await;
            ensure!(refused.is_err(), refused);
            peer.probe().unshare(name).await?;
            Ok(())
        },
    );
}
