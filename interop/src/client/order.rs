//! Calls on one object start in the order in which they were sent.

use std::sync::{Arc, Mutex, PoisonError};

use capnweb::{Stub, join_all};

use super::check::{Checks, Over, ensure_eq};

/// A function of ours that notes what it is called with.
fn listener() -> (Stub, Arc<Mutex<Vec<u32>>>) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let noting = heard.clone();
    let stub = Stub::function(move |i: u32| {
        noting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(i);
        async { Ok(()) }
    });
    (stub, heard)
}

fn heard(list: &Mutex<Vec<u32>>) -> Vec<u32> {
    list.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn count(n: u32) -> Vec<u32> {
    (0..n).collect()
}

pub(super) fn checks(checks: &mut Checks) {
    checks.add(
        "order: calls start in the order sent",
        Over::BOTH,
        |peer| async move {
            let key = format!("rust: order over {:?}", peer.session().is_ok());
            let api = peer.api();
            let probe = api.get("probe");
            let calls: Vec<_> = (0..500_u32)
                .map(|i| probe.call("note", (&key, i)).fetch::<()>())
                .collect();
            for call in join_all(calls).await {
                call?;
            }
            let notes = peer
                .probe()
                .call("notes", (&key,))
                .fetch::<Vec<u32>>()
                .await?;
            ensure_eq!(notes, count(500));
            Ok(())
        },
    );

    checks.add(
        "order: a call that waits starts in its turn",
        Over::WS,
        |peer| async move {
            let key = "rust: a call that waits";
            let probe = peer.probe();
            tokio::try_join!(
                probe.call("noteAfter", (key, 30, "slow")).fetch::<()>(),
                probe.call("note", (key, "between")).fetch::<()>(),
                probe.call("noteAfter", (key, 1, "quick")).fetch::<()>(),
            )?;
            let notes = probe.call("notes", (key,)).fetch::<Vec<String>>().await?;
            ensure_eq!(
                notes,
                [
                    "slow started",
                    "between",
                    "quick started",
                    "quick ended",
                    "slow ended"
                ]
            );
            Ok(())
        },
    );

    checks.add(
        "order: our callbacks start in the order in which the peer called",
        Over::WS,
        |peer| async move {
            let (stub, list) = listener();
            peer.probe().call("callMany", (stub, 300)).await?;
            ensure_eq!(heard(&list), count(300));
            Ok(())
        },
    );

    checks.add(
        "order: calls on a promise before and after it settles",
        Over::WS,
        |peer| async move {
            let (stub, list) = listener();
            let promise = peer.probe().call("later", (20, &stub)).get("later");
            let mut calls: Vec<_> = (0..20_u32)
                .map(|i| promise.invoke((i,)).fetch::<()>())
                .collect();
            promise.fetch::<Stub>().await?;
            calls.push(promise.invoke((20,)).fetch::<()>());
            for call in join_all(calls).await {
                call?;
            }
            ensure_eq!(heard(&list), count(21));
            Ok(())
        },
    );

    checks.add(
        "order: calls from many threads of one task's making",
        Over::WS,
        |peer| async move {
            let key = "rust: many threads";
            let probe = peer.probe();
            let mut tasks = tokio::task::JoinSet::new();
            for task in 0..8_u32 {
                let probe = probe.clone();
                tasks.spawn(async move {
                    let calls =
                        (0..100_u32).map(|i| probe.call("note", (key, (task, i))).fetch::<()>());
                    join_all(calls.collect::<Vec<_>>())
                        .await
                        .into_iter()
                        .collect::<Result<Vec<()>, _>>()
                });
            }
            while let Some(done) = tasks.join_next().await {
                done.map_err(|error| capnweb::Error::new(error.to_string()))??;
            }
            let notes = probe
                .call("notes", (key,))
                .fetch::<Vec<(u32, u32)>>()
                .await?;
            ensure_eq!(notes.len(), 800);
            for task in 0..8 {
                let its: Vec<_> = notes
                    .iter()
                    .filter(|note| note.0 == task)
                    .map(|note| note.1)
                    .collect();
                ensure_eq!(its, count(100));
            }
            Ok(())
        },
    );
}
