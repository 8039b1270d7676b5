//! The README and the pipelining tour.

use crate::{
    client::check::{Checks, Over, ensure, ensure_eq, ensure_err},
    tour::Profile,
};

/// A friend's ID and profile, or the promises of them.
#[capnweb::value]
struct Friend<Id, P> {
    id: Id,
    profile: P,
}

pub(super) fn checks(checks: &mut Checks) {
    checks.add("tour: hello", Over::BOTH, |peer| async move {
        let api = peer.tour();
        ensure_eq!(api.hello("World").await?, "Hello, World!");
        Ok(())
    });

    checks.add(
        "tour: three dependent calls in one round trip",
        Over::BOTH,
        |peer| async move {
            let api = peer.tour();
            let authed = api.authenticate("Ada");
            let friends = authed.get_friend_ids().map(|id| api.get_user_profile(id));
            let names: Vec<_> = friends.await?.into_iter().map(|it| it.name).collect();
            ensure_eq!(names, ["Grace", "Linus", "Barbara"]);
            Ok(())
        },
    );

    checks.add(
        "tour: a naive client waits four times",
        Over::WS,
        |peer| async move {
            let api = peer.tour();
            let authed = api.authenticate("Ada").await?;
            let id = authed.get_user_id().await?;
            let profile = api.get_user_profile(id).await?;
            let friends = authed.get_friend_ids().await?;
            ensure_eq!((profile.name.as_str(), friends), ("Ada", vec![2, 3, 4]));
            Ok(())
        },
    );

    checks.add(
        "tour: five dependent calls in one request",
        Over::BATCH,
        |peer| async move {
            let api = peer.tour();
            let authed = api.authenticate("Ada");
            let id = authed.get_user_id();
            let profile = api.get_user_profile(&id);
            let friends = authed.get_friend_ids().map(|id| Friend {
                id: id.clone(),
                profile: api.get_user_profile(id),
            });
            let (profile, friends) = tokio::try_join!(profile, friends)?;
            ensure_eq!(profile.name, "Ada");
            let friends: Vec<(u32, Profile)> =
                friends.into_iter().map(|it| (it.id, it.profile)).collect();
            ensure_eq!(friends.len(), 3);
            ensure_eq!((friends[0].0, friends[0].1.name.as_str()), (2, "Grace"));
            // There was one request. The batch cannot make another, and calls that were not awaited
            // in time were not sent.
            for late in [id.await, api.first().await] {
                let error = ensure_err!(late);
                ensure!(error.message().contains("Batch RPC request ended"), error);
            }
            Ok(())
        },
    );

    checks.add(
        "tour: properties pipeline too",
        Over::BOTH,
        |peer| async move {
            let api = peer.tour();
            let user = api.authenticate("Grace");
            let profile = api.get_user_profile(user.id());
            ensure_eq!(profile.await?.name, "Grace");
            Ok(())
        },
    );

    checks.add(
        "tour: a WebSocket is free to await whenever it likes",
        Over::WS,
        |peer| async move {
            let api = peer.tour();
            let authed = api.authenticate("Linus");
            ensure_eq!(authed.get_user_id().await?, 3);
            // It can still be used.
            ensure_eq!(authed.get_friend_ids().await?, [1, 2, 4]);
            ensure_eq!(authed.id().await?, 3);
            Ok(())
        },
    );
}
