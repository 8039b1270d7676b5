//! What lives how long: stubs, promises, exports, sessions, and who is told of their end.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU32, Ordering},
};

use capnweb_core::{
    Error, Object, Promise, Result, Session, SessionOptions, Stats, Stub, Value, pair,
};
use futures_util::FutureExt;
use tokio::sync::mpsc::unbounded_channel;

use crate::support::{Gate, Script, Witness, calculator, connect, connect_with, idle, within};

const SHUT_DOWN: &str = "RPC session was shut down by disposing the main stub";

/// Lets go of a script's own handle on its session.
fn let_go(peer: &mut Script) {
    let (other, _) = Session::server(SessionOptions::new());
    peer.session = other;
}

/// The result of `call`, once the peer has answered it with `answer`.
async fn answered(peer: &mut Script, id: u32, call: &Stub, answer: &str) -> Result<Stub> {
    let pull = call.fetch::<Stub>();
    peer.expect(&format!(r#"["pull",{id}]"#));
    peer.send(&format!(r#"["resolve",{id},{answer}]"#));
    peer.expect(&format!(r#"["release",{id},1]"#));
    within(pull).await
}

// ---------------------------------------------------------------- clone and drop

#[tokio::test]
async fn a_stub_is_released_with_its_last_clone() {
    let mut peer = Script::client();
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
    let mut peer = Script::client();
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
    // A stub that comes later is counted from one.
    peer.send(r#"["push",["pipeline",0,["x"],[["export",-2]]]]"#);
    peer.expect(r#"["release",-2,1]"#);
    for id in [1, 2] {
        peer.send(&format!(r#"["release",{id},1]"#));
    }
    peer.expect_empty();
}

#[tokio::test]
async fn a_promise_is_released_with_its_last_clone() {
    let mut peer = Script::client();
    let call = peer.session.main().call("make", ());
    peer.expect(r#"["push",["pipeline",0,["make"],[]]]"#);
    let clone = call.clone();
    drop(call);
    peer.expect_silence();
    // A pull holds it as well.
    let pull = clone.fetch::<u32>();
    peer.expect(r#"["pull",1]"#);
    drop(clone);
    peer.expect_silence();
    drop(pull);
    peer.expect(r#"["release",1,1]"#);
    // An answer may have been under way.
    peer.send(r#"["resolve",1,[[["export",-1],7]]]"#);
    peer.expect(r#"["release",-1,1]"#);
    peer.expect_silence();
    peer.expect_empty();
}

#[tokio::test]
async fn a_property_that_is_not_used_says_nothing() {
    let mut peer = Script::client();
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
    let mut peer = Script::client();
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

/// Whether the session goes, without a word to the peer, when `held` does, and not before.
#[track_caller]
fn lives_by<T>(hold: impl FnOnce(&mut Script) -> T) {
    let mut peer = Script::client();
    let held = hold(&mut peer);
    while peer.next().is_some() {}
    let_go(&mut peer);
    assert!(
        peer.connection.ended().is_none(),
        "the session is over while it is used"
    );
    assert!(peer.connection.session().is_some());
    drop(held);
    let ended = peer
        .connection
        .ended()
        .expect("the session should have ended");
    assert_eq!(ended.message(), SHUT_DOWN);
    assert!(ended.is_disconnected());
    assert!(peer.connection.session().is_none());
    let said: Vec<_> = std::iter::from_fn(|| peer.next()).collect();
    let unexpected = |message: &&String| {
        message.starts_with(r#"["abort""#) || message.starts_with(r#"["release",0"#)
    };
    assert_eq!(said.iter().find(unexpected), None);
}

#[tokio::test]
async fn a_clients_session_lives_while_anything_of_it_does() {
    lives_by(|peer| peer.session.clone());
    lives_by(|peer| peer.session.main());
    lives_by(|peer| peer.session.main().get("x"));
    lives_by(|peer| peer.session.main().call("x", ()));
    lives_by(|peer| peer.session.main().call("x", ()).call("y", ()));
    lives_by(|peer| peer.session.main().call("x", ()).fetch::<u32>());
    lives_by(|peer| peer.session.main().map(|x| x.call("y", ())));
    lives_by(|peer| {
        // A stub that came in a result.
        let pull = peer.session.main().call("x", ()).fetch::<Value>();
        peer.send(r#"["resolve",1,[[["export",-1]]]]"#);
        pull.now_or_never().unwrap().unwrap()
    });
    lives_by(|peer| {
        // One that came in a call.
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
async fn a_call_here_that_waits_for_a_promise_keeps_its_session() {
    let mut peer = Script::client();
    let slow = peer.session.main().call("x", ());
    Promise::detach(calculator().call("square", (slow,)));
    let_go(&mut peer);
    idle().await;
    peer.expect(r#"["push",["pipeline",0,["x"],[]]]"#);
    peer.expect(r#"["pull",1]"#);
    peer.expect_silence();
    assert!(peer.connection.ended().is_none());
    peer.connection.receive(r#"["resolve",1,4]"#).unwrap_err();
    peer.expect(r#"["release",1,1]"#);
    peer.expect_silence();
    assert_eq!(peer.connection.ended().unwrap().message(), SHUT_DOWN);
}

#[tokio::test]
async fn what_waits_for_a_session_by_its_guard_does_not_keep_it() {
    let mut peer = Script::client();
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
async fn a_login_may_let_go_of_the_main_object() {
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
async fn what_was_called_before_the_end_is_still_sent() {
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

    let mut peer = Script::server(calculator());
    let_go(&mut peer);
    peer.send(r#"["push",["pipeline",0,["square"],[3]]]"#);
    peer.send(r#"["pull",1]"#);
    peer.expect(r#"["resolve",1,9]"#);
    // Nor does letting go of the peer's main object say anything.
    peer.send(r#"["release",0,1]"#);
    let session = peer.connection.session().unwrap();
    drop(session.main());
    drop(session);
    peer.expect_silence();
    assert!(peer.connection.ended().is_none());
    peer.connection
        .end(Error::disconnected("the cable was cut"));
    assert_eq!(
        peer.connection.ended().unwrap().message(),
        "the cable was cut"
    );
}

#[tokio::test]
async fn closing_says_why() {
    let mut peer = Script::client();
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
        within(peer.session.closed()).await.to_string(),
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

// ---------------------------------------------------------------- being told of the end

/// A list that callbacks write in.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<(u32, String)>>>);

impl Told {
    fn by(&self, number: u32) -> impl FnOnce(Error) + Send + 'static {
        let told = self.clone();
        move |error| {
            told.0
                .lock()
                .unwrap()
                .push((number, error.message().to_owned()))
        }
    }

    fn take(&self) -> Vec<(u32, String)> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    #[track_caller]
    fn expect(&self, numbers: impl IntoIterator<Item = u32>, message: &str) {
        let expected: Vec<_> = numbers
            .into_iter()
            .map(|n| (n, message.to_owned()))
            .collect();
        assert_eq!(self.take(), expected);
    }
}

#[tokio::test]
async fn callbacks_are_called_in_the_order_of_their_registration() {
    let told = Told::default();
    let mut peer = Script::client();
    let main = peer.session.main();
    let promise = main.call("make", ());
    let guards = [
        promise.on_broken(told.by(1)),
        main.on_broken(told.by(2)),
        promise.on_broken(told.by(3)),
        main.call("other", ()).on_broken(told.by(4)),
    ];
    // Those on a promise move to what it resolves to, and keep their place.
    peer.send(r#"["resolve",1,["export",-1]]"#);
    told.expect([], "");
    let last = main.on_broken(told.by(5));
    peer.session.close(Error::new("enough"));
    told.expect([1, 2, 3, 4, 5], "enough");
    let late = promise.on_broken(told.by(6));
    told.expect([6], "enough");
    let later = main.get("x").on_broken(told.by(7));
    told.expect([7], "enough");
    drop((guards, last, late, later));
    told.expect([], "");
}

#[tokio::test]
async fn a_promise_that_is_rejected_is_broken() {
    let told = Told::default();
    let mut peer = Script::client();
    let promise = peer.session.main().call("make", ());
    let early = promise.on_broken(told.by(1));
    let pull = promise.fetch::<u32>();
    peer.send(r#"["reject",1,["error","Error","no"]]"#);
    told.expect([1], "no");
    let late = promise.on_broken(told.by(2));
    told.expect([2], "no");
    assert_eq!(within(pull).await.unwrap_err().message(), "no");
    peer.session.close(Error::new("enough"));
    drop((early, late));
    told.expect([], "");

    // A promise of this process.
    let gate = Gate::closed();
    let promise: Promise<Value> = {
        let gate = gate.clone();
        Promise::from_future(async move {
            gate.pass().await;
            Err::<(), _>(Error::new("no"))
        })
    };
    let _early = promise.on_broken(told.by(1));
    let chained = promise.call("x", ());
    let _chained = chained.on_broken(told.by(2));
    told.expect([], "");
    gate.open();
    within(promise.clone()).await.unwrap_err();
    let mut numbers: Vec<_> = told.take().into_iter().map(|(number, _)| number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2]);
}

#[tokio::test]
async fn plain_values_do_not_break() {
    let told = Told::default();
    let mut peer = Script::client();
    let promise = peer.session.main().call("make", ());
    let early = promise.on_broken(told.by(1));
    peer.send(r#"["resolve",1,{"a":1}]"#);
    let late = promise.on_broken(told.by(2));
    peer.session.close(Error::new("enough"));
    drop((early, late));
    told.expect([], "");
}

#[tokio::test]
async fn a_guard_takes_its_callback_back() {
    let told = Told::default();
    let mut peer = Script::client();
    let main = peer.session.main();
    let (witness, dropped) = Witness::new();
    let callback = told.by(1);
    let guard = main.on_broken(move |error| {
        let _witness = witness;
        callback(error);
    });
    let promise = main.call("x", ());
    let other = promise.on_broken(told.by(2));
    main.on_broken(told.by(3)).forget();
    promise.on_broken(told.by(4)).forget();
    drop(guard);
    // What it had captured is gone too.
    within(dropped).await.unwrap();
    peer.send(r#"["resolve",1,["export",-1]]"#);
    drop(other);
    drop((promise, main));
    peer.session.close(Error::new("enough"));
    told.expect([3, 4], "enough");
}

#[tokio::test]
async fn a_callback_may_use_what_it_is_told_of() {
    let peer = Script::client();
    let main = peer.session.main();
    let (sender, mut results) = unbounded_channel();
    let (session, stub) = (peer.session.clone(), main.clone());
    let _guard = main.on_broken(move |_| {
        let call = stub.call("x", ()).fetch::<u32>().now_or_never().unwrap();
        sender.send(call.unwrap_err().to_string()).unwrap();
        let again = sender.clone();
        stub.on_broken(move |error| again.send(error.to_string()).unwrap())
            .forget();
        sender
            .send(session.end_reason().unwrap().to_string())
            .unwrap();
        session.close(Error::new("again"));
        assert_eq!(
            session.stats(),
            Stats {
                imports: 0,
                exports: 0
            }
        );
    });
    peer.session.close(Error::new("enough"));
    for _ in 0..3 {
        assert_eq!(within(results.recv()).await.unwrap(), "enough");
    }
}

#[tokio::test]
async fn closed_waits_for_the_end() {
    let connected = connect(calculator());
    let mine = crate::support::counter(1.0);
    let stub: Stub = within(connected.api.call("makeCounter", ()).fetch())
        .await
        .unwrap();
    let (closed, session) = (stub.closed(), connected.server.closed());
    let never = mine.closed();
    assert!(connected.api.closed().now_or_never().is_none());
    assert!(connected.client.closed().now_or_never().is_none());
    connected.client.close(Error::new("enough"));
    assert_eq!(within(closed).await.message(), "enough");
    assert_eq!(within(session).await.message(), "enough");
    assert!(never.now_or_never().is_none());
    // Late.
    assert_eq!(stub.closed().now_or_never().unwrap().message(), "enough");
    assert_eq!(
        connected.client.closed().now_or_never().unwrap().message(),
        "enough"
    );
}

// ---------------------------------------------------------------- draining, back pressure

#[tokio::test]
async fn draining_waits_for_the_answers_that_are_owed() {
    let gate = Gate::closed();
    let main = {
        let gate = gate.clone();
        Object::new().method("slow", move || {
            let gate = gate.clone();
            async move {
                gate.pass().await;
                Ok(1)
            }
        })
    };
    let mut peer = Script::server(main.into_stub());
    // Nobody asks for this one.
    peer.send(r#"["push",["pipeline",0,["slow"],[]]]"#);
    assert!(peer.session.drain().now_or_never().unwrap().is_ok());
    peer.send(r#"["push",["pipeline",0,["slow"],[]]]"#);
    peer.send(r#"["pull",2]"#);
    let session = peer.session.clone();
    let drained = tokio::spawn(async move { session.drain().await });
    idle().await;
    assert!(!drained.is_finished());
    gate.open();
    within(drained).await.unwrap().unwrap();
    peer.expect(r#"["resolve",2,1]"#);

    // An answer that is no longer wanted is not owed.
    let gate = Gate::closed();
    let (session, waiting) = (peer.session.clone(), gate.clone());
    peer.connection.set_main(
        Object::new()
            .method("slow", move || {
                let gate = waiting.clone();
                async move {
                    gate.pass().await;
                    Ok(1)
                }
            })
            .into_stub(),
    );
    peer.send(r#"["push",["pipeline",0,["slow"],[]]]"#);
    peer.send(r#"["pull",3]"#);
    let drained = tokio::spawn(async move { session.drain().await });
    idle().await;
    assert!(!drained.is_finished());
    peer.send(r#"["release",3,1]"#);
    within(drained).await.unwrap().unwrap();

    peer.send(r#"["push",["pipeline",0,["slow"],[]]]"#);
    peer.send(r#"["pull",4]"#);
    let session = peer.session.clone();
    let drained = tokio::spawn(async move { session.drain().await });
    idle().await;
    peer.session.close(Error::new("enough"));
    assert_eq!(
        within(drained).await.unwrap().unwrap_err().message(),
        "enough"
    );
}

#[tokio::test]
async fn ready_waits_while_the_peer_does_not_read() {
    let (left, right) = pair();
    let (client, connection) = Session::client(SessionOptions::new());
    tokio::spawn(connection.drive(right));
    let api = client.main();
    within(api.ready()).await.unwrap();
    let long = "x".repeat(1 << 18);
    let mut sent = 0;
    let mut waiting = loop {
        Promise::detach(api.call("echo", (&long,)));
        sent += 1;
        assert!(sent < 100, "nothing ever holds the sender up");
        // The pair takes what it can.
        idle().await;
        let mut ready = Box::pin(api.ready());
        if ready.as_mut().now_or_never().is_none() {
            break ready;
        }
    };
    assert!(client.ready().now_or_never().is_none());
    assert!(waiting.as_mut().now_or_never().is_none());
    let (server, mut connection) = Session::server(SessionOptions::new());
    connection.set_main(calculator());
    tokio::spawn(connection.drive(left));
    within(waiting).await.unwrap();
    within(client.ready()).await.unwrap();
    // It ends with the session.
    server.close(Error::new("enough"));
    within(client.closed()).await;
    assert_eq!(within(api.ready()).await.unwrap_err().message(), "enough");
    // An object here is always ready.
    within(calculator().ready()).await.unwrap();
}

#[tokio::test]
async fn the_end_wakes_who_waits_to_send() {
    let (client, mut connection) = Session::client(SessionOptions::new());
    let api = client.main();
    Promise::detach(api.call("echo", ("x".repeat(1 << 21),)));
    let waiting = tokio::spawn(async move { api.ready().await });
    idle().await;
    assert!(!waiting.is_finished());
    connection.end(Error::disconnected("the cable was cut"));
    assert_eq!(
        within(waiting).await.unwrap().unwrap_err().message(),
        "the cable was cut"
    );
}

// ---------------------------------------------------------------- at the end

#[tokio::test]
async fn everything_that_waits_is_rejected_with_the_reason() {
    let mut peer = Script::client();
    let main = peer.session.main();
    let local = calculator();
    let (held, waits) = (main.call("a", ()), main.call("b", ()));
    let local_wait = local.call("square", (held.clone(),));
    let of_local: Promise<Value> = {
        let held = held.clone();
        Promise::from_future(async move { held.fetch::<f64>().await })
    };
    let pulls = [
        waits.fetch::<Value>(),
        main.call("c", ()).call("d", ()).fetch(),
        main.call("e", ()).get("f").fetch(),
        main.call("g", ()).map(|x| x.call("h", ())).fetch(),
        main.call("i", (local.call("fail", ("no",)), held.clone()))
            .fetch(),
        local_wait.fetch(),
        local_wait.call("j", ()).fetch(),
        of_local.call("k", ()).fetch(),
        // Its answer has come, but not what is in it.
        main.call("l", ()).fetch(),
    ];
    idle().await;
    let mut id = 0;
    while let Some(message) = peer.next() {
        if message.starts_with(r#"["push""#) {
            id += 1;
        }
        if message.contains(r#"["l"]"#) {
            break;
        }
    }
    peer.send(&format!(r#"["resolve",{id},[[["promise",-7]]]]"#));
    let pulls: Vec<_> = pulls.into_iter().map(tokio::spawn).collect();
    idle().await;
    assert!(pulls.iter().all(|pull| !pull.is_finished()));
    peer.connection
        .end(Error::disconnected("the cable was cut"));
    for pull in pulls {
        let error = within(pull).await.unwrap().unwrap_err();
        assert_eq!(error.message(), "the cable was cut");
        assert!(error.is_disconnected());
    }
    assert_eq!(
        peer.session.stats(),
        Stats {
            imports: 0,
            exports: 0
        }
    );
}

/// An object that knows when it is dropped.
fn fragile() -> (Stub, tokio::sync::oneshot::Receiver<()>) {
    let (witness, dropped) = Witness::new();
    let stub = Object::new().getter("alive", move |_| {
        let _ = &witness;
        Ok(true)
    });
    (stub.into_stub(), dropped)
}

#[tokio::test]
async fn what_was_exported_is_dropped_at_the_end() {
    let (in_argument, argument_dropped) = fragile();
    let (in_result, result_dropped) = fragile();
    let (in_unpulled, unpulled_dropped) = fragile();
    let (in_main, main_dropped) = fragile();
    let stock = Mutex::new(vec![in_result, in_unpulled]);
    let (waits, started) = unbounded_channel();
    let mut started = started;
    let main = Object::new()
        .sync_method("make", move || {
            let _ = &in_main;
            Ok(stock.lock().unwrap().pop())
        })
        .method("keep", move |stub: Stub| {
            waits.send(()).unwrap();
            async move { Ok(stub.closed().await.to_string()) }
        });
    let connected = connect(main.into_stub());
    let api = connected.api;
    let unpulled = api.call("make", ());
    let result: Stub = within(api.call("make", ()).fetch()).await.unwrap();
    Promise::detach(api.call("keep", (in_argument,)));
    within(started.recv()).await.unwrap();
    assert!(within(result.get("alive").fetch::<bool>()).await.unwrap());
    let mut dropped = [
        argument_dropped,
        result_dropped,
        unpulled_dropped,
        main_dropped,
    ];
    assert!(
        dropped
            .iter_mut()
            .all(|dropped| dropped.try_recv().is_err())
    );
    connected.client.close(Error::new("enough"));
    for dropped in dropped {
        within(dropped).await.unwrap();
    }
    drop((unpulled, result));
}

#[tokio::test]
async fn what_was_exported_is_dropped_when_the_peer_releases_it() {
    let (stub, mut dropped) = fragile();
    let mut peer = Script::server(
        Object::new()
            .sync_method("make", {
                let stub = Mutex::new(Some(stub));
                move || Ok(stub.lock().unwrap().take())
            })
            .into_stub(),
    );
    peer.send(r#"["push",["pipeline",0,["make"],[]]]"#);
    peer.send(r#"["pull",1]"#);
    peer.expect(r#"["resolve",1,["export",-1]]"#);
    // The result is still in the table, and so is the stub: under one ID each.
    peer.send(r#"["push",["pipeline",-1,["alive"]]]"#);
    peer.send(r#"["release",1,1]"#);
    peer.send(r#"["pull",2]"#);
    peer.expect(r#"["resolve",2,true]"#);
    peer.send(r#"["release",2,1]"#);
    assert!(dropped.try_recv().is_err());
    peer.send(r#"["release",-1,1]"#);
    assert!(dropped.try_recv().is_ok());
    peer.expect_silence();
    peer.expect_empty();
}

#[tokio::test]
async fn a_result_that_nobody_pulls_lives_until_it_is_released() {
    let made = Arc::new(Mutex::new(Vec::new()));
    let main = {
        let made = made.clone();
        Object::new().method("make", move || {
            let (stub, dropped) = fragile();
            made.lock().unwrap().push(dropped);
            async move { Ok((stub, 1)) }
        })
    };
    let mut peer = Script::server(main.into_stub());
    peer.send(r#"["push",["pipeline",0,["make"],[]]]"#);
    let mut dropped = made.lock().unwrap().pop().unwrap();
    peer.send(r#"["push",["pipeline",1,[0,"alive"]]]"#);
    peer.send(r#"["pull",2]"#);
    peer.expect(r#"["resolve",2,true]"#);
    assert!(dropped.try_recv().is_err());
    peer.send(r#"["release",1,1]"#);
    assert!(dropped.try_recv().is_ok());
    peer.send(r#"["release",2,1]"#);
    peer.expect_silence();
    peer.expect_empty();
}

#[tokio::test]
async fn every_export_of_an_object_has_an_id_of_its_own() {
    let (stub, mut dropped) = fragile();
    let main = Object::new().sync_method("make", {
        let stub = Mutex::new(Some(stub));
        move || {
            let stub = stub.lock().unwrap().take().unwrap();
            Ok((stub.clone(), stub))
        }
    });
    let mut peer = Script::server(main.into_stub());
    peer.send(r#"["push",["pipeline",0,["make"],[]]]"#);
    peer.send(r#"["pull",1]"#);
    peer.expect(r#"["resolve",1,[[["export",-1],["export",-2]]]]"#);
    peer.send(r#"["release",1,1]"#);
    peer.send(r#"["release",-1,1]"#);
    assert!(dropped.try_recv().is_err());
    peer.send(r#"["release",-2,1]"#);
    assert!(dropped.try_recv().is_ok());
    peer.expect_empty();
}

/// An object that calls back when it is dropped.
struct LastWords(Stub);

impl capnweb_core::Target for LastWords {
    fn call(self: Arc<Self>, _: capnweb_core::Call<'_>) -> capnweb_core::Answer {
        capnweb_core::Answer::not_found()
    }
}

impl Drop for LastWords {
    fn drop(&mut self) {
        Promise::detach(self.0.invoke(("bye",)));
    }
}

#[tokio::test]
async fn an_object_may_use_the_session_while_it_is_dropped() {
    let main = Object::new().method("make", |callback: Stub| async move {
        Ok(Stub::new(LastWords(callback)))
    });
    let mut peer = Script::server(main.into_stub());
    for end in [false, true] {
        let (push, made, callback) = if end { (2, -2, -8) } else { (1, -1, -7) };
        peer.send(&format!(
            r#"["push",["pipeline",0,["make"],[["export",{callback}]]]]"#
        ));
        peer.send(&format!(r#"["pull",{push}]"#));
        peer.expect(&format!(r#"["resolve",{push},["export",{made}]]"#));
        peer.send(&format!(r#"["release",{push},1]"#));
        peer.expect_silence();
        if end {
            // Nobody is there to hear it.
            peer.connection
                .end(Error::disconnected("the cable was cut"));
        } else {
            peer.send(&format!(r#"["release",{made},1]"#));
            peer.expect(&format!(r#"["push",["pipeline",{callback},[],["bye"]]]"#));
            peer.expect(r#"["release",1,1]"#);
            peer.expect(&format!(r#"["release",{callback},1]"#));
            peer.expect_empty();
        }
        peer.expect_silence();
    }
}

// ---------------------------------------------------------------- stubs in arguments

#[tokio::test]
async fn stubs_in_arguments_are_released_before_the_answer() {
    let gate = Gate::closed();
    let main = {
        let gate = gate.clone();
        Object::new()
            .sync_method("sync", |_stub: Stub| Ok(1))
            .method("quick", |stub: Stub| async move {
                let _stub = stub;
                Ok(1)
            })
            .method("slow", move |stub: Stub| {
                let gate = gate.clone();
                async move {
                    gate.pass().await;
                    drop(stub);
                    Ok(1)
                }
            })
            .method("fails", |_stub: Stub| async move {
                Err::<(), _>(Error::new("no"))
            })
            .method("ignores", async || Ok(1))
            .method("wants a number", async |_: f64| Ok(1))
    };
    let mut peer = Script::server(main.into_stub());
    let mut id = 0;
    let mut call = |peer: &mut Script, method: &str| {
        id += 1;
        peer.send(&format!(
            r#"["push",["pipeline",0,["{method}"],[["export",-{id}]]]]"#
        ));
        peer.send(&format!(r#"["pull",{id}]"#));
        id
    };
    for method in ["sync", "quick", "ignores"] {
        let id = call(&mut peer, method);
        peer.expect(&format!(r#"["release",-{id},1]"#));
        peer.expect(&format!(r#"["resolve",{id},1]"#));
    }
    for method in ["fails", "wants a number", "is not there"] {
        let id = call(&mut peer, method);
        peer.expect(&format!(r#"["release",-{id},1]"#));
        assert!(
            peer.next()
                .unwrap()
                .starts_with(&format!(r#"["reject",{id},"#))
        );
    }
    let id = call(&mut peer, "slow");
    peer.expect_silence();
    gate.open();
    idle().await;
    peer.expect(&format!(r#"["release",-{id},1]"#));
    peer.expect(&format!(r#"["resolve",{id},1]"#));
    peer.expect_silence();
}

#[tokio::test]
async fn stubs_in_arguments_may_be_kept() {
    let kept = Arc::new(Mutex::new(None));
    let main = {
        let kept = kept.clone();
        Object::new().sync_method("keep", move |stub: Stub| {
            *kept.lock().unwrap() = Some(stub.clone());
            Ok(())
        })
    };
    let mut peer = Script::server(main.into_stub());
    peer.send(r#"["push",["pipeline",0,["keep"],[["export",-1]]]]"#);
    peer.send(r#"["pull",1]"#);
    peer.expect(r#"["resolve",1,["undefined"]]"#);
    peer.send(r#"["release",1,1]"#);
    peer.expect_silence();
    let stub = kept.lock().unwrap().take();
    assert_eq!(
        peer.session.stats(),
        Stats {
            imports: 2,
            exports: 1
        }
    );
    drop(stub);
    peer.expect(r#"["release",-1,1]"#);
    peer.expect_empty();
}

#[tokio::test]
async fn stubs_in_arguments_are_not_released_before_the_result_that_mentions_them() {
    let mut peer = Script::server(calculator());
    peer.send(r#"["push",["pipeline",0,["echo"],[{"a":["export",-1]}]]]"#);
    peer.expect_silence();
    peer.send(r#"["pull",1]"#);
    peer.expect(r#"["resolve",1,{"a":["import",-1]}]"#);
    peer.expect_silence();
    peer.send(r#"["release",1,1]"#);
    peer.expect(r#"["release",-1,1]"#);
    peer.expect_silence();
    peer.expect_empty();
}

#[tokio::test]
async fn stubs_in_arguments_that_wait_are_released_when_the_wait_is_over() {
    let mut peer = Script::server(calculator());
    peer.send(r#"["push",["pipeline",0,["square"],[["promise",-1],["export",-2]]]]"#);
    peer.send(r#"["pull",1]"#);
    peer.expect_silence();
    peer.send(r#"["reject",-1,["error","Error","no"]]"#);
    let mut said: Vec<_> = std::iter::from_fn(|| peer.next()).collect();
    said.sort_unstable();
    assert_eq!(
        said,
        [
            r#"["reject",1,["error","Error","no"]]"#,
            r#"["release",-1,1]"#,
            r#"["release",-2,1]"#
        ],
    );
    peer.send(r#"["release",1,1]"#);
    peer.expect_empty();
}

#[tokio::test]
async fn callbacks_are_released_on_the_other_side() {
    let connected = connect_with(SessionOptions::new(), calculator(), Some(calculator()));
    let calls = Arc::new(AtomicU32::new(0));
    let (witness, dropped) = Witness::new();
    let callback = {
        let calls = calls.clone();
        Stub::function(move |n: f64| {
            let _ = &witness;
            calls.fetch_add(1, Ordering::Relaxed);
            async move { Ok(n) }
        })
    };
    let call = connected.api.call("callFunction", (callback, 1));
    assert_eq!(within(call.fetch::<f64>()).await.unwrap(), 1.0);
    within(dropped).await.unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    drop(call);
    connected.settle().await;
}
