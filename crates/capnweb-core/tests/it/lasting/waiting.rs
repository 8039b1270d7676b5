//! Empty slots, where calls wait or fail.

use std::time::Duration;

use capnweb_core::{
    Error, Promise, Value,
    lasting::{SlotOptions, SlotState, WhileDown},
};
use futures_util::FutureExt;

use super::{Scene, cut, failure, lost, value};
use crate::support::idle_on_paused_clock;

#[test]
fn calls_wait_in_order_and_come_before_later_ones() {
    let scene = Scene::new();
    let (other_slot, other) = scene.group.slot();
    let calls: Vec<_> = (0..6)
        .map(|n| [&scene.api, &other][n % 2].call("m", (n,)))
        .collect();
    assert_eq!(scene.group.waiting().calls, 6);
    let mut peer = crate::support::ScriptedPeer::client();
    let main = peer.session.main();
    scene.group.put_all(
        &peer.session,
        [(scene.slot.clone(), main.clone()), (other_slot, main)],
    );
    let late = scene.api.call("late", ());
    for n in 0..6 {
        peer.expect(&format!(r#"["push",["pipeline",0,["m"],[{n}]]]"#));
    }
    peer.expect(r#"["push",["pipeline",0,["late"],[]]]"#);
    peer.expect_silence();
    assert_eq!(scene.group.waiting(), Default::default());
    drop((calls, late));
}

#[test]
fn what_is_made_of_a_waiting_call_goes_behind_it() {
    let scene = Scene::new();
    let user = scene.api.call("login", ("token",));
    let name = user.get("name").fetch::<String>();
    let friends = user.call("friends", ()).map(|friend| friend);
    let sum = scene
        .api
        .call("add", (user.call("id", ()), 1))
        .fetch::<i32>();
    assert!(name.now_or_never().is_none());
    let mut peer = scene.connect();
    peer.expect(r#"["push",["pipeline",0,["login"],["token"]]]"#);
    // The read of the name was dropped with its future.
    peer.expect(r#"["push",["pipeline",1,["friends"],[]]]"#);
    peer.expect(r#"["push",["remap",2,[],[],[["pipeline",0]]]]"#);
    peer.expect(r#"["push",["pipeline",1,["id"],[]]]"#);
    peer.expect(r#"["push",["pipeline",0,["add"],[["pipeline",4],1]]]"#);
    // Nobody else holds the argument.
    peer.expect(r#"["release",4,1]"#);
    peer.expect(r#"["pull",5]"#);
    peer.send(r#"["resolve",5,8]"#);
    assert_eq!(value(sum), 8);
    drop((user, friends));
}

#[test]
fn a_call_whose_promise_is_dropped_is_never_sent() {
    let scene = Scene::new();
    let dropped = scene.api.call("a", ());
    let chain = scene
        .api
        .call("b", ())
        .call("c", ())
        .get("d")
        .fetch::<Value>();
    let kept = scene.api.call("e", ());
    Promise::detach(scene.api.call("f", ()));
    let through_a_clone = kept.clone();
    drop((dropped, chain, kept));
    assert_eq!(scene.group.waiting().calls, 2);
    let mut peer = scene.connect();
    peer.expect(r#"["push",["pipeline",0,["e"],[]]]"#);
    peer.expect(r#"["push",["pipeline",0,["f"],[]]]"#);
    peer.expect(r#"["release",2,1]"#);
    peer.expect_silence();
    drop(through_a_clone);
}

#[test]
fn a_call_on_a_dropped_promise_keeps_what_it_is_made_on() {
    let scene = Scene::new();
    let last = scene.api.call("a", ()).call("b", ());
    assert_eq!(scene.group.waiting().calls, 2);
    let mut peer = scene.connect();
    peer.expect(r#"["push",["pipeline",0,["a"],[]]]"#);
    peer.expect(r#"["push",["pipeline",1,["b"],[]]]"#);
    drop(last);
}

#[test]
fn calls_fail_at_once_if_they_are_not_to_wait() {
    let scene = Scene::with(SlotOptions::new().while_down(WhileDown::FailFast));
    scene.slot.set_reason(Error::disconnected("refused"));
    let call = scene.api.call("a", ());
    let on_it = call.call("b", ());
    for promise in [call, on_it] {
        let error = failure(promise.fetch::<Value>());
        assert_eq!(error.code().as_deref(), Some("unavailable"));
        assert_eq!(error.cause().unwrap().message(), "refused");
        assert!(error.is_disconnected() && !error.may_have_run());
    }
    let mut peer = scene.connect();
    peer.expect_silence();
    Promise::detach(scene.api.call("c", ()));
    peer.expect(r#"["push",["pipeline",0,["c"],[]]]"#);
}

#[test]
fn more_calls_than_may_wait_fail() {
    let scene = Scene::bounded(2, 100);
    let (_, other) = scene.group.slot();
    let first = scene.api.call("a", ());
    let _second = other.call("b", ());
    let third = scene.api.call("c", ()).fetch::<Value>();
    let error = failure(third);
    assert_eq!(error.code().as_deref(), Some("resource_exhausted"));
    assert!(!error.may_have_run());
    // Each call that is dropped makes room.
    drop(first);
    let long = scene.api.call("c", ("x".repeat(100),)).fetch::<Value>();
    assert!(failure(long).message().contains("bytes"));
    let fits = scene.api.call("c", ()).fetch::<Value>();
    assert!(fits.now_or_never().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_no_longer_than_it_may() {
    let scene = Scene::bounded(10, 1000);
    let call = scene.api.call("a", ());
    let on_it = call.call("b", ());
    tokio::time::sleep(Duration::from_millis(600)).await;
    let later = scene.api.call("c", ());
    let mut on_it = Box::pin(on_it.fetch::<Value>());
    assert!(on_it.as_mut().now_or_never().is_none());
    tokio::time::sleep(Duration::from_millis(500)).await;
    let error = on_it.await.unwrap_err();
    assert_eq!(error.code().as_deref(), Some("unavailable"));
    assert!(!error.may_have_run());
    assert_eq!(scene.group.waiting().calls, 1);
    let mut peer = scene.connect();
    peer.expect(r#"["push",["pipeline",0,["c"],[]]]"#);
    peer.expect_silence();
    drop((call, later));
    // There is no task unless calls are waiting.
    idle_on_paused_clock().await;
    let tasks = tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks();
    assert_eq!(tasks, 0);
}

#[tokio::test(start_paused = true)]
async fn an_expired_call_and_what_was_made_of_it_have_one_error() {
    let scene = Scene::bounded(10, 1000);
    let call = scene.api.call("a", ());
    let of_it = call.call("b", ()).call("c", ());
    let whole = of_it.get("d").fetch::<Value>();
    let errors = [call.fetch().await, of_it.fetch().await, whole.await];
    for error in errors.map(Result::<Value, _>::unwrap_err) {
        assert_eq!(error.code().as_deref(), Some("unavailable"));
        assert!(!error.may_have_run());
    }
    assert_eq!(scene.group.waiting().calls, 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_is_answered_in_time_or_fails() {
    let options = SlotOptions::new().call_timeout(Duration::from_secs(2));
    let scene = Scene::with(options);
    let waiting = scene.api.call("a", ()).fetch::<Value>();
    let error = waiting.await.unwrap_err();
    assert_eq!(error.code().as_deref(), Some("deadline_exceeded"));
    assert!(!error.may_have_run());
    let mut peer = scene.connect();
    peer.expect_silence();
    let sent = scene.api.call("b", ()).fetch::<Value>();
    let answered = scene.api.call("c", ()).fetch::<i32>();
    peer.expect(r#"["push",["pipeline",0,["b"],[]]]"#);
    peer.expect(r#"["pull",1]"#);
    peer.send(r#"["resolve",2,5]"#);
    assert_eq!(answered.await.unwrap(), 5);
    let error = sent.await.unwrap_err();
    assert_eq!(error.code().as_deref(), Some("deadline_exceeded"));
    assert!(error.may_have_run());
    // The result of the call is released.
    assert!(peer.said().contains(&r#"["release",1,1]"#.to_owned()));
    peer.expect_empty();
}

#[test]
fn a_closed_slot_fails_what_waits() {
    let scene = Scene::new();
    let call = scene.api.call("a", ());
    let of_it = call.call("b", ());
    scene.slot.close(Error::new("the client is closed"));
    scene.slot.close(Error::new("too late"));
    let later = scene.api.call("c", ());
    for promise in [call, of_it, later] {
        let error = failure(promise.fetch::<Value>());
        assert_eq!(error.message(), "the client is closed");
        assert!(!error.may_have_run());
    }
    let mut peer = scene.connect();
    peer.expect_silence();
    assert_eq!(scene.slot.state(), SlotState::Closed);
}

#[test]
fn a_session_that_is_over_leaves_the_slot_empty() {
    let scene = Scene::new();
    let call = scene.api.call("a", ());
    let mut dead = crate::support::ScriptedPeer::client();
    let main = dead.session.main();
    cut(&mut dead);
    scene.slot.put(&dead.session, main);
    assert_eq!(scene.slot.state(), SlotState::Empty);
    let mut peer = scene.connect();
    peer.expect(r#"["push",["pipeline",0,["a"],[]]]"#);
    peer.expect_silence();
    drop(call);
}

#[test]
fn an_outage_tells_its_reason() {
    let scene = Scene::with(SlotOptions::new().while_down(WhileDown::FailFast));
    let mut peer = scene.connect();
    cut(&mut peer);
    let error = failure(scene.api.call("a", ()).fetch::<Value>());
    assert_eq!(error.cause().unwrap().message(), lost().message());
}

#[test]
fn a_slot_that_refuses_lets_nothing_wait() {
    let scene = Scene::repeating();
    let mut peer = scene.connect();
    let lost = scene.api.idempotent().call("a", ()).fetch::<Value>();
    peer.said();
    cut(&mut peer);
    // The one that was sent waits for the next session, too.
    let call = scene.api.call("b", ());
    let of_it = call.call("c", ());
    scene.slot.refuse(Error::unauthenticated("sign in"));
    let later = scene.api.call("d", ()).fetch::<Value>();
    assert!(failure(lost).may_have_run());
    for future in [call.fetch::<Value>(), of_it.fetch::<Value>(), later] {
        let error = failure(future);
        assert_eq!(error.message(), "sign in");
        assert!(!error.may_have_run());
    }
    assert_eq!(scene.group.waiting().calls, 0);
    assert_eq!(scene.slot.state(), SlotState::Empty);
    // Another reason, and calls wait again.
    scene.slot.set_reason(Error::disconnected("connecting"));
    let waiting = scene.api.call("e", ());
    assert_eq!(scene.group.waiting().calls, 1);
    let mut peer = scene.connect();
    peer.expect(r#"["push",["pipeline",0,["e"],[]]]"#);
    peer.expect_silence();
    drop(waiting);
    // A session that is there is not touched.
    scene.slot.refuse(Error::unauthenticated("sign in"));
    Promise::detach(scene.api.call("f", ()));
    assert!(
        peer.said()
            .contains(&r#"["push",["pipeline",0,["f"],[]]]"#.to_owned())
    );
}

#[test]
fn a_slot_that_refuses_is_filled_by_a_session() {
    let scene = Scene::new();
    scene.slot.refuse(Error::unauthenticated("sign in"));
    failure(scene.api.call("a", ()).fetch::<Value>());
    let mut peer = scene.connect();
    Promise::detach(scene.api.call("b", ()));
    peer.expect(r#"["push",["pipeline",0,["b"],[]]]"#);
}
