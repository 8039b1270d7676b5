//! Connections that are lost at each message, in either direction.

use capnweb_core::{Promise, PromiseFuture, Result};
use futures_util::FutureExt;

use super::{
    Scene,
    line::{Left, Line, Log},
};

/// The outcome of a call, and how often it may have run at the server.
#[derive(Debug)]
struct Outcome {
    id: u32,
    result: Result<()>,
    is_idempotent: bool,
}

impl Outcome {
    #[track_caller]
    fn check(&self, runs: u32, place: &str) {
        let allowed = match &self.result {
            Ok(()) if self.is_idempotent => 1..=2,
            Ok(()) => 1..=1,
            Err(error) if error.may_have_run() => 0..=1,
            Err(_) => 0..=0,
        };
        assert!(
            allowed.contains(&runs),
            "{place}: {self:?} ran {runs} times"
        );
        if self.is_idempotent {
            assert!(self.result.is_ok(), "{place}: {self:?}");
        }
    }
}

/// Makes calls of every kind over a first connection that is cut, and a second one that is not.
/// Returns the number of messages that passed over the first one.
fn program(left: Left, place: &str) -> Left {
    let (log, scene) = (Log::default(), Scene::repeating());
    let mut line = Line::new(&log, 1, left);
    scene.slot.put(&line.session, line.session.main());
    let api = &scene.api;

    let plain = api.call("count", (1,)).fetch::<u32>();
    let marked = api.idempotent().call("count", (2,)).fetch::<u32>();
    let chained = api.call("me", ()).call("count", (3,)).fetch::<u32>();
    let own = api.idempotent().call("me", ());
    let marked_chain = own.idempotent().call("count", (4,)).fetch::<u32>();
    let mixed_chain = own.call("count", (5,)).fetch::<u32>();
    line.run();
    let list = api.call("list", (vec![6, 7],));
    let mapped = list.map(|id| api.call("count", (id,))).fetch::<Vec<u32>>();
    let failing = api.call("fail", (8,)).fetch::<()>();
    let argument = api.call("list", ([api.call("count", (9,))],));
    let argument = argument.fetch::<Vec<u32>>();
    line.run();
    let late = api.call("count", (10,)).fetch::<u32>();
    let long = api.call("count", (11, "x".repeat(100_000))).fetch::<u32>();
    line.run();
    let passed = line.passed;

    let mut second = Line::new(&log, 2, (usize::MAX, usize::MAX));
    let rest = api.idempotent().call("count", (12,)).fetch::<u32>();
    if !line.is_cut {
        line.run();
    }
    if line.is_cut {
        scene.slot.put(&second.session, second.session.main());
        second.run();
    }

    fn unit<T: serde::de::DeserializeOwned + 'static>(
        place: &str,
        future: PromiseFuture<T>,
    ) -> Result<()> {
        let outcome = future.now_or_never();
        let outcome = outcome.unwrap_or_else(|| panic!("{place}: a call was not answered"));
        outcome.map(drop)
    }
    let outcome = |ids: &[u32], is_idempotent, result: Result<()>| -> Vec<Outcome> {
        ids.iter()
            .map(|id| Outcome {
                id: *id,
                result: result.clone(),
                is_idempotent,
            })
            .collect()
    };
    let failed = match unit(place, failing) {
        Err(error) if error.code().as_deref() == Some("not_found") => Ok(()),
        other => other,
    };
    let outcomes = [
        outcome(&[1], false, unit(place, plain)),
        outcome(&[2], true, unit(place, marked)),
        outcome(&[3], false, unit(place, chained)),
        outcome(&[4], true, unit(place, marked_chain)),
        outcome(&[5], false, unit(place, mixed_chain)),
        outcome(&[6, 7], false, unit(place, mapped)),
        outcome(&[8], false, failed),
        outcome(&[9], false, unit(place, argument)),
        outcome(&[10], false, unit(place, late)),
        outcome(&[11], false, unit(place, long)),
        outcome(&[12], true, unit(place, rest)),
    ];
    let counts = log.counts();
    for outcome in outcomes.iter().flatten() {
        outcome.check(counts.get(&outcome.id).copied().unwrap_or(0), place);
    }
    log.check_order(|_| true);
    drop((own, list));
    second.run();
    passed
}

