//! The end of a session: who is notified, and what happens to waiting tasks.

use std::sync::{Arc, Mutex};

use capnweb_core::{Error, Promise, Stats, Stub, StubType, Value};
use futures_util::FutureExt;
use tokio::sync::mpsc::unbounded_channel;

use crate::support::{Gate, ScriptedPeer, Witness, calculator, connect, idle, within};

/// A list that callbacks write to.
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
async fn on_broken_callbacks_run_in_registration_order() {
    let told = Told::default();
    let mut peer = ScriptedPeer::client();
    let main = peer.session.main();
    let promise = main.call("make", ());
    let guards = [
        promise.on_broken(told.by(1)),
        main.on_broken(told.by(2)),
        promise.on_broken(told.by(3)),
        main.call("other", ()).on_broken(told.by(4)),
    ];
    // Callbacks on a promise move to its outcome, and keep their position.
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
async fn a_rejected_promise_is_broken() {
    let told = Told::default();
    let mut peer = ScriptedPeer::client();
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
    let mut peer = ScriptedPeer::client();
    let promise = peer.session.main().call("make", ());
    let early = promise.on_broken(told.by(1));
    peer.send(r#"["resolve",1,{"a":1}]"#);
    let late = promise.on_broken(told.by(2));
    peer.session.close(Error::new("enough"));
    drop((early, late));
    told.expect([], "");
}

#[tokio::test]
async fn dropping_a_guard_unregisters_its_callback() {
    let told = Told::default();
    let mut peer = ScriptedPeer::client();
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
    // The values that it captured are dropped too.
    within(dropped).await.unwrap();
    peer.send(r#"["resolve",1,["export",-1]]"#);
    drop(other);
    drop((promise, main));
    peer.session.close(Error::new("enough"));
    told.expect([3, 4], "enough");
}

#[tokio::test]
async fn an_on_broken_callback_may_use_its_stub() {
    let peer = ScriptedPeer::client();
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
    // This one is registered late.
    assert_eq!(stub.closed().now_or_never().unwrap().message(), "enough");
    assert_eq!(
        connected.client.closed().now_or_never().unwrap().message(),
        "enough"
    );
}

#[tokio::test]
async fn waiting_calls_are_rejected_with_the_reason() {
    let mut peer = ScriptedPeer::client();
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
        // The answer has arrived, but the promise in it has not settled.
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

/// A way in which a session can end, with whether waiting calls are still sent.
type End = (&'static str, bool, fn(&mut ScriptedPeer));

fn ends() -> [End; 5] {
    [
        ("closed here", true, |peer| {
            peer.session.close(Error::new("enough"));
        }),
        ("closed here with a code", true, |peer| {
            peer.session.close_with(4001, Error::new("enough"));
        }),
        ("aborted by the peer", false, |peer| {
            peer.send_fatal(r#"["abort",["error","Error","enough"]]"#);
        }),
        ("lost", false, |peer| {
            peer.connection.end(Error::disconnected("enough"));
        }),
        ("dropped connection", false, |peer| {
            let (_, other) = capnweb_core::Session::client(peer.session.options().clone());
            drop(std::mem::replace(&mut peer.connection, other));
        }),
    ]
}

fn may_have_run(promise: Promise<Value>) -> bool {
    let error = promise.fetch::<Value>().now_or_never();
    error.expect("it has failed").unwrap_err().may_have_run()
}

/// Makes every kind of request to a stub.
fn requests(stub: &Stub) -> [(&'static str, Promise<Value>); 8] {
    let call = stub.call("a", (1,));
    [
        ("a call on a call", call.call("b", ())),
        ("a read on a call", call.get("c")),
        ("a map on a call", call.map(|result| result.call("d", ()))),
        ("a call", call),
        ("a read", stub.get("e")),
        ("a call on a read", stub.get("e").call("f", ())),
        ("a map on a read", stub.get("e").map(|element| element)),
        ("an argument", Stub::call(stub, "g", (stub.get("e"),))),
    ]
}

#[test]
fn calls_after_the_end_have_not_run() {
    for (end, _, run) in ends() {
        let mut peer = ScriptedPeer::client();
        let main = peer.session.main();
        let made = main.call("make", ()).fetch::<Stub>();
        let in_value = main.call("list", ()).fetch::<(Stub,)>();
        let unread = main.call("list", ()).fetch::<(Stub,)>();
        peer.said();
        peer.send(r#"["resolve",1,["export",-1]]"#);
        peer.send(r#"["resolve",2,[[["export",-2]]]]"#);
        peer.send(r#"["resolve",3,[[["export",-3]]]]"#);
        let made = made.now_or_never().expect("it is made").unwrap();
        let (in_value,) = in_value.now_or_never().expect("it is there").unwrap();
        let early = main.clone();
        run(&mut peer);
        let (unread,) = unread.now_or_never().expect("it is there").unwrap();
        for (name, stub) in [
            ("main", main),
            ("early", early),
            ("late", peer.session.main()),
            ("made", made),
            ("in a value", in_value),
            ("unread", unread),
        ] {
            for (request, promise) in requests(&stub) {
                assert!(!may_have_run(promise), "{end}: {name}: {request}");
            }
        }
    }
}

#[test]
fn calls_on_a_promise_have_run_if_its_call_has() {
    for (end, sends_rest, run) in ends() {
        let mut peer = ScriptedPeer::client();
        let main = peer.session.main();
        let taken = main.call("make", ());
        let on_taken = taken.call("b", ());
        peer.said();
        let waiting = main.call("make", ());
        let on_waiting = taken.call("b", ());
        run(&mut peer);
        for (request, promise) in requests(taken.as_stub()) {
            assert!(may_have_run(promise), "{end}: {request}");
        }
        for (request, promise) in requests(waiting.as_stub()) {
            assert_eq!(may_have_run(promise), sends_rest, "{end}: {request}");
        }
        for (promise, expected) in [
            (taken, true),
            (on_taken, true),
            (waiting, sends_rest),
            (on_waiting, sends_rest),
        ] {
            assert_eq!(may_have_run(promise), expected, "{end}");
        }
    }
}
