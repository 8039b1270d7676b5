//! Lists of subscribers, some of which are slow.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use capnweb_core::{
    Callback, Error, Lag, Object, Promise, Session, SessionOptions, Stub, StubType, Subscribers,
    pair,
};
use futures_util::FutureExt;
use tokio::sync::mpsc::unbounded_channel;

use crate::support::{Gate, ScriptedPeer, connect, eventually, idle, within};

/// Returns a listener that records its calls.
fn noting() -> (Callback<u32>, Arc<Mutex<Vec<u32>>>) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let noting = heard.clone();
    let listener = Callback::new(move |n: u32| noting.lock().unwrap().push(n));
    (listener, heard)
}

/// Returns a main object that lets clients add listeners to a list. The guards are forgotten.
fn registry<S: StubType + serde::de::DeserializeOwned + 'static>(
    subscribers: &Subscribers<S>,
) -> Stub {
    let subscribers = subscribers.clone();
    Object::new()
        .sync_method("subscribe", move |stub: Stub| {
            subscribers.add(S::from_stub(stub)).forget();
            Ok(())
        })
        .into_stub()
}

/// Creates a subscriber whose peer is the test. Its calls go to export −1.
fn scripted(subscribers: &Subscribers<Callback<u32>>) -> ScriptedPeer {
    let mut peer = ScriptedPeer::server(registry(subscribers));
    peer.send(r#"["push",["pipeline",0,["subscribe"],[["export",-1]]]]"#);
    peer.send(r#"["release",1,1]"#);
    peer
}

#[tokio::test]
async fn every_subscriber_hears_everything_in_order() {
    let subscribers = Subscribers::new();
    let (local, heard) = noting();
    subscribers.add(local).forget();
    let (remote, heard_there) = noting();
    let there = connect(registry(&subscribers));
    within(there.api.call("subscribe", (remote,)).fetch::<()>())
        .await
        .unwrap();
    for n in 0..500 {
        let published = subscribers.publish(|listener| listener.call(n));
        assert_eq!((published.called, published.removed), (2, 0));
    }
    let all: Vec<u32> = (0..500).collect();
    for heard in [heard, heard_there] {
        eventually(
            || "something was not heard",
            || *heard.lock().unwrap() == all,
        )
        .await;
    }
    eventually(
        || format!("{:?}", subscribers.list()),
        || (subscribers.list().iter()).all(|(_, lag)| lag.unanswered == 0),
    )
    .await;
    // Nothing is left of the calls.
    assert_eq!(there.server.stats().imports, 2);
}

#[tokio::test]
async fn a_subscriber_that_does_not_answer_is_skipped_or_removed() {
    let subscribers = Subscribers::new().max_unanswered(2);
    let mut deaf = scripted(&subscribers);
    let (listener, heard) = noting();
    subscribers.add(listener).forget();
    for n in 0..4 {
        let published = subscribers.publish_or_skip(|listener| listener.call(n));
        let skipped = usize::from(n >= 2);
        assert_eq!(
            (published.called, published.skipped),
            (2 - skipped, skipped)
        );
        idle().await;
    }
    for n in 0..2 {
        deaf.expect(&format!(r#"["push",["pipeline",-1,[],[{n}]]]"#));
        deaf.expect(&format!(r#"["pull",{}]"#, n + 1));
    }
    deaf.expect_silence();
    let lags: Vec<Lag> = subscribers.list().into_iter().map(|(_, lag)| lag).collect();
    assert_eq!((lags[0].unanswered, lags[0].skipped), (2, 2));
    assert_eq!(lags[1], Lag::default());
    assert!(subscribers.is_lagging(&lags[0]) && !subscribers.is_lagging(&lags[1]));
    // It has caught up, and receives the next call.
    deaf.send(r#"["resolve",1,["undefined"]]"#);
    deaf.expect(r#"["release",1,1]"#);
    assert_eq!(subscribers.publish(|listener| listener.call(4)).called, 2);
    deaf.expect(r#"["push",["pipeline",-1,[],[4]]]"#);
    deaf.expect(r#"["pull",3]"#);
    idle().await;
    // It lags again, and is removed.
    let published = subscribers.publish(|listener| listener.call(5));
    assert_eq!((published.called, published.removed), (1, 1));
    deaf.expect_unordered([
        r#"["release",-1,1]"#,
        r#"["release",2,1]"#,
        r#"["release",3,1]"#,
    ]);
    idle().await;
    assert_eq!(
        (subscribers.len(), &**heard.lock().unwrap()),
        (1, &[0, 1, 2, 3, 4, 5][..])
    );
    deaf.send(r#"["resolve",2,["undefined"]]"#);
    deaf.send(r#"["resolve",3,["undefined"]]"#);
    deaf.expect_silence();
    deaf.expect_empty();
}

#[tokio::test]
async fn a_subscriber_that_does_not_read_costs_no_more_than_the_bound() {
    const BOUND: usize = 2 << 20;
    let subscribers = Subscribers::<Callback<String>>::new().max_unsent_bytes(BOUND);
    // Nobody is at the other end of this session.
    let (_end, transport) = pair();
    let (deaf, connection) = Session::client(SessionOptions::new());
    tokio::spawn(connection.drive(transport));
    subscribers.add(Callback::from_stub(deaf.main())).forget();
    let heard = Arc::new(AtomicUsize::new(0));
    let counting = heard.clone();
    let there = connect(registry(&subscribers));
    let listener = Callback::<String>::new(move |_: String| {
        counting.fetch_add(1, Ordering::Relaxed);
    });
    within(there.api.call("subscribe", (listener,)).fetch::<()>())
        .await
        .unwrap();
    let news = "x".repeat(100_000);
    let (mut removed, mut most) = (0, 0);
    for n in 1..=200 {
        removed += subscribers.publish(|listener| listener.call(&news)).removed;
        most = most.max(deaf.unsent_bytes());
        eventually(
            || "somebody who reads was not told",
            || heard.load(Ordering::Relaxed) == n,
        )
        .await;
    }
    assert_eq!((removed, subscribers.len()), (1, 1));
    assert!((BOUND..BOUND + 2 * news.len()).contains(&most), "{most}");
}

#[tokio::test]
async fn ready_waits_for_the_slowest() {
    let subscribers = Subscribers::new().max_unanswered(1);
    let gate = Gate::closed();
    let waiting = gate.clone();
    let slow = Callback::<u32>::new(move |_: u32| {
        let gate = waiting.clone();
        async move { gate.pass().await }
    });
    let (quick, heard) = noting();
    let guards = [subscribers.add(slow), subscribers.add(quick)];
    within(subscribers.ready()).await;
    subscribers.publish(|listener| listener.call(1));
    idle().await;
    assert_eq!(*heard.lock().unwrap(), [1]);
    let handle = subscribers.clone();
    let ready = tokio::spawn(async move { handle.ready().await });
    idle().await;
    assert!(!ready.is_finished());
    gate.open();
    within(ready).await.unwrap();
    assert_eq!(subscribers.publish(|listener| listener.call(2)).called, 2);

    // A subscriber that is removed is not waited for.
    let never = subscribers.add(Callback::new(|_: u32| std::future::pending::<()>()));
    idle().await;
    subscribers.publish(|listener| listener.call(3));
    idle().await;
    let handle = subscribers.clone();
    let ready = tokio::spawn(async move { handle.ready().await });
    idle().await;
    assert!(!ready.is_finished());
    drop(never);
    within(ready).await.unwrap();
    drop(guards);
    assert!(subscribers.is_empty());
}

#[tokio::test]
async fn ready_waits_for_a_session_that_does_not_read() {
    let subscribers = Subscribers::<Callback<String>>::new().max_unsent_bytes(0);
    let (left, right) = pair();
    let (deaf, connection) = Session::client(SessionOptions::new());
    tokio::spawn(connection.drive(right));
    subscribers.add(Callback::from_stub(deaf.main())).forget();
    let news = "x".repeat(1 << 19);
    while subscribers.ready().now_or_never().is_some() {
        subscribers.publish(|listener| listener.call(&news));
        idle().await;
        assert!(
            deaf.unsent_bytes() < 10 << 20,
            "nothing ever holds the publisher up"
        );
    }
    let handle = subscribers.clone();
    let ready = tokio::spawn(async move { handle.ready().await });
    idle().await;
    assert!(!ready.is_finished());
    // The subscriber finally reads.
    let (_server, mut connection) = Session::server(SessionOptions::new());
    connection.set_main(Stub::function(|_: String| async { Ok(()) }));
    tokio::spawn(connection.drive(left));
    within(ready).await.unwrap();
    assert_eq!(subscribers.len(), 1);
    // The end of the session has the same effect.
    deaf.close(Error::new("enough"));
    within(subscribers.ready()).await;
    assert!(subscribers.is_empty());
}

#[tokio::test]
async fn subscribers_that_fail_or_are_gone_are_removed() {
    let subscribers = Subscribers::<Callback<u32>>::new();
    let guard = subscribers.add(Callback::new(|n: u32| match n {
        0 => Ok(()),
        _ => Err(Error::new("enough")),
    }));
    let mut gone = scripted(&subscribers);
    assert_eq!(subscribers.publish(|listener| listener.call(0)).called, 2);
    idle().await;
    assert_eq!(subscribers.len(), 2);
    subscribers.publish(|listener| listener.call(1));
    idle().await;
    assert_eq!(subscribers.len(), 1);
    // A subscriber whose session ends is removed without a call.
    gone.connection
        .end(Error::disconnected("the cable was cut"));
    assert!(subscribers.is_empty());
    // Dropping the guard afterwards has no effect.
    drop(guard);
    // A subscriber that is already broken is not added.
    let broken = gone.session.main();
    subscribers.add(Callback::from_stub(broken)).forget();
    assert!(subscribers.is_empty());
    assert_eq!(subscribers.publish(|listener| listener.call(2)).called, 0);
}

#[tokio::test]
async fn subscribers_can_be_added_and_removed_while_they_are_called() {
    let subscribers = Subscribers::<Stub>::new();
    let (sender, mut removals) = unbounded_channel();
    let handle = subscribers.clone();
    let guards = Mutex::new(vec![subscribers.add(Object::new().into_stub())]);
    let calls = AtomicUsize::new(0);
    let published = subscribers.publish(|stub| {
        calls.fetch_add(1, Ordering::Relaxed);
        let mut guards = guards.lock().unwrap();
        guards.push(handle.add(Object::new().into_stub()));
        sender.send(guards.remove(0)).unwrap();
        Promise::cast::<()>(stub.call("whatever", ()))
    });
    assert_eq!((published.called, calls.into_inner()), (1, 1));
    drop(removals.recv().await);
    assert_eq!(subscribers.len(), 1);
    // The list is dropped with its last handle, and the remaining guards have no effect.
    drop((subscribers, handle));
    drop(guards);
}
