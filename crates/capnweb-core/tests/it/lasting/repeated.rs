//! Idempotent calls, which are retried if they are lost.

use std::sync::{Arc, Mutex};

use capnweb_core::{
    Error, Promise, Value,
    lasting::{LostCall, RetryPolicy, SlotOptions},
};
use futures_util::FutureExt;

use super::{Scene, cut, failure, value};

#[test]
fn an_idempotent_call_is_made_again() {
    let scene = Scene::repeating();
    let mut peer = scene.connect();
    let mut sum = Box::pin(scene.api.idempotent().call("add", (1, 2)).fetch::<i32>());
    let once = scene.api.call("pay", ()).fetch::<Value>();
    peer.said();
    for _ in 0..3 {
        cut(&mut peer);
        assert!(sum.as_mut().now_or_never().is_none());
        peer = scene.connect();
        peer.expect(r#"["push",["pipeline",0,["add"],[1,2]]]"#);
        peer.expect(r#"["pull",1]"#);
        peer.expect_silence();
    }
    peer.send(r#"["resolve",1,3]"#);
    assert_eq!(sum.now_or_never().unwrap().unwrap(), 3);
    let error = failure(once);
    assert!(error.is_disconnected() && error.may_have_run());
    peer.expect(r#"["release",1,1]"#);
    peer.expect_empty();
}

#[test]
fn repeated_calls_come_before_those_that_were_made_later() {
    let scene = Scene::repeating();
    let mut peer = scene.connect();
    let calls = [1, 2, 3].map(|n| scene.api.idempotent().call("m", (n,)).fetch::<Value>());
    peer.said();
    cut(&mut peer);
    let later = scene.api.call("m", (4,)).fetch::<Value>();
    let mut peer = scene.connect();
    let pushes: Vec<_> = peer
        .said()
        .into_iter()
        .filter(|message| message.contains("push"))
        .collect();
    let expected = [1, 2, 3, 4].map(|n| format!(r#"["push",["pipeline",0,["m"],[{n}]]]"#));
    assert_eq!(pushes, expected);
    drop((calls, later));
}

#[test]
fn a_chain_is_repeated_if_all_of_it_is_idempotent() {
    let scene = Scene::repeating();
    let mut peer = scene.connect();
    let user = scene.api.idempotent().call("user", (5,));
    let name = user.idempotent().get("name").fetch::<String>();
    let paid = user.call("pay", ()).fetch::<Value>();
    let of_paid = scene.api.call("pay", ());
    let not_so = of_paid.idempotent().call("sum", ()).fetch::<Value>();
    peer.said();
    cut(&mut peer);
    for lost in [paid, not_so] {
        assert!(failure(lost).may_have_run());
    }
    let mut peer = scene.connect();
    peer.expect(r#"["push",["pipeline",0,["user"],[5]]]"#);
    peer.expect(r#"["push",["pipeline",1,["name"]]]"#);
    peer.expect(r#"["pull",2]"#);
    peer.expect_silence();
    peer.send(r#"["resolve",2,"Ada"]"#);
    assert_eq!(value(name), "Ada");
    drop((user, of_paid));
    peer.said();
    peer.expect_empty();
}

#[test]
fn what_leads_to_a_repeated_call_is_made_anew_although_it_was_answered() {
    let scene = Scene::repeating();
    let mut peer = scene.connect();
    let user = scene.api.idempotent().call("user", (5,));
    let name = user.idempotent().call("name", ()).fetch::<String>();
    // The stub of the user has arrived, but the name has not.
    let answered = user.clone().fetch::<capnweb_core::Stub>();
    peer.send(r#"["resolve",1,["export",-1]]"#);
    let stub = value(answered);
    cut(&mut peer);
    let mut peer = scene.connect();
    peer.expect(r#"["push",["pipeline",0,["user"],[5]]]"#);
    peer.expect(r#"["push",["pipeline",1,["name"],[]]]"#);
    peer.expect(r#"["pull",2]"#);
    peer.send(r#"["resolve",2,"Ada"]"#);
    assert_eq!(value(name), "Ada");
    // The stub that the application received belongs to the first session.
    assert!(failure(stub.call("x", ()).fetch::<Value>()).is_disconnected());
    drop(user);
}

#[test]
fn the_policy_decides_and_is_told_of_answers() {
    #[derive(Clone, Default)]
    struct Twice(Arc<Mutex<Vec<u32>>>, Arc<Mutex<u32>>);
    impl RetryPolicy for Twice {
        fn may_retry(&self, call: &LostCall<'_>) -> bool {
            assert!(call.error.is_disconnected());
            self.0.lock().unwrap().push(call.attempts);
            call.attempts < 2
        }

        fn answered(&self) {
            *self.1.lock().unwrap() += 1;
        }
    }
    let policy = Twice::default();
    let scene = Scene::with(SlotOptions::new().retry(policy.clone()));
    let mut peer = scene.connect();
    let lost = scene.api.idempotent().call("a", ()).fetch::<Value>();
    let answered = scene.api.idempotent().call("b", ()).fetch::<i32>();
    let failed = scene.api.idempotent().call("c", ()).fetch::<i32>();
    peer.send(r#"["resolve",2,1]"#);
    peer.send(r#"["reject",3,["error","Error","no"]]"#);
    assert_eq!(value(answered), 1);
    assert_eq!(failure(failed).message(), "no");
    assert_eq!(*policy.1.lock().unwrap(), 2);
    peer.said();
    cut(&mut peer);
    let mut peer = scene.connect();
    peer.said();
    cut(&mut peer);
    let error = failure(lost);
    assert!(error.is_disconnected() && error.may_have_run());
    assert_eq!(*policy.0.lock().unwrap(), [1, 2]);
}

#[test]
fn a_call_that_may_have_run_once_says_so_for_good() {
    let scene = Scene::repeating();
    let mut peer = scene.connect();
    let lost = scene.api.idempotent().call("a", ()).fetch::<Value>();
    peer.said();
    cut(&mut peer);
    // The call waits again, and the slot is closed before it is sent.
    scene.slot.close(Error::new("closed"));
    let error = failure(lost);
    assert_eq!(error.message(), "closed");
    assert!(error.may_have_run());
}

#[test]
fn a_mark_means_nothing_without_a_policy() {
    let scene = Scene::new();
    let mut peer = scene.connect();
    let call = scene.api.idempotent().call("a", ());
    let lost = call.fetch::<Value>();
    peer.said();
    cut(&mut peer);
    assert!(failure(lost).may_have_run());
    let mut peer = scene.connect();
    peer.expect_silence();
}

#[test]
fn arguments_are_kept_and_sent_again() {
    let scene = Scene::repeating();
    let (other_slot, other) = scene.group.slot();
    let mut peer = scene.connect();
    other_slot.put(&peer.session, peer.session.main());
    let inner = scene.api.idempotent().call("id", ());
    let callback = capnweb_core::Stub::function(async || Ok(1));
    let call = scene
        .api
        .idempotent()
        .call("f", (&callback, &other, inner.clone()));
    let call = call.fetch::<Value>();
    peer.said();
    cut(&mut peer);
    let mut peer = crate::support::ScriptedPeer::client();
    let main = peer.session.main();
    scene.group.put_all(
        &peer.session,
        [(scene.slot.clone(), main.clone()), (other_slot, main)],
    );
    peer.expect(r#"["push",["pipeline",0,["id"],[]]]"#);
    peer.expect(r#"["push",["pipeline",0,["f"],[["export",-1],["import",0],["pipeline",1]]]]"#);
    drop((call, inner));
}

#[test]
fn a_repeated_call_whose_promise_is_dropped_is_not_made_again() {
    let scene = Scene::repeating();
    let mut peer = scene.connect();
    let call = scene.api.idempotent().call("a", ());
    Promise::detach(scene.api.idempotent().call("b", ()));
    peer.said();
    cut(&mut peer);
    drop(call);
    let mut peer = scene.connect();
    peer.expect_silence();
}
