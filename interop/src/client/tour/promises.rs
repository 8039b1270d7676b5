//! Promises.

use std::{future::IntoFuture, sync::Arc, time::Duration};

use capnweb::{Callback, Error, Promise, StubType};

use super::{Dropped, Heard, Writer, kinds, scripted, sent};
use crate::{
    client::{
        check::{Checks, Over, ensure_eq, ensure_err},
        peer::Peer,
    },
    main_object::MainStub,
    tour::{ListenerStub, TourStub},
};

/// Returns a promise for a session that is not open yet.
fn connect_when_ready(peer: &Arc<Peer>) -> Promise<TourStub> {
    let peer = peer.clone();
    Promise::from_future(async move {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let session = peer.connect().await?;
        MainStub::from_stub(session.main()).tour().await
    })
}

pub(super) fn checks(checks: &mut Checks) {
    checks.add(
        "tour: a promise is also a stub",
        Over::BOTH,
        |peer| async move {
            let user = peer.tour().authenticate("Ada");
            ensure_eq!(user.get_notifications().await?, ["Ada has mail"]);
            Ok(())
        },
    );

    checks.add(
        "tour: calls chained one into the other",
        Over::BOTH,
        |peer| async move {
            let api = peer.tour();
            ensure_eq!(api.third(api.second(api.first())).await?, 123);
            Ok(())
        },
    );

    checks.add(
        "tour: one round trip is three messages that wait for nothing",
        Over::WS,
        |_| async move {
            let (_session, mut connection, api) = scripted();
            let answer = api.third(api.second(api.first())).into_future();
            // Everything is sent before any answer.
            let messages = sent(&mut connection);
            let pushes = messages.iter().filter(|it| it.contains("\"push\"")).count();
            let pulls = messages.iter().filter(|it| it.contains("\"pull\"")).count();
            ensure_eq!((pushes, pulls), (3, 1));
            ensure_eq!(
                messages[0],
                r#"["push",["pipeline",0,["tour","first"],[]]]"#
            );
            connection.receive(r#"["resolve",3,123]"#)?;
            ensure_eq!(answer.await?, 123);
            ensure_eq!(kinds(&sent(&mut connection)), ["release"]);
            Ok(())
        },
    );

    checks.add(
        "tour: transforming without pulling data back",
        Over::BOTH,
        |peer| async move {
            let api = peer.tour();
            let names = api
                .list_user_ids()
                .map(|id| (id.clone(), api.get_user_name(id)));
            let names = names.await?;
            ensure_eq!(names.len(), 4);
            ensure_eq!(names[3], (4, "Barbara".to_owned()));
            Ok(())
        },
    );

    checks.add(
        "tour: calls on what is not connected yet",
        Over::WS,
        |peer| async move {
            let session = connect_when_ready(&peer);
            let profile = session.get_user_profile(2);
            ensure_eq!(session.hello("early").await?, "Hello, early!");
            ensure_eq!(profile.await?.name, "Grace");
            Ok(())
        },
    );

    checks.add(
        "tour: a promise of one's own is a local call that returns it",
        Over::WS,
        |peer| async move {
            let there = peer.clone();
            let connect = Callback::<fn(), TourStub>::new(move || {
                let peer = there.clone();
                async move { connect_when_ready(&peer).await }
            });
            ensure_eq!(connect.call().hello("early").await?, "Hello, early!");
            Ok(())
        },
    );

    checks.add(
        "tour: a promise of one's own as an argument and in flight",
        Over::WS,
        |peer| async move {
            let (sender, receiver) = tokio::sync::oneshot::channel::<u32>();
            let id = Promise::<u32>::from_future(async move {
                receiver.await.map_err(|_| Error::new("never sent"))
            });
            let api = peer.tour();
            let name = api.get_user_name(&id).into_future();
            ensure_eq!(api.first().await?, 1);
            ensure_eq!(sender.send(4), Ok(()));
            ensure_eq!(name.await?, "Barbara");
            Ok(())
        },
    );

    checks.add(
        "tour: a promise of one's own owns the objects it resolves to",
        Over::WS,
        |_| async move {
            let (heard, dropped) = (Heard::default(), Dropped::default());
            let writer = Writer {
                heard: heard.clone(),
                dropped: dropped.clone(),
            };
            let kept = ListenerStub::new(writer);
            let given = kept.clone();
            let promise = Promise::<ListenerStub>::from_future(async move { Ok(given) });
            promise.on_event("by the promise").await?;
            drop(promise);
            // A clone outlives it, and is dropped last.
            kept.on_event("by the clone").await?;
            ensure_eq!(heard.all(), ["by the promise", "by the clone"]);
            ensure_eq!(dropped.count(), 0);
            drop(kept);
            dropped.ensure(1).await
        },
    );

    checks.add(
        "tour: a rejection reaches every call that was made on it",
        Over::WS,
        |peer| async move {
            let session = Promise::<TourStub>::from_future(async {
                tokio::task::yield_now().await;
                Err::<TourStub, _>(Error::range_error("not today"))
            });
            let authed = session.authenticate("Ada");
            let errors = [
                ensure_err!(session.hello("you").await),
                ensure_err!(authed.get_user_id().await.map(|id| id.to_string())),
                ensure_err!(peer.tour().greet(session.hello("you")).await),
            ];
            for error in errors {
                ensure_eq!((error.name(), error.message()), ("RangeError", "not today"));
            }
            Ok(())
        },
    );

    checks.add(
        "tour: a promise that is only passed on is never sent back",
        Over::BOTH,
        |peer| async move {
            let api = peer.tour();
            let info = api.get_user_info();
            ensure_eq!(api.greet(info.name()).await?, "Welcome, Ada!");

            let (_session, mut connection, api) = scripted();
            let info = api.get_user_info();
            let greeting = api.greet(info.name()).into_future();
            let messages = sent(&mut connection);
            let pulls: Vec<_> = messages.iter().filter(|it| it.contains("pull")).collect();
            ensure_eq!(pulls, [r#"["pull",2]"#]);
            drop(greeting);
            Ok(())
        },
    );

    checks.add(
        "tour: a property that will be a stub is one at once",
        Over::WS,
        |peer| async move {
            let meeting = peer.tour().meeting();
            let host = meeting.host();
            drop(meeting);
            ensure_eq!(host.get_user_id().await?, 2);
            ensure_eq!(host.get_notifications().await?, ["Grace has mail"]);
            drop(host);
            super::ensure_authenticated(&peer, 0).await
        },
    );
}
