//! Calls on one object start in the order in which they were sent.

use std::{
    future::IntoFuture,
    sync::{Arc, Mutex, PoisonError},
};

use capnweb::{Callback, Promise, join_all};

use super::check::{Checks, Over, ensure_eq};

/// Returns a function that records its arguments.
fn listener() -> (Callback<u32>, Arc<Mutex<Vec<u32>>>) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let noting = heard.clone();
    let callback = Callback::new(move |i: u32| {
        noting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(i);
    });
    (callback, heard)
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
            let probe = api.probe();
            for call in join_all((0..500).map(|i| probe.note(&key, i))).await {
                call?;
            }
            let notes = Promise::cast::<Vec<u32>>(peer.probe().notes(&key));
            ensure_eq!(notes.await?, count(500));
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
                probe.note_after(key, 30.0, "slow"),
                probe.note(key, "between"),
                probe.note_after(key, 1.0, "quick"),
            )?;
            let notes = Promise::cast::<Vec<String>>(probe.notes(key));
            ensure_eq!(
                notes.await?,
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
            let (callback, list) = listener();
            peer.probe().call_many(callback, 300).await?;
            ensure_eq!(heard(&list), count(300));
            Ok(())
        },
    );

    checks.add(
        "order: calls on a promise before and after it settles",
        Over::WS,
        |peer| async move {
            let (callback, list) = listener();
            let later = peer.probe().later(20.0, &callback).later();
            let promise = Promise::cast::<Callback<u32>>(later);
            let mut calls: Vec<_> = (0..20).map(|i| promise.call(i).into_future()).collect();
            promise.clone().await?;
            calls.push(promise.call(20).into_future());
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
                    join_all((0..100_u32).map(|i| probe.note(key, (task, i))))
                        .await
                        .into_iter()
                        .collect::<Result<Vec<()>, _>>()
                });
            }
            while let Some(done) = tasks.join_next().await {
                done.map_err(|error| capnweb::Error::new(error.to_string()))??;
            }
            let notes = Promise::cast::<Vec<(u32, u32)>>(probe.notes(key)).await?;
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
