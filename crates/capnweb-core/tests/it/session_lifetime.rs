//! Lifetimes of sessions, and of their clones and handles.

use capnweb_core::{Error, Object, Promise, Result, Session, SessionOptions, Stats, Stub, Value};
use futures_util::FutureExt;
use tokio::sync::mpsc::unbounded_channel;

use crate::support::{ScriptedPeer, calculator, connect, idle, within};

const SHUT_DOWN: &str = "RPC session was shut down by disposing the main stub";

/// Drops a script's own handle on its session.
fn let_go(peer: &mut ScriptedPeer) {
    let (other, _) = Session::server(SessionOptions::new());
    peer.session = other;
}

/// Returns the result of `call` once the peer has sent `answer`.
async fn answered(peer: &mut ScriptedPeer, id: u32, call: &Stub, answer: &str) -> Result<Stub> {
    let pull = call.fetch::<Stub>();
    peer.expect(&format!(r#"["pull",{id}]"#));
    peer.send(&format!(r#"["resolve",{id},{answer}]"#));
    peer.expect(&format!(r#"["release",{id},1]"#));
    within(pull).await
}

// ---------------------------------------------------------------- clone and drop

#[tokio::test]
async fn a_stub_is_released_with_its_last_clone() {
    let mut peer = ScriptedPeer::client();
    let call = peer.session.main().call("make", ());
    peer.expect(r#"["push",["pipeline",0,["make"],[]]]"#);
    let stub = answered(&mut peer, 1, &call, r#"["export",-1]"#)
        .await
        .unwrap();
    drop(call);
    let clones = [stub.clone(), stub.clone()];
    Promise::detach(clones[0].call("x", ()));
    peer.expect(r#"["push",["pipeline",-1,["x"],[]]]"#);
    peer.expect(r#"["release",2,1]"#);
    drop(clones);
    peer.expect_silence();
    drop(stub);
    peer.expect(r#"["release",-1,1]"#);
    peer.expect_silence();
    peer.expect_empty();
}

#[tokio::test]
async fn a_stub_that_was_given_twice_is_released_twice() {
    let mut peer = ScriptedPeer::client();
    let call = peer.session.main().call("make", ());
    peer.expect(r#"["push",["pipeline",0,["make"],[]]]"#);
    let pull = call.fetch::<(Stub, Stub)>();
    peer.expect(r#"["pull",1]"#);
    peer.send(r#"["resolve",1,[[["export",-1],["export",-1]]]]"#);
    peer.expect(r#"["release",1,1]"#);
    let (first, second) = within(pull).await.unwrap();
    drop(call);
    assert!(first.is_same(&second));
    drop(first);
    peer.expect_silence();
    // And once more while it is held.
    peer.send(r#"["push",["pipeline",0,["x"],[["export",-1]]]]"#);
    peer.expect_silence();
    drop(second);
    peer.expect(r#"["release",-1,3]"#);
    // A later stub is counted from one.
    peer.send(r#"["push",["pipeline",0,["x"],[["export",-2]]]]"#);
    peer.expect(r#"["release",-2,1]"#);
    for id in [1, 2] {
        peer.send(&format!(r#"["release",{id},1]"#));
    }
    peer.expect_empty();
}

#[tokio::test]
async fn a_promise_is_released_with_its_last_clone() {
    let mut peer = ScriptedPeer::client();
    let call = peer.session.main().call("make", ());
    peer.expect(r#"["push",["pipeline",0,["make"],[]]]"#);
    let clone = call.clone();
    drop(call);
    peer.expect_silence();
    // A pull also keeps it alive.
    let pull = clone.fetch::<u32>();
    peer.expect(r#"["pull",1]"#);
    drop(clone);
    peer.expect_silence();
    drop(pull);
    peer.expect(r#"["release",1,1]"#);
    // An answer may have been in flight.
    peer.send(r#"["resolve",1,[[["export",-1],7]]]"#);
    peer.expect(r#"["release",-1,1]"#);
    peer.expect_silence();
    peer.expect_empty();
}

#[tokio::test]
async fn an_unused_property_sends_nothing() {
    let mut peer = ScriptedPeer::client();
    let name = peer.session.main().get("user").get("name");
    let also = name.clone();
    peer.expect_silence();
    let pull = name.fetch::<String>();
    peer.expect(r#"["push",["pipeline",0,["user","name"]]]"#);
    peer.expect(r#"["pull",1]"#);
    drop((also, name));
    peer.expect_silence();
    drop(pull);
    peer.expect(r#"["release",1,1]"#);
    peer.expect_empty();
}

#[tokio::test]
async fn stubs_in_a_result_live_as_long_as_the_result() {
    #[derive(serde::Deserialize)]
    struct Room {
        door: Stub,
        name: String,
        #[serde(default)]
        window: Option<Stub>,
    }
    let mut peer = ScriptedPeer::client();
    let pull = peer.session.main().call("room", ()).fetch::<Room>();
    peer.expect(r#"["push",["pipeline",0,["room"],[]]]"#);
    peer.expect(r#"["pull",1]"#);
    peer.send(
        r#"["resolve",1,{"door":["export",-1],"name":"blue","window":["export",-2],"unread":["export",-3]}]"#,
    );
    peer.expect(r#"["release",1,1]"#);
    let room = within(pull).await.unwrap();
    // Nobody has read this one.
    peer.expect(r#"["release",-3,1]"#);
    peer.expect_silence();
    let Room { door, name, window } = room;
    assert_eq!(name, "blue");
    drop(window.unwrap());
    peer.expect(r#"["release",-2,1]"#);
    drop(door);
    peer.expect(r#"["release",-1,1]"#);
    peer.expect_empty();
}

// ---------------------------------------------------------------- the life of a session

/// Returns whether the session ends silently when `held` is dropped, and not before.
#[track_caller]
fn lives_by<T>(hold: impl FnOnce(&mut ScriptedPeer) -> T) {
    let mut peer = ScriptedPeer::client();
    let held = hold(&mut peer);
    while peer.next().is_some() {}
    let_go(&mut peer);
    assert!(
        peer.connection.end_reason().is_none(),
        "the session is over while it is used"
    );
    assert!(peer.connection.session().is_some());
    drop(held);
    let ended = peer
        .connection
        .end_reason()
        .expect("the session should have ended");
    assert_eq!(ended.message(), SHUT_DOWN);
    assert!(ended.is_disconnected());
    assert!(peer.connection.session().is_none());
    let said: Vec<_> = peer.said();
    let unexpected = |message: &&String| {
        message.starts_with(r#"["abort""#) || message.starts_with(r#"["release",0"#)
    };
    assert_eq!(said.iter().find(unexpected), None);
}

#[tokio::test]
async fn a_clients_session_lives_while_any_handle_does() {
    lives_by(|peer| peer.session.clone());
    lives_by(|peer| peer.session.main());
    lives_by(|peer| peer.session.main().get("x"));
    lives_by(|peer| peer.session.main().call("x", ()));
    lives_by(|peer| peer.session.main().call("x", ()).call("y", ()));
    lives_by(|peer| peer.session.main().call("x", ()).fetch::<u32>());
    lives_by(|peer| peer.session.main().map(|x| x.call("y", ())));
    lives_by(|peer| {
        // A stub from a result.
        let pull = peer.session.main().call("x", ()).fetch::<Value>();
        peer.send(r#"["resolve",1,[[["export",-1]]]]"#);
        pull.now_or_never().unwrap().unwrap()
    });
    lives_by(|peer| {
        // A stub from a call.
        let (sender, receiver) = std::sync::mpsc::channel();
        let keep = Object::new().sync_method("keep", move |stub: Stub| {
            sender.send(stub).unwrap();
            Ok(())
        });
        peer.connection.set_main(keep.into_stub());
        peer.send(r#"["push",["pipeline",0,["keep"],[["export",-1]]]]"#);
        receiver.recv().unwrap()
    });
}

#[tokio::test]
async fn a_local_call_that_waits_for_a_promise_keeps_its_session() {
    let mut peer = ScriptedPeer::client();
    let slow = peer.session.main().call("x", ());
    Promise::detach(calculator().call("square", (slow,)));
    let_go(&mut peer);
    idle().await;
    peer.expect(r#"["push",["pipeline",0,["x"],[]]]"#);
    peer.expect(r#"["pull",1]"#);
    peer.expect_silence();
    assert!(peer.connection.end_reason().is_none());
    peer.connection.receive(r#"["resolve",1,4]"#).unwrap_err();
    peer.expect(r#"["release",1,1]"#);
    peer.expect_silence();
    assert_eq!(peer.connection.end_reason().unwrap().message(), SHUT_DOWN);
}

#[tokio::test]
async fn an_on_broken_guard_does_not_keep_its_session() {
    let mut peer = ScriptedPeer::client();
    let main = peer.session.main();
    let closed = main.closed();
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let _guard = main.on_broken(|error| sender.send(error).unwrap());
    let_go(&mut peer);
    drop(main);
    assert_eq!(within(closed).await.message(), SHUT_DOWN);
    assert_eq!(within(receiver).await.unwrap().message(), SHUT_DOWN);
}

#[tokio::test]
async fn a_client_may_drop_the_main_object_after_a_login() {
    async fn login(main: Stub) -> Result<Stub> {
        main.call("makeCounter", (1,)).fetch().await
    }
    let connected = connect(calculator());
    let server = connected.server.clone();
    let counter = within(login(connected.api)).await.unwrap();
    drop(connected.client);
    drop(connected.server);
    idle().await;
    assert_eq!(
        within(counter.call("increment", ()).fetch::<f64>())
            .await
            .unwrap(),
        2.0
    );
    assert_eq!(server.end_reason().map(|reason| reason.to_string()), None);
    drop(counter);
    let reason = within(server.closed()).await;
    assert!(reason.message().contains(SHUT_DOWN), "{reason}");
    assert!(reason.is_disconnected());
}

#[tokio::test]
async fn calls_made_before_the_end_are_still_sent() {
    let (sender, mut notes) = unbounded_channel();
    let main = Object::new().sync_method("note", move |n: u32| {
        sender.send(n).unwrap();
        Ok(())
    });
    let connected = connect(main.into_stub());
    for n in 0..5 {
        Promise::detach(connected.api.call("note", (n,)));
    }
    drop((connected.api, connected.client));
    for n in 0..5 {
        assert_eq!(within(notes.recv()).await, Some(n));
    }
    within(connected.server.closed()).await;
}

#[tokio::test]
async fn a_servers_session_lives_until_its_transport_ends() {
    let connected = connect(calculator());
    drop(connected.server.main());
    drop(connected.server);
    let square = connected.api.call("square", (3,)).fetch::<f64>();
    assert_eq!(within(square).await.unwrap(), 9.0);

    let mut peer = ScriptedPeer::server(calculator());
    let_go(&mut peer);
    peer.send(r#"["push",["pipeline",0,["square"],[3]]]"#);
    peer.send(r#"["pull",1]"#);
    peer.expect(r#"["resolve",1,9]"#);
    // Nor does releasing the peer's main object send anything.
    peer.send(r#"["release",0,1]"#);
    let session = peer.connection.session().unwrap();
    drop(session.main());
    drop(session);
    peer.expect_silence();
    assert!(peer.connection.end_reason().is_none());
    peer.connection
        .end(Error::disconnected("the cable was cut"));
    assert_eq!(
        peer.connection.end_reason().unwrap().message(),
        "the cable was cut"
    );
}

#[tokio::test]
async fn close_sends_its_reason() {
    let mut peer = ScriptedPeer::client();
    let main = peer.session.main();
    let pull = main.call("x", ()).fetch::<u32>();
    while peer.next().is_some() {}
    peer.session
        .close(Error::range_error("enough").with_prop("code", 7));
    peer.expect(r#"["abort",["error","RangeError","enough",null,{"code":7}]]"#);
    let error = within(pull).await.unwrap_err();
    assert_eq!(
        (error.to_string(), error.prop("code")),
        ("RangeError: enough".to_owned(), Some(7))
    );
    let error = within(main.call("x", ())).await.unwrap_err();
    assert_eq!(error.to_string(), "RangeError: enough");
    let error = within(peer.session.main().get("x")).await.unwrap_err();
    assert_eq!(error.to_string(), "RangeError: enough");
    assert_eq!(
        within(peer.connection.ended()).await.to_string(),
        "RangeError: enough"
    );
    peer.session.close(Error::new("once more"));
    drop(main);
    peer.expect_silence();
    assert_eq!(
        peer.session.stats(),
        Stats {
            imports: 0,
            exports: 0
        }
    );
}

#[tokio::test]
async fn either_side_can_close() {
    for server_closes in [false, true] {
        let connected = connect(calculator());
        let pull = connected.api.call("wait", (100_000,)).fetch::<f64>();
        idle().await;
        let sides = match server_closes {
            false => [&connected.client, &connected.server],
            true => [&connected.server, &connected.client],
        };
        sides[0].close(Error::range_error("enough"));
        for side in sides {
            assert_eq!(
                within(side.closed()).await.to_string(),
                "RangeError: enough"
            );
        }
        assert_eq!(
            within(pull).await.unwrap_err().to_string(),
            "RangeError: enough"
        );
    }
}