#[test]
fn a_cut_at_any_message_loses_no_call_and_runs_none_twice() {
    const ALL: usize = usize::MAX;
    let (to_server, to_client) = program((ALL, ALL), "no cut");
    assert!(to_server > 20 && to_client > 9, "{to_server}, {to_client}");
    for at in 0..=to_server {
        program(
            (at, ALL),
            &format!("a cut after {at} messages to the server"),
        );
    }
    for at in 0..=to_client {
        program(
            (ALL, at),
            &format!("a cut after {at} messages to the client"),
        );
    }
}

#[test]
fn a_call_that_was_not_taken_by_the_transport_has_not_run() {
    for lasting in [false, true] {
        let (log, scene) = (Log::default(), Scene::new());
        let mut line = Line::new(&log, 1, (usize::MAX, usize::MAX));
        scene.slot.put(&line.session, line.session.main());
        let main = line.session.main();
        let api = if lasting { &scene.api } else { &main };
        let taken = api.call("count", (1,));
        let on_taken = taken.call("x", ());
        line.step(true).unwrap();
        let left = api.call("count", (2,));
        let on_left = left.call("x", ());
        line.cut();
        for (promise, may_have_run) in [
            (taken.clone(), true),
            (on_taken, true),
            (taken.call("later", ()), true),
            (left.clone(), false),
            (on_left, false),
            (left.call("later", ()), false),
        ] {
            let error = super::failure(promise.fetch::<u32>());
            assert!(error.is_disconnected());
            assert_eq!(error.may_have_run(), may_have_run, "lasting: {lasting}");
            // The flag is preserved when the error is modified.
            let clone = error.clone().with_prop("a", 1).with_stack("here");
            assert_eq!(clone.may_have_run(), may_have_run);
            assert!(error.with_may_have_run(true).may_have_run());
        }
        if !lasting {
            let error = super::failure(api.call("count", (3,)).fetch::<u32>());
            assert!(!error.may_have_run());
        }
        assert_eq!(log.counts().into_iter().collect::<Vec<_>>(), [(1, 1)]);
    }
}

#[test]
fn a_session_that_is_closed_still_sends_what_was_called() {
    let log = Log::default();
    let mut line = Line::new(&log, 1, (usize::MAX, usize::MAX));
    let call = line.session.main().call("count", (1,)).fetch::<u32>();
    line.session.close(capnweb_core::Error::new("done"));
    assert!(super::failure(call).may_have_run());
    while line.step(true).unwrap_or(false) {}
    assert_eq!(log.counts().get(&1), Some(&1));
}

#[test]
fn a_batch_that_was_not_sent_has_not_run() {
    use capnweb_core::{ConnectFailure, Error};

    use crate::support::ScriptedPeer;

    let refused = || Error::disconnected("refused").with_connect_failure(ConnectFailure::Refused);
    let reset = || Error::disconnected("reset").with_connect_failure(ConnectFailure::Disconnected);
    for (is_taken, reason, may_have_run) in [
        (false, reset(), false),
        (true, reset(), true),
        (true, refused(), false),
    ] {
        let mut peer = ScriptedPeer::batch_client();
        let call = peer.session.main().call("a", ()).fetch::<u32>();
        if is_taken {
            peer.said();
        }
        peer.connection.end(reason);
        assert_eq!(super::failure(call).may_have_run(), may_have_run);
    }
    let mut peer = ScriptedPeer::batch_client();
    let answered = peer.session.main().call("a", ());
    Promise::detach(answered.clone());
    peer.said();
    peer.send(r#"["reject",1,["error","Error","no"]]"#);
    assert!(super::failure(answered.fetch::<u32>()).may_have_run());
}
