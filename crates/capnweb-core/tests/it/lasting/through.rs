//! Filled slots, which behave just like the stub in them.

use std::sync::{Arc, Mutex};

use capnweb_core::{Error, Object, Promise, Result, Stub, Value};
use futures_util::FutureExt;

use super::{Scene, cut, failure, lost, value};
use crate::support::{ScriptedPeer, calculator, connect, within};

#[test]
fn a_call_through_a_slot_is_the_call_of_the_stub_in_it() {
    let scene = Scene::new();
    let mut peer = scene.connect();
    let sum = scene.api.call("add", (1, 2)).fetch::<i32>();
    peer.expect(r#"["push",["pipeline",0,["add"],[1,2]]]"#);
    peer.expect(r#"["pull",1]"#);
    peer.send(r#"["resolve",1,3]"#);
    peer.expect(r#"["release",1,1]"#);
    assert_eq!(value(sum), 3);
    peer.expect_silence();
}

#[test]
fn a_map_through_a_slot_takes_one_message() {
    let scene = Scene::new();
    let mut peer = scene.connect();
    let api = &scene.api;
    let friends = api.call("friends", ());
    let names = friends.map(|id| (id.clone(), api.call("name", (id,))));
    let _names = names.fetch::<Value>();
    peer.expect(r#"["push",["pipeline",0,["friends"],[]]]"#);
    peer.expect(
        r#"["push",["remap",1,[],[["import",0]],
            [["pipeline",-1,["name"],[["pipeline",0]]],[[["pipeline",0],["pipeline",1]]]]]]"#,
    );
    peer.expect(r#"["pull",2]"#);
    peer.expect_silence();
}

#[test]
fn a_lasting_stub_arrives_as_the_peers_own_object() {
    let scene = Scene::new();
    let (user_slot, user) = scene.group.slot();
    let mut peer = ScriptedPeer::client();
    let main = peer.session.main();
    let raw = Promise::into_stub(main.call("login", ()));
    scene.group.put_all(
        &peer.session,
        [(scene.slot.clone(), main), (user_slot, raw)],
    );
    Promise::detach(scene.api.call("add", (&user, &scene.api, user.get("name"))));
    peer.expect(r#"["push",["pipeline",0,["login"],[]]]"#);
    peer.expect(
        r#"["push",["pipeline",0,["add"],[["import",1],["import",0],["pipeline",1,["name"]]]]]"#,
    );
    peer.expect(r#"["release",2,1]"#);
}

#[test]
fn for_another_session_a_lasting_stub_is_an_object_of_this_process() {
    let (scene, other) = (Scene::new(), Scene::new());
    let mut peer = other.connect();
    Promise::detach(other.api.call("use", (&scene.api,)));
    peer.expect(r#"["push",["pipeline",0,["use"],[["export",-1]]]]"#);
    peer.expect(r#"["release",1,1]"#);
    // It keeps working when its own session changes.
    for _ in 0..2 {
        let mut origin = scene.connect();
        peer.send(r#"["push",["pipeline",-1,["ping"],[]]]"#);
        origin.expect(r#"["push",["pipeline",0,["ping"],[]]]"#);
        cut(&mut origin);
    }
}

#[test]
fn a_call_goes_to_what_a_derived_promise_has_come_to() {
    let scene = Scene::new();
    let mut peer = ScriptedPeer::client();
    let raw = Promise::into_stub(peer.session.main().call("login", ()));
    scene.slot.put(&peer.session, raw);
    Promise::detach(scene.api.call("a", ()));
    peer.expect(r#"["push",["pipeline",0,["login"],[]]]"#);
    peer.expect(r#"["push",["pipeline",1,["a"],[]]]"#);
    peer.expect(r#"["release",2,1]"#);
    // The outcome is requested.
    let name = scene.api.get("name").fetch::<String>();
    peer.expect(r#"["push",["pipeline",1,["name"]]]"#);
    peer.expect(r#"["pull",3]"#);
    peer.send(r#"["resolve",1,["export",-7]]"#);
    peer.expect(r#"["release",1,1]"#);
    for _ in 0..2 {
        Promise::detach(scene.api.call("b", ()));
        peer.expect(r#"["push",["pipeline",-7,["b"],[]]]"#);
        peer.next();
    }
    drop(name);
}

#[test]
fn a_derivation_that_failed_fails_its_calls() {
    let scene = Scene::new();
    let mut peer = ScriptedPeer::client();
    let raw = Promise::into_stub(peer.session.main().call("login", ()));
    scene.slot.put(&peer.session, raw);
    peer.send(r#"["reject",1,["error","Error","wrong password"]]"#);
    let error = failure(scene.api.call("a", ()).fetch::<Value>());
    assert_eq!(error.message(), "wrong password");
    assert!(error.may_have_run());
}

#[tokio::test]
async fn callbacks_and_streams_pass_through_a_slot() {
    let scene = Scene::new();
    let main = calculator();
    let session = connect(main);
    scene.slot.put(&session.client, session.api.clone());
    let double = Stub::function(async |n: f64| Ok(n * 2.0));
    let result = scene.api.call("callFunction", (&double, 21)).fetch::<f64>();
    assert_eq!(within(result).await.unwrap(), 42.0);
    let counter = scene.api.call("makeCounter", (5,));
    let sum = scene.api.call("add", (counter.call("increment", ()), 1));
    assert_eq!(within(sum.fetch::<f64>()).await.unwrap(), 7.0);
    drop((counter, sum));
    assert_eq!(
        within(scene.api.get("version").fetch::<String>())
            .await
            .unwrap(),
        "1.0"
    );
}

#[test]
fn callbacks_for_the_breaking_wait_for_the_closing() {
    let scene = Scene::new();
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let hear = |number: u32| {
        let heard = heard.clone();
        move |error: Error| {
            let text = format!("{number}: {}", error.message());
            heard.lock().unwrap().push(text);
        }
    };
    scene.api.on_broken(hear(1)).forget();
    let taken_back = scene.api.on_broken(hear(2));
    let mut peer = scene.connect();
    scene.api.on_broken(hear(3)).forget();
    let call = scene.api.call("wait", ());
    Promise::as_stub(&call).on_broken(hear(4)).forget();
    cut(&mut peer);
    assert_eq!(*heard.lock().unwrap(), ["4: the connection is lost"]);
    let closed = scene.api.closed();
    drop(taken_back);
    let mut peer = scene.connect();
    scene.slot.close(Error::new("signed out"));
    assert_eq!(
        heard.lock().unwrap()[1..],
        ["1: signed out", "3: signed out"]
    );
    assert_eq!(closed.now_or_never().unwrap().message(), "signed out");
    scene.api.on_broken(hear(5)).forget();
    assert_eq!(heard.lock().unwrap()[3..], ["5: signed out"]);
    let error = failure(scene.api.call("late", ()).fetch::<Value>());
    assert!(!error.may_have_run());
    // Only the test still holds the session.
    peer.expect_silence();
    peer.expect_empty();
}

#[test]
fn the_last_stub_takes_the_session_along() {
    let scene = Scene::new();
    let peer = scene.connect();
    let ScriptedPeer {
        session,
        connection,
        ..
    } = peer;
    drop(session);
    assert!(connection.end_reason().is_none());
    let gone = scene.slot.gone();
    drop(scene.api);
    assert!(connection.end_reason().unwrap().is_normal_end());
    assert_eq!(gone.now_or_never(), Some(()));
    assert!(scene.slot.stub().is_none());
}

#[test]
fn a_slot_that_leads_to_itself_fails_its_calls() {
    for timed in [false, true] {
        let mut options = capnweb_core::lasting::SlotOptions::new();
        if timed {
            options = options.call_timeout(std::time::Duration::from_secs(9));
        }
        let (one, two) = (Scene::with(options.clone()), Scene::with(options));
        let (left, right) = (ScriptedPeer::client(), ScriptedPeer::client());
        one.slot.put(&left.session, two.api.clone());
        two.slot.put(&right.session, one.api.clone());
        let error = failure(one.api.call("a", ()).fetch::<Value>());
        assert!(error.is_type_error(), "{error}");
    }
}

#[test]
fn a_stub_of_an_ended_session_is_refused_as_an_argument() {
    let scene = Scene::new();
    let mut first = scene.connect();
    let old: Result<Stub> = {
        let promise = scene.api.call("login", ()).fetch::<Stub>();
        first.send(r#"["resolve",1,["export",-1]]"#);
        promise.now_or_never().unwrap()
    };
    let old = old.unwrap();
    cut(&mut first);
    let waiting = scene.api.call("use", (&old,)).fetch::<Value>();
    let mut second = scene.connect();
    let at_once = scene.api.call("use", (&old,)).fetch::<Value>();
    let mapped = scene.api.map(|_| old.call("x", ())).fetch::<Value>();
    for refused in [waiting, at_once, mapped] {
        let error = failure(refused);
        assert!(
            error.message().contains("a session that is over"),
            "{error}"
        );
        assert!(error.is_disconnected() && !error.may_have_run());
    }
    second.expect_silence();
}

#[test]
fn the_session_of_a_lasting_stub_is_the_current_one() {
    let scene = Scene::new();
    assert!(scene.api.session().is_none());
    let ready = scene.api.ready();
    let mut ready = Box::pin(ready);
    assert!(ready.as_mut().now_or_never().is_none());
    let mut peer = scene.connect();
    assert!(scene.api.session().is_some());
    assert!(ready.now_or_never().unwrap().is_ok());
    let taken = scene.slot.take(lost()).unwrap();
    assert!(taken.is_same(&peer.session.main()));
    assert!(scene.api.session().is_none());
    peer.expect_silence();
}

#[tokio::test]
async fn a_gateway_hands_out_a_lasting_stub() {
    let scene = Scene::new();
    let browser = connect(scene.api.clone());
    for round in 1..=3 {
        let waiting = browser.api.call("echo", (round,)).fetch::<i32>();
        crate::support::idle().await;
        let upstream = connect(calculator());
        scene.slot.put(&upstream.client, upstream.api.clone());
        assert_eq!(within(waiting).await.unwrap(), round);
        let length = browser.api.call("list", (3,)).map(|n| n);
        assert_eq!(within(length.fetch::<Vec<u32>>()).await.unwrap().len(), 3);
        upstream.server.close(Error::new("restart"));
        within(upstream.client.closed()).await;
    }
    // A local handler can receive a lasting stub like any other stub.
    let keep: Arc<Mutex<Option<Stub>>> = Arc::default();
    let kept = keep.clone();
    let object = Object::new().method("keep", move |stub: Stub| {
        *kept.lock().unwrap() = Some(stub);
        async { Ok(()) }
    });
    let local = object.into_stub();
    within(local.call("keep", (&scene.api,)).fetch::<()>())
        .await
        .unwrap();
    assert!(keep.lock().unwrap().as_ref().unwrap().is_same(&scene.api));
}
