//! Lifetimes of references. All other checks also check the tables at their end.

use std::{
    future::IntoFuture,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use capnweb::{
    Promise, Stub, StubType,
    target::{Answer, Call, Target},
};

use super::{
    check::{Checks, Failure, Outcome, Over, ensure, ensure_eq},
    peer::{Peer, eventually},
};
use crate::main_object::MainStub;

/// An object that reports its drop.
struct Held(Arc<AtomicUsize>);

impl Target for Held {
    fn call(self: Arc<Self>, _: Call<'_>) -> Answer {
        Answer::ready(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Waits until `expected` counters are alive on the server.
async fn ensure_counters(peer: &Peer, expected: usize) -> Outcome {
    if eventually(async || Ok(peer.live().await?.counters == expected)).await? {
        return Ok(());
    }
    Err(Failure::new(format!(
        "expected {expected} counters, got {:?}",
        peer.live().await?
    )))
}

async fn ensure_dropped(dropped: &AtomicUsize, expected: usize) -> Outcome {
    let reached = eventually(async || Ok(dropped.load(Ordering::SeqCst) == expected)).await?;
    ensure!(reached, dropped);
    Ok(())
}

pub(super) fn checks(checks: &mut Checks) {
    checks.add(
        "disposal: a peer's object goes with its last stub",
        Over::WS,
        |peer| async move {
            let before = peer.live().await?.counters;
            let counter = peer.api().make_counter(0.0).await?;
            let clone = counter.clone();
            ensure_eq!(peer.live().await?.counters, before + 1);
            drop(counter);
            ensure_eq!(clone.increment(()).await?, 1.0);
            drop(clone);
            ensure_counters(&peer, before).await
        },
    );

    checks.add(
        "disposal: a result takes its stubs along",
        Over::WS,
        |peer| async move {
            let before = peer.live().await?.counters;
            let stubs = peer.probe().stubs().await?;
            ensure_eq!(peer.live().await?.counters, before + 3);
            drop(stubs);
            ensure_counters(&peer, before).await
        },
    );

    checks.add(
        "disposal: a promise that is only called on holds its result",
        Over::WS,
        |peer| async move {
            let before = peer.live().await?.counters;
            let promise = peer.api().make_counter(0.0);
            ensure_eq!(promise.increment(()).await?, 1.0);
            ensure_eq!(peer.live().await?.counters, before + 1);
            drop(promise);
            ensure_counters(&peer, before).await
        },
    );

    checks.add(
        "disposal: a promise dropped early drops what its call gives",
        Over::WS,
        |peer| async move {
            let before = peer.live().await?.counters;
            drop(peer.probe().counter_after(20.0, 1.0));
            let pulled = peer.probe().counter_after(20.0, 1.0).into_future();
            drop(pulled);
            peer.api().sleep(40.0).await?;
            ensure_counters(&peer, before).await
        },
    );

    checks.add(
        "disposal: a handler runs to its end though nobody wants the result",
        Over::WS,
        |peer| async move {
            let key = "rust: abandoned";
            Promise::detach(peer.probe().note_after(key, 10.0, "work"));
            let mut notes = Vec::new();
            for _ in 0..100 {
                let more = Promise::cast::<Vec<String>>(peer.probe().notes(key));
                notes.extend(more.await?);
                if notes.len() == 2 {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            ensure_eq!(notes, ["work started", "work ended"]);
            Ok(())
        },
    );

    checks.add(
        "disposal: an argument is let go when its call ends or fails",
        Over::WS,
        |peer| async move {
            let dropped = Arc::new(AtomicUsize::new(0));
            let held = || Stub::new(Held(dropped.clone()));
            let api = peer.api();
            let call = api.probe().describe((held(), api.sleep(30.0)));
            let call = call.into_future();
            ensure_eq!(dropped.load(Ordering::SeqCst), 0);
            ensure_eq!(call.await?, "[stub, number 30]");
            ensure_dropped(&dropped, 1).await?;
            // Call by name, since no interface allows such calls.
            for failing in [
                api.call("nowhere", (held(),)),
                api.call("version", (held(),)),
                api.call("square", (api.fail("x"), held())),
                api.call("fail", ("x",)).call("method", (held(),)),
            ] {
                let outcome = failing.await;
                ensure!(outcome.is_err(), outcome);
            }
            ensure_dropped(&dropped, 5).await
        },
    );

    checks.add(
        "disposal: a kept callback is let go when the peer drops it",
        Over::WS,
        |peer| async move {
            let dropped = Arc::new(AtomicUsize::new(0));
            peer.probe().keep(Stub::new(Held(dropped.clone()))).await?;
            peer.api().sleep(10.0).await?;
            ensure_eq!(dropped.load(Ordering::SeqCst), 0);
            peer.probe().drop_kept().await?;
            ensure_dropped(&dropped, 1).await
        },
    );

    checks.add(
        "disposal: what we held of a session that ended is no burden",
        Over::WS,
        |peer| async move {
            let before = peer.live().await?.counters;
            let other = peer.connect().await?;
            let there = MainStub::from_stub(other.main());
            let counter = there.make_counter(0.0).await?;
            ensure_eq!(peer.live().await?.counters, before + 1);
            other.close(capnweb::Error::new("done"));
            ensure_counters(&peer, before).await?;
            let broken = counter.increment(()).await;
            ensure!(broken.is_err(), broken);
            Ok(())
        },
    );

    checks.add(
        "disposal: a thousand objects come and go",
        Over::WS,
        |peer| async move {
            let before = peer.live().await?.counters;
            let api = peer.api();
            let calls = (0..1000).map(|i| api.make_counter(f64::from(i)));
            let counters = capnweb::join_all(calls).await;
            ensure_eq!(peer.live().await?.counters, before + 1000);
            drop(counters);
            ensure_counters(&peer, before).await
        },
    );
}
