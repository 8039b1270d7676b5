//! Ends of sessions, and the reasons that each side receives.

use std::{
    future::IntoFuture,
    sync::{Arc, Mutex, PoisonError},
};

use capnweb::{Callback, Error, Promise, Session, StubType};

use super::{
    check::{Checks, Failure, Outcome, Over, ensure, ensure_eq, ensure_err},
    connect,
    peer::{Peer, eventually},
};
use crate::main_object::MainStub;

/// Opens a further session, and returns it with the number of main objects on the server before it.
async fn watched(peer: &Peer) -> Result<(Session, usize), Failure> {
    let before = peer.live().await?.mains;
    let other = peer.connect().await?;
    main(&other).ping().await?;
    Ok((other, before))
}

/// Opens fifty sessions, and makes a call on each.
async fn many_sessions(peer: &Peer) -> Outcome {
    let mut sessions = Vec::new();
    for _ in 0..50 {
        sessions.push(peer.connect().await?);
    }
    for (i, session) in (0..).map(f64::from).zip(&sessions) {
        ensure_eq!(main(session).square(i).await?, i * i);
    }
    Ok(())
}

fn main(session: &Session) -> MainStub {
    MainStub::from_stub(session.main())
}

/// Waits until the main object of the further session is gone.
async fn ensure_gone(peer: &Peer, before: usize) -> Outcome {
    // Sessions of earlier checks may still be ending.
    let gone = eventually(async || Ok(peer.live().await?.mains <= before)).await?;
    ensure!(gone, peer.live().await?);
    Ok(())
}

pub(super) fn checks(checks: &mut Checks) {
    checks.add(
        "session end: dropping everything of a session ends it",
        Over::WS,
        |peer| async move {
            let (other, before) = watched(&peer).await?;
            drop(other);
            ensure_gone(&peer, before).await
        },
    );

    checks.add(
        "session end: a session lives as long as a stub of it",
        Over::WS,
        |peer| async move {
            let (other, before) = watched(&peer).await?;
            let counter = main(&other).make_counter(1.0).await?;
            drop(other);
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            ensure_eq!(counter.increment(()).await?, 2.0);
            drop(counter);
            ensure_gone(&peer, before).await
        },
    );

    checks.add(
        "session end: closing tells the reason here and ends it there",
        Over::WS,
        |peer| async move {
            let (other, before) = watched(&peer).await?;
            // A method of the main object would hold it until the grace period is over.
            let waiting = main(&other).probe().counter_after(60_000.0, 0.0);
            let waiting = waiting.into_future();
            other.close(Error::range_error("we are done"));
            let error = ensure_err!(waiting.await);
            ensure_eq!(
                (error.name(), error.message()),
                ("RangeError", "we are done")
            );
            ensure_eq!(other.closed().await.message(), "we are done");
            let error = ensure_err!(main(&other).ping().await);
            ensure_eq!(error.message(), "we are done");
            ensure_gone(&peer, before).await
        },
    );

    checks.add(
        "session end: the peer hanging up breaks everything with its reason",
        Over::WS,
        |peer| async move {
            let (other, _) = watched(&peer).await?;
            let told = Arc::new(Mutex::new(Vec::new()));
            let guards: Vec<_> = (0..3)
                .map(|i| {
                    let told = told.clone();
                    other.main().on_broken(move |_| {
                        told.lock().unwrap_or_else(PoisonError::into_inner).push(i);
                    })
                })
                .collect();
            let waiting = main(&other).sleep(60_000.0).into_future();
            // This may or may not be answered before the end.
            let _ = main(&other).probe().hang_up().await;
            let reason = other.closed().await;
            let text = reason.message();
            ensure!(
                text.contains("hung up") || text.contains("Peer closed WebSocket: 3000"),
                reason
            );
            let error = ensure_err!(waiting.await);
            ensure_eq!(error.message(), text);
            let all = eventually(async || {
                Ok(told.lock().unwrap_or_else(PoisonError::into_inner).len() == 3)
            });
            ensure!(all.await?, told);
            ensure_eq!(
                *told.lock().unwrap_or_else(PoisonError::into_inner),
                [0, 1, 2]
            );
            drop(guards);
            Ok(())
        },
    );

    checks.add(
        "session end: a guard that was dropped is not told",
        Over::WS,
        |peer| async move {
            let (other, _) = watched(&peer).await?;
            let told = Arc::new(Mutex::new(false));
            let telling = told.clone();
            drop(other.main().on_broken(move |_| {
                *telling.lock().unwrap_or_else(PoisonError::into_inner) = true;
            }));
            other.close(Error::new("done"));
            other.closed().await;
            ensure_eq!(*told.lock().unwrap_or_else(PoisonError::into_inner), false);
            Ok(())
        },
    );

    checks.add(
        "session end: draining waits for what the peer asked",
        Over::WS,
        |peer| async move {
            let (sender, receiver) = tokio::sync::oneshot::channel::<u32>();
            let receiver = Mutex::new(Some(receiver));
            let slow = Callback::<u32, u32>::new(move |_: u32| {
                let receiver = receiver
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .take();
                async move {
                    match receiver {
                        Some(receiver) => receiver.await.map_err(|_| Error::new("never sent")),
                        None => Err(Error::new("asked twice")),
                    }
                }
            });
            let answer = peer.api().call_function(slow, 0).result();
            let answer = tokio::spawn(Promise::cast::<u32>(answer).into_future());
            let session = peer.session()?;
            let asked = eventually(async || Ok(session.stats().exports > 2));
            ensure!(asked.await?, session.stats());
            ensure_eq!(sender.send(5), Ok(()));
            session.drain().await?;
            let answer = answer
                .await
                .map_err(|error| Error::new(error.to_string()))??;
            ensure_eq!(answer, 5);
            Ok(())
        },
    );

    checks.add(
        "session end: many sessions side by side",
        Over::WS,
        |peer| async move { many_sessions(&peer).await },
    );

    checks.add(
        "session end: a server that is not there is a clear error",
        Over::WS,
        |_| async move {
            let url = "ws://127.0.0.1:9/nobody";
            let error = ensure_err!(connect::main::<MainStub>(url).await);
            ensure!(
                error.message().starts_with("WebSocket connection failed"),
                error
            );
            ensure!(error.message().contains("127.0.0.1:9"), error);
            ensure!(error.is_disconnected(), error);
            Ok(())
        },
    );
}
