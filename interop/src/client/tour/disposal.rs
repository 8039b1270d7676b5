//! Disposal, which is `Drop` in Rust.

use std::future::IntoFuture;

use capnweb::{Session, StubType};

use super::{Dropped, Heard, Writer, ensure_authenticated};
use crate::{
    client::{
        check::{Checks, Failure, Over, ensure, ensure_eq, ensure_err},
        peer::Peer,
    },
    main_object::MainStub,
    tour::{ListenerStub, TourStub},
};

/// Opens another session with the same server.
async fn another(peer: &Peer) -> Result<(Session, MainStub, TourStub), Failure> {
    let session = peer.connect().await?;
    let main = MainStub::from_stub(session.main());
    let tour = main.tour().await?;
    Ok((session, main, tour))
}

pub(super) fn checks(checks: &mut Checks) {
    checks.add(
        "tour: an object goes with its last stub",
        Over::WS,
        |peer| async move {
            let user = peer.tour().authenticate("Ada").await?;
            let clone = user.clone();
            ensure_eq!(peer.tour().authenticated().await?, 1);
            drop(user);
            ensure_eq!(clone.id().await?, 1);
            ensure_eq!(peer.tour().authenticated().await?, 1);
            drop(clone);
            ensure_authenticated(&peer, 0).await
        },
    );

    checks.add(
        "tour: a promise that is dropped gives up its result",
        Over::WS,
        |peer| async move {
            drop(peer.tour().authenticate("Ada"));
            let user = peer.tour().authenticate("Grace");
            ensure_eq!(user.id().await?, 2);
            ensure_eq!(peer.tour().authenticated().await?, 1);
            drop(user);
            ensure_authenticated(&peer, 0).await
        },
    );

    checks.add(
        "tour: a result takes along the stubs that are in it",
        Over::WS,
        |peer| async move {
            let users = peer
                .tour()
                .authenticate_all(["Ada", "Grace", "Linus"])
                .await?;
            ensure_eq!(users.len(), 3);
            let kept = users[1].clone();
            drop(users);
            ensure_authenticated(&peer, 1).await?;
            ensure_eq!(kept.id().await?, 2);
            drop(kept);
            ensure_authenticated(&peer, 0).await
        },
    );

    checks.add(
        "tour: an argument is the caller's to drop, as soon as the call is made",
        Over::WS,
        |peer| async move {
            let api = peer.tour();
            let (heard, dropped) = (Heard::default(), Dropped::default());
            let listener = ListenerStub::new(Writer {
                heard: heard.clone(),
                dropped: dropped.clone(),
            });
            // The callee holds its own reference for the duration of the call.
            api.subscribe(3, &listener).await?;
            ensure_eq!(dropped.count(), 0);
            let told = api.subscribe(1, &listener).into_future();
            drop(listener);
            told.await?;
            ensure_eq!(heard.all(), ["Linus", "Ada"]);
            dropped.ensure(1).await
        },
    );

    checks.add(
        "tour: a callback that the callee keeps beyond its call",
        Over::WS,
        |peer| async move {
            let (session, main, api) = another(&peer).await?;
            let heard = Heard::default();
            let [first, second] = [Dropped::default(), Dropped::default()];
            for (dropped, number) in [(&first, 1), (&second, 2)] {
                let writer = Writer {
                    heard: heard.clone(),
                    dropped: dropped.clone(),
                };
                api.register_listener(move |message: String| {
                    writer.heard.add(format!("{number}: {message}"));
                })
                .await?;
                api.notify("news").await?;
                api.notify("more").await?;
            }
            ensure_eq!(heard.all(), ["1: news", "1: more", "2: news", "2: more"]);
            // The callee has replaced the first one by the second.
            first.ensure(1).await?;
            ensure_eq!(second.count(), 0);
            // The session's end drops the object that holds the second one.
            drop((session, main, api));
            second.ensure(1).await
        },
    );

    checks.add(
        "tour: one object passed many times is dropped once",
        Over::WS,
        |peer| async move {
            let api = peer.tour();
            let (heard, dropped) = (Heard::default(), Dropped::default());
            let listener = ListenerStub::new(Writer {
                heard: heard.clone(),
                dropped: dropped.clone(),
            });
            for id in 1..=3 {
                api.subscribe(id, &listener).await?;
            }
            ensure_eq!(heard.all(), ["Ada", "Grace", "Linus"]);
            drop(listener);
            dropped.ensure(1).await
        },
    );

    checks.add(
        "tour: a stub breaks with its connection",
        Over::WS,
        |peer| async move {
            let (session, main, tour) = another(&peer).await?;
            let broken = tokio::spawn(tour.closed());
            // This may or may not be answered before the end.
            let _ = main.probe().hang_up().await;
            let reason = session.closed().await;
            let told = broken
                .await
                .map_err(|error| Failure::new(error.to_string()))?;
            ensure_eq!(told.message(), reason.message());
            ensure!(tour.hello("anybody").await.is_err(), reason);
            Ok(())
        },
    );

    checks.add(
        "tour: a promise breaks when it is rejected",
        Over::WS,
        |peer| async move {
            let user = peer.tour().authenticate("a wrong token");
            let told = user.closed();
            // Only awaited promises report errors.
            let error = ensure_err!(user.await);
            ensure_eq!(error.message(), "no such token");
            ensure_eq!(told.await.message(), "no such token");
            Ok(())
        },
    );
}
