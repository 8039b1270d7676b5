//! The magic `map()`.

use capnweb::Promise;

use super::{Dropped, Heard, Writer};
use crate::{
    client::{
        capabilities::Count,
        check::{Checks, Over, ensure, ensure_eq},
        peer::eventually,
    },
    counter::CounterStub,
    tour::ListenerStub,
};

pub(super) fn checks(checks: &mut Checks) {
    checks.add(
        "tour: map on a list, on a value and on nothing",
        Over::BOTH,
        |peer| async move {
            let api = peer.tour();
            let list = api.list_user_ids().map(|id| api.get_user_name(id));
            let value = api.find_user_id("Linus").map(|id| api.get_user_name(id));
            let nothing = api.find_user_id("Nobody").map(|id| api.get_user_name(id));
            let (list, value, nothing) = tokio::try_join!(list, value, nothing)?;
            ensure_eq!(list, ["Ada", "Grace", "Linus", "Barbara"]);
            ensure_eq!(value.as_deref(), Some("Linus"));
            ensure_eq!(nothing, None);
            Ok(())
        },
    );

    checks.add(
        "tour: what a closure computes is computed once",
        Over::BOTH,
        |peer| async move {
            let api = peer.tour();
            let mut n = 0;
            let lines = api.list_user_ids().map(|id| {
                let line = api.log(id, n, format!("half past {n}"));
                n += 1;
                line
            });
            ensure_eq!(
                lines.await?,
                [
                    "1: 0 at half past 0",
                    "2: 0 at half past 0",
                    "3: 0 at half past 0",
                    "4: 0 at half past 0"
                ]
            );
            ensure_eq!(n, 1);
            Ok(())
        },
    );

    checks.add(
        "tour: a call inside a closure is made for each element",
        Over::WS,
        |peer| async move {
            let api = peer.tour();
            let counter = CounterStub::new(Count::default());
            let names = api.list_user_ids().map(|id| {
                Promise::detach(counter.increment(()));
                api.get_user_name(id)
            });
            ensure_eq!(names.await?.len(), 4);
            // The names may arrive before the last of the calls that are not awaited.
            let counted = eventually(async || Ok(counter.value().await? == 4.0)).await?;
            ensure!(counted, counter.value().await?);
            Ok(())
        },
    );

    checks.add(
        "tour: a listener that a closure uses is made before it, and is good for more",
        Over::WS,
        |peer| async move {
            let api = peer.tour();
            let (heard, dropped) = (Heard::default(), Dropped::default());
            let listener = ListenerStub::new(Writer {
                heard: heard.clone(),
                dropped: dropped.clone(),
            });
            let told = api
                .list_user_ids()
                .map(|id| api.subscribe(id, listener.clone()));
            ensure_eq!(told.await?.len(), 4);
            ensure_eq!(heard.all(), ["Ada", "Grace", "Linus", "Barbara"]);
            listener.on_event("still here".to_owned()).await?;
            ensure_eq!(dropped.count(), 0);
            drop(listener);
            dropped.ensure(1).await
        },
    );

    checks.add(
        "tour: an object that a closure makes is one for all elements",
        Over::WS,
        |peer| async move {
            let api = peer.tour();
            let (heard, dropped) = (Heard::default(), Dropped::default());
            let told = api.list_user_ids().map(|id| {
                let writer = Writer {
                    heard: heard.clone(),
                    dropped: dropped.clone(),
                };
                api.subscribe(id, writer)
            });
            told.await?;
            ensure_eq!(heard.all(), ["Ada", "Grace", "Linus", "Barbara"]);
            dropped.ensure(1).await
        },
    );

    checks.add(
        "tour: filtering is a method of the peer's",
        Over::BOTH,
        |peer| async move {
            let api = peer.tour();
            let active = api.get_active_users(api.list_user_ids()).await?;
            let names: Vec<_> = active.iter().map(|user| user.name.as_str()).collect();
            ensure_eq!(names, ["Ada", "Grace", "Barbara"]);
            Ok(())
        },
    );

    checks.add("tour: a map inside a map", Over::BOTH, |peer| async move {
        let api = peer.tour();
        let teams = api
            .list_teams()
            .map(|team| team.member_ids().map(|id| api.get_user_name(id)));
        ensure_eq!(
            teams.await?,
            [vec!["Ada", "Grace"], vec![], vec!["Linus", "Ada"]]
        );
        Ok(())
    });
}
