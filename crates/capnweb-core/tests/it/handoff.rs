//! Stubs that are pointed elsewhere, and reports of stubs that are passed on.

use std::sync::{Arc, Mutex};

use capnweb_core::{
    Error, Object, Promise, SessionOptions, Stub, Value,
    handoff::Relay,
    lasting::{SlotGroup, SlotId, SlotOptions},
};

use crate::support::{ScriptedPeer, within};

/// A session with a peer that passes stubs to its main object.
struct Receiver {
    peer: ScriptedPeer,
    taken: Arc<Mutex<Vec<Stub>>>,
    calls: i64,
}

impl Receiver {
    fn new() -> Self {
        let taken = Arc::new(Mutex::new(Vec::new()));
        let kept = taken.clone();
        let main = Object::new().method("take", move |stub: Stub| {
            kept.lock().unwrap().push(stub);
            async { Ok(()) }
        });
        Self {
            peer: ScriptedPeer::server(main.into_stub()),
            taken,
            calls: 0,
        }
    }

    /// Receives the peer's export `id`.
    fn take(&mut self, id: i64) -> Stub {
        self.calls += 1;
        let push = format!(r#"["push",["pipeline",0,["take"],[["export",{id}]]]]"#);
        self.peer.send(&push);
        self.peer.send(&format!(r#"["release",{},1]"#, self.calls));
        self.peer.expect_silence();
        self.taken.lock().unwrap().pop().unwrap()
    }
}

fn post(stub: &Stub, number: u32) -> Promise<Value> {
    stub.call("post", (number,))
}

fn posted(target: i64, number: u32) -> String {
    format!(r#"["push",["pipeline",{target},["post"],[{number}]]]"#)
}

#[tokio::test]
async fn calls_wait_and_then_go_elsewhere_in_their_order() {
    let (mut old, mut new) = (Receiver::new(), ScriptedPeer::client());
    let stub = old.take(-1);
    let clone = stub.clone();
    let mut calls = vec![post(&stub, 1)];
    old.peer.expect(&posted(-1, 1));
    let redirection = old.peer.session.redirect(-1).unwrap();
    calls.push(post(&stub, 2));
    calls.push(post(&clone, 3));
    old.peer.expect_silence();
    // What goes the old way is behind the calls before.
    calls.push(redirection.old_way().call("echo", ()));
    old.peer.expect(r#"["push",["pipeline",-1,["echo"],[]]]"#);
    redirection.complete(new.session.main());
    new.expect(&posted(0, 2));
    new.expect(&posted(0, 3));
    old.peer.expect(r#"["release",-1,1]"#);
    calls.push(post(&stub, 4));
    new.expect(&posted(0, 4));
    old.peer.expect_silence();
    // An answer of the old way still arrives.
    old.peer.send(r#"["resolve",1,7]"#);
    let first = calls.remove(0);
    assert_eq!(within(first.fetch::<u32>()).await.unwrap(), 7);
}

#[tokio::test]
async fn calls_go_on_if_a_redirection_is_dropped() {
    let mut old = Receiver::new();
    let stub = old.take(-1);
    let redirection = old.peer.session.redirect(-1).unwrap();
    let _calls = [post(&stub, 1), post(&stub, 2)];
    old.peer.expect_silence();
    drop(redirection);
    old.peer.expect(&posted(-1, 1));
    old.peer.expect(&posted(-1, 2));
    let _call = post(&stub, 3);
    old.peer.expect(&posted(-1, 3));
    old.peer.expect_silence();
    drop(stub);
    old.peer.expect(r#"["release",-1,1]"#);
    // The peer can pass it on again, and it can be pointed elsewhere then.
    let stub = old.take(-2);
    old.peer
        .session
        .redirect(-2)
        .unwrap()
        .complete(Stub::broken(Error::new("elsewhere")));
    let error = within(post(&stub, 4).fetch::<()>()).await.unwrap_err();
    assert_eq!(error.message(), "elsewhere");
    old.peer.expect(r#"["release",-2,1]"#);
}

#[tokio::test]
async fn stubs_that_are_dropped_meanwhile_are_released() {
    for completes in [false, true] {
        let (mut old, mut new) = (Receiver::new(), ScriptedPeer::client());
        let stub = old.take(-1);
        let redirection = old.peer.session.redirect(-1).unwrap();
        let waiting = post(&stub, 1);
        drop(stub);
        old.peer.expect_silence();
        match completes {
            true => redirection.complete(new.session.main()),
            false => drop(redirection),
        }
        let peer = if completes { &mut new } else { &mut old.peer };
        peer.expect(&posted(if completes { 0 } else { -1 }, 1));
        old.peer.expect(r#"["release",-1,1]"#);
        old.peer.expect_silence();
        drop(waiting);
    }
}

#[tokio::test]
async fn only_stubs_that_are_held_can_be_pointed_elsewhere() {
    let mut old = Receiver::new();
    let session = old.peer.session.clone();
    let main = session.main();
    assert!(
        [0, 1, -1]
            .into_iter()
            .all(|id| session.redirect(id).is_none())
    );
    let (held, dropped) = (old.take(-1), old.take(-2));
    drop(dropped);
    old.peer.expect(r#"["release",-2,1]"#);
    assert!(session.redirect(-2).is_none());
    old.peer
        .send(r#"["push",["pipeline",0,["take"],[["promise",-3]]]]"#);
    assert!(session.redirect(-3).is_none());
    let over = old.take(-4);
    old.calls += 1;
    // Once is enough.
    let first = session.redirect(-1).unwrap();
    assert!(session.redirect(-1).is_none());
    first.complete(main.clone());
    assert!(session.redirect(-1).is_none());
    drop(held);
    session.close(Error::new("over"));
    assert!(session.redirect(-4).is_none());
    drop(over);
}

#[tokio::test]
async fn calls_that_wait_break_with_the_old_session() {
    let mut old = Receiver::new();
    let stub = old.take(-1);
    let redirection = old.peer.session.redirect(-1).unwrap();
    let waiting = post(&stub, 1);
    old.peer.session.close(Error::new("over"));
    drop(redirection);
    let error = within(waiting.fetch::<()>()).await.unwrap_err();
    assert_eq!(error.message(), "over");
    assert!(!error.may_have_run());
}

#[tokio::test]
async fn a_stub_breaks_with_the_session_that_it_was_pointed_to() {
    let (mut old, new) = (Receiver::new(), ScriptedPeer::client());
    let stub = old.take(-1);
    let reasons = Arc::new(Mutex::new(Vec::new()));
    let told = |reasons: &Arc<Mutex<Vec<String>>>| {
        let reasons = reasons.clone();
        move |error: Error| reasons.lock().unwrap().push(error.message().to_owned())
    };
    let _before = stub.on_broken(told(&reasons));
    let redirection = old.peer.session.redirect(-1).unwrap();
    let _meanwhile = stub.on_broken(told(&reasons));
    redirection.complete(new.session.main());
    let _after = stub.on_broken(told(&reasons));
    old.peer.session.close(Error::new("the old one"));
    assert!(reasons.lock().unwrap().is_empty());
    new.session.close(Error::new("the new one"));
    assert_eq!(*reasons.lock().unwrap(), ["the new one"; 3]);
}

#[tokio::test]
async fn idempotent_calls_are_retried_where_a_stub_was_pointed_to() {
    let mut old = Receiver::new();
    let stub = old.take(-1);
    let group =
        SlotGroup::new(SlotOptions::new().retry(|_: &capnweb_core::lasting::LostCall<'_>| true));
    let (slot, lasting) = group.slot();
    assert_eq!(SlotId::of(&lasting), Some(slot.id()));
    assert_eq!(SlotId::of(&stub), None);
    old.peer.session.redirect(-1).unwrap().complete(lasting);
    assert_eq!(SlotId::of(&stub), Some(slot.id()));
    let mut first = ScriptedPeer::client();
    slot.put(&first.session, first.session.main());
    let call = stub.idempotent().call("post", (1,));
    first.expect(&posted(0, 1));
    first.session.close(Error::new("lost"));
    let mut second = ScriptedPeer::client();
    slot.put(&second.session, second.session.main());
    second.expect(&posted(0, 1));
    second.send(r#"["resolve",1,2]"#);
    assert_eq!(within(call.fetch::<u32>()).await.unwrap(), 2);
}

#[tokio::test]
async fn stubs_that_are_passed_on_are_reported() {
    let relays: Arc<Mutex<Vec<Relay>>> = Arc::default();
    let list = relays.clone();
    let options = SessionOptions::new().on_relay(move |relay| list.lock().unwrap().push(relay));
    let mut origin = Receiver::new();
    let foreign = origin.take(-1);
    let group = SlotGroup::new(SlotOptions::new());
    let (slot, lasting) = group.slot();
    let own = Object::new().into_stub();
    let result = (foreign.clone(), own.clone());
    let main = Object::new().method("get", move || {
        let result = result.clone();
        async { Ok(result) }
    });
    let mut client = ScriptedPeer::with(options, main.into_stub());
    let reported = || -> Vec<_> {
        let relays: Vec<_> = std::mem::take(&mut *relays.lock().unwrap());
        relays
            .into_iter()
            .map(|relay| (relay.export, relay.stub))
            .collect()
    };
    // As arguments: our own object is none of another session.
    let _call = client
        .session
        .main()
        .call("take", (own.clone(), &foreign, &foreign));
    client
        .expect(r#"["push",["pipeline",0,["take"],[["export",-1],["export",-2],["export",-3]]]]"#);
    let found = reported();
    assert_eq!(
        found.iter().map(|(id, _)| *id).collect::<Vec<_>>(),
        [-2, -3]
    );
    assert!(found.iter().all(|(_, stub)| stub.is_same(&foreign)));
    let owner = found[0].1.session().unwrap();
    assert_eq!(owner.id(), origin.peer.session.id());
    // In a result.
    client.send(r#"["push",["pipeline",0,["get"],[]]]"#);
    client.send(r#"["pull",1]"#);
    client.expect(r#"["resolve",1,[[["export",-4],["export",-5]]]]"#);
    assert_eq!(
        reported().iter().map(|(id, _)| *id).collect::<Vec<_>>(),
        [-4]
    );
    // Lasting stubs may lead anywhere.
    let _call = client.session.main().call("take", (&lasting,));
    client.expect(r#"["push",["pipeline",0,["take"],[["export",-6]]]]"#);
    let found = reported();
    assert_eq!(SlotId::of(&found[0].1), Some(slot.id()));
    // The peer's own object is not passed on.
    let _call = client.session.main().call("take", (client.session.main(),));
    client.expect(r#"["push",["pipeline",0,["take"],[["import",0]]]]"#);
    assert!(reported().is_empty());
}
