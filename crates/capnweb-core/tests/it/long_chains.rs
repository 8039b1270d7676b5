//! Chains of arbitrary length, as a peer can create them. Nothing may use the stack for them, or
//! take more than linear time.
//!
//! Each test runs on a thread with a stack of 2 MiB, like Tokio's workers. The chains are so long
//! that quadratic algorithms would not finish.

use std::{
    future::Future,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use capnweb_core::{Error, Object, Payload, Promise, Session, SessionOptions, Stub, Value, pair};
use futures_util::FutureExt as _;
use tokio::sync::oneshot;

use crate::support::{ScriptedPeer, calculator, eventually, idle};

const MILLION: usize = 1_000_000;

/// Enough to overflow a stack, or to take minutes in quadratic time.
const MANY: usize = 100_000;

/// Runs a test on a small stack, with a time limit.
pub(crate) fn on_a_small_stack<F: Future<Output = ()>>(test: impl FnOnce() -> F + Send + 'static) {
    const HANG: Duration = Duration::from_secs(180);
    /// The tests run one at a time, since each takes some hundred megabytes.
    static ALONE: Mutex<()> = Mutex::new(());

    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (done, wait) = mpsc::channel();
    let thread = std::thread::Builder::new()
        .stack_size(2 << 20)
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build()
                .unwrap();
            runtime.block_on(test());
            drop(runtime);
            // If this took too long, nobody waits any more.
            let _ = done.send(());
        })
        .unwrap();
    match wait.recv_timeout(HANG) {
        Ok(()) => {}
        // The test has failed, and its thread has the reason.
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            std::panic::resume_unwind(thread.join().unwrap_err())
        }
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("the test does not end"),
    }
}

/// Returns a promise, and a sender that settles it.
fn pending() -> (oneshot::Sender<Result<u32, Error>>, Promise<Value>) {
    let (sender, receiver) = oneshot::channel();
    let promise = Promise::from_future(async move {
        receiver
            .await
            .unwrap_or_else(|_| Err(Error::new("dropped")))
    });
    (sender, promise)
}

/// Returns promises that each settle to the previous one.
fn chain(first: Promise<Value>, length: usize) -> Vec<Promise<Value>> {
    let mut chain = vec![first];
    for _ in 1..length {
        let before = chain.last().unwrap().clone();
        chain.push(Promise::from_future(async move { Ok(before) }));
    }
    chain
}

#[test]
fn a_long_chain_of_promises_settles() {
    on_a_small_stack(async || {
        let (settle, first) = pending();
        let chain = chain(first, MILLION);
        let last = chain.last().unwrap().fetch::<u32>();
        let broken = Arc::new(AtomicUsize::new(0));
        let count = broken.clone();
        let guard = chain[MILLION / 2].on_broken(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        settle.send(Ok(7)).unwrap();
        assert_eq!(last.await.unwrap(), 7);
        // Also from the other end.
        for promise in chain.iter().rev().step_by(1000) {
            assert_eq!(promise.fetch::<u32>().await.unwrap(), 7);
        }
        drop(guard);
        assert_eq!(broken.load(Ordering::Relaxed), 0);
    });
}

#[test]
fn a_long_chain_of_promises_breaks() {
    on_a_small_stack(async || {
        let (settle, first) = pending();
        let chain = chain(first, MANY);
        let last = chain.last().unwrap().clone();
        let broken = last.closed();
        // Only the ends are held.
        drop(chain);
        settle.send(Err(Error::range_error("no"))).unwrap();
        assert_eq!(last.await.unwrap_err().message(), "no");
        assert_eq!(broken.await.message(), "no");
    });
}

#[test]
fn a_long_chain_of_promises_is_dropped() {
    on_a_small_stack(async || {
        let (settle, first) = pending();
        let held = chain(first, MILLION);
        idle().await;
        drop(held);
        // This promise is never settled.
        drop(settle);
        let (settle, first) = pending();
        let last = chain(first, MANY).pop().unwrap();
        drop(settle);
        assert_eq!(last.await.unwrap_err().message(), "dropped");
    });
}

#[test]
fn a_long_chain_can_be_used_many_times() {
    on_a_small_stack(async || {
        let api = Object::new()
            .method("next", async |n: u32| Ok(n + 1))
            .into_stub();
        let first = Promise::ready(&api);
        let chain = chain(first, MANY);
        while chain
            .last()
            .unwrap()
            .call("next", (1,))
            .fetch::<u32>()
            .now_or_never()
            .is_none()
        {
            tokio::task::yield_now().await;
        }
        // Calls, reads and copies each follow the chain to its end.
        let (middle, last) = (&chain[MANY / 2], chain.last().unwrap());
        for n in 0..10_000 {
            let promise = if n % 2 == 0 { middle } else { last };
            assert_eq!(
                promise.call("next", (n,)).fetch::<u32>().await.unwrap(),
                n + 1
            );
            let echoed = api.call("next", (promise.call("next", (n,)),));
            assert_eq!(echoed.fetch::<u32>().await.unwrap(), n + 2);
        }
    });
}

#[test]
fn a_million_calls_queued_on_a_promise_run_in_order() {
    on_a_small_stack(async || {
        let count = Arc::new(AtomicUsize::new(0));
        let counter = {
            let count = count.clone();
            Object::new()
                .sync_method("count", move |n: usize| {
                    // In order.
                    assert_eq!(count.fetch_add(1, Ordering::Relaxed), n);
                    Ok(n)
                })
                .into_stub()
        };
        let (go, gate) = oneshot::channel::<()>();
        let promise: Promise<Value> = Promise::from_future(async move {
            gate.await.unwrap();
            Ok(counter)
        });
        let calls: Vec<_> = (0..MILLION).map(|n| promise.call("count", (n,))).collect();
        go.send(()).unwrap();
        for (n, call) in calls.iter().enumerate().rev().step_by(1000) {
            assert_eq!(call.fetch::<usize>().await.unwrap(), n);
        }
        assert_eq!(count.load(Ordering::Relaxed), MILLION);
    });
}

#[test]
fn a_long_chain_of_calls_settles_fails_and_drops() {
    on_a_small_stack(async || {
        fn next(n: usize) -> Stub {
            Object::new()
                .sync_method("next", move || Ok(next(n + 1)))
                .getter("n", move |_| Ok(n))
                .into_stub()
        }
        let (go, gate) = oneshot::channel::<()>();
        let mut at: Promise<Value> = Promise::from_future(async move {
            gate.await.unwrap();
            Ok(next(0))
        });
        let mut held = Vec::new();
        for n in 0..MANY {
            at = at.call("next", ());
            if n % 1000 == 0 {
                held.push(at.clone());
            }
        }
        go.send(()).unwrap();
        assert_eq!(at.get("n").fetch::<usize>().await.unwrap(), MANY);

        // The same chain with a promise that is never settled.
        let (settle, first) = pending();
        let mut at = first;
        for _ in 0..MANY {
            at = at.call("next", ());
        }
        drop(settle);
        assert_eq!(at.await.unwrap_err().message(), "dropped");
        let (_settle, first) = pending();
        let mut at = first;
        for _ in 0..MANY {
            at = at.call("next", ());
        }
        drop(at);
    });
}

#[test]
fn deeply_nested_payloads_are_refused_or_dropped() {
    on_a_small_stack(async || {
        // Promises inside values of promises: too deep for any message, but harmless.
        let mut nested: Promise<Value> = Promise::ready(0);
        for _ in 0..MANY {
            nested = Promise::ready([&nested]);
        }
        let error = nested.clone().await.unwrap_err();
        assert!(
            error.is_limit() && error.message().contains("depth"),
            "{error}"
        );
        let error = calculator().call("echo", (&nested,)).await.unwrap_err();
        assert!(error.is_limit(), "{error}");
        drop(nested);

        // Stubs inside values inside stubs.
        let mut nested = Payload::encode(&0).unwrap();
        for _ in 0..MANY {
            let promise: Promise<Value> = Promise::ready(&nested);
            nested = Payload::encode(&[Promise::as_stub(&promise)]).unwrap();
        }
        let [stub]: [Stub; 1] = nested.decode().unwrap();
        let [stub]: [Stub; 1] = stub.fetch().await.unwrap();
        drop(nested);
        drop(stub);

        // Causes of causes.
        let mut error = Error::new("the first");
        for _ in 0..MANY {
            error = Error::new("another").with_cause(error);
        }
        assert_eq!(error.cause().unwrap().message(), "another");
        let mut peer = ScriptedPeer::server(
            Object::new()
                .sync_method("fail", move || Err::<(), _>(error.clone()))
                .into_stub(),
        );
        peer.send(r#"["push",["pipeline",0,["fail"],[]]]"#);
        peer.send(r#"["pull",1]"#);
        assert!(
            peer.next()
                .unwrap()
                .starts_with(r#"["reject",1,["error","Error","another""#)
        );
    });
}

#[test]
fn a_long_chain_of_targets_is_dropped() {
    on_a_small_stack(async || {
        let mut at = Object::new().property("n", 0).into_stub();
        let first = at.clone();
        for n in 1..MILLION {
            at = Object::new()
                .property("n", n)
                .property("next", &at)
                .into_stub();
        }
        let next: Stub = at.get("next").fetch().await.unwrap();
        assert_eq!(next.get("n").fetch::<usize>().await.unwrap(), MILLION - 2);
        drop(next);
        drop(at);
        assert_eq!(first.get("n").fetch::<usize>().await.unwrap(), 0);
    });
}

/// Returns an object whose method calls another object, whose method calls another one …
fn asking(inner: Stub) -> Stub {
    Object::new()
        .method("sum", move |n: u64| {
            let inner = inner.clone();
            async move { Ok(inner.call("sum", (n,)).fetch::<u64>().await? + 1) }
        })
        .into_stub()
}

#[test]
fn a_long_chain_of_awaiting_handlers_completes() {
    on_a_small_stack(async || {
        let mut at = Object::new()
            .method("sum", async |n: u64| Ok(n))
            .into_stub();
        for _ in 0..MANY {
            at = asking(at);
        }
        assert_eq!(
            at.call("sum", (5,)).fetch::<u64>().await.unwrap(),
            5 + MANY as u64
        );

        // The same, called by the peer that has assembled it.
        let api = Object::new()
            .method("sum", async |n: u64| Ok(n))
            .method("wrap", async |inner: Stub| Ok(asking(inner)))
            .into_stub();
        let (left, right) = pair();
        let (_, mut connection) = Session::server(SessionOptions::new());
        connection.set_main(api);
        tokio::spawn(connection.drive(left));
        let (session, connection) = Session::client(SessionOptions::new());
        tokio::spawn(connection.drive(right));
        let api = session.main();
        let mut at = api.call("wrap", (&api,));
        for _ in 1..MANY {
            at = api.call("wrap", (at,));
        }
        assert_eq!(
            at.call("sum", (5,)).fetch::<u64>().await.unwrap(),
            5 + MANY as u64
        );
    });
}

#[test]
fn a_peers_long_chain_of_promises_keeps_few_imports() {
    on_a_small_stack(async || {
        let mut peer = ScriptedPeer::client();
        let mut value = peer.session.main().call("x", ()).fetch::<u32>();
        let unasked = peer.session.main().call("y", ());
        let _watched = unasked.on_broken(|_| {});
        peer.expect(r#"["push",["pipeline",0,["x"],[]]]"#);
        peer.expect(r#"["pull",1]"#);
        peer.expect(r#"["push",["pipeline",0,["y"],[]]]"#);
        let (mut id, mut unasked_id) = (1i64, 2i64);
        for n in 0..i64::try_from(MANY).unwrap() {
            let next = -1 - 2 * n;
            peer.send(&format!(r#"["resolve",{id},["promise",{next}]]"#));
            peer.send(&format!(
                r#"["resolve",{unasked_id},["promise",{}]]"#,
                next - 1
            ));
            (id, unasked_id) = (next, next - 1);
            assert!((&mut value).now_or_never().is_none());
            peer.connection.take_outgoing();
        }
        // Only the last promises are held, and not a million.
        assert!(
            peer.session.stats().imports <= 3,
            "{:?}",
            peer.session.stats()
        );
        peer.send(&format!(r#"["resolve",{id},7]"#));
        assert_eq!(value.await.unwrap(), 7);
        // Promises that were not awaited have shortened chains too.
        for _ in 0..1000 {
            drop(unasked.call("z", ()));
        }
        peer.send(&format!(r#"["resolve",{unasked_id},8]"#));
        for _ in 0..1000 {
            assert_eq!(unasked.fetch::<u32>().await.unwrap(), 8);
        }
        drop(unasked);
        peer.connection.take_outgoing();
        peer.expect_empty();
    });
}

#[test]
fn a_peers_long_chain_of_promises_settles_its_own_calls() {
    on_a_small_stack(async || {
        // The peer's call is answered with a promise of its own, which is answered with another one
        // …
        let api = Object::new()
            .method("forward", async |f: Stub| Ok(f.invoke(())))
            .method("echo", async |value: Payload| Ok(value))
            .into_stub();
        let mut peer = ScriptedPeer::server(api);
        peer.send(r#"["push",["pipeline",0,["forward"],[["export",-1]]]]"#);
        peer.send(r#"["pull",1]"#);
        // … and so is an argument of another call.
        peer.send(r#"["push",["pipeline",0,["echo"],[["pipeline",1]]]]"#);
        peer.send(r#"["pull",2]"#);
        peer.connection.take_outgoing();
        let mut id = 1;
        for next in 2..i64::try_from(MANY).unwrap() {
            peer.send(&format!(r#"["resolve",{id},["promise",-{next}]]"#));
            id = -next;
            peer.connection.take_outgoing();
        }
        peer.send(&format!(r#"["resolve",{id},7]"#));
        peer.expect(&format!(r#"["release",{id},1]"#));
        peer.expect_unordered([r#"["resolve",1,7]"#, r#"["resolve",2,7]"#]);
        peer.send(r#"["release",1,1]"#);
        peer.send(r#"["release",2,1]"#);
        peer.expect_silence();
        peer.expect_empty();
    });
}

#[test]
fn a_path_of_a_million_steps_is_answered() {
    on_a_small_stack(async || {
        struct Node;
        impl capnweb_core::Target for Node {
            fn call(self: Arc<Self>, _: capnweb_core::Call<'_>) -> capnweb_core::Answer {
                capnweb_core::Answer::ready(7)
            }

            fn get(self: Arc<Self>, _: capnweb_core::Get<'_>) -> capnweb_core::Property {
                let this = Stub::from_arc(self);
                capnweb_core::Property::Value(capnweb_core::Answer::ready(this))
            }
        }
        let mut peer = ScriptedPeer::server(Stub::new(Node));
        let path = vec![r#""a""#; MILLION].join(",");
        peer.send(&format!(r#"["push",["pipeline",0,[{path}],[]]]"#));
        peer.send(r#"["pull",1]"#);
        let said = peer.next().unwrap();
        assert!(
            said == r#"["resolve",1,7]"# || said.starts_with(r#"["reject",1,"#),
            "{said}"
        );
    });
}

#[test]
fn a_session_with_long_chains_breaks_every_promise() {
    on_a_small_stack(async || {
        // A chain of calls in flight at both ends, each on the result of the previous one.
        let gate = Arc::new(tokio::sync::Notify::new());
        fn waiting(gate: Arc<tokio::sync::Notify>) -> Stub {
            Object::new()
                .method("next", move || {
                    let gate = gate.clone();
                    async move {
                        gate.notified().await;
                        Ok(waiting(gate))
                    }
                })
                .into_stub()
        }
        let (left, right) = pair();
        let (server, mut connection) = Session::server(SessionOptions::new());
        connection.set_main(waiting(gate));
        tokio::spawn(connection.drive(left));
        let (client, connection) = Session::client(SessionOptions::new());
        let driver = tokio::spawn(connection.drive(right));
        let mut at = client.main().call("next", ());
        let mut all = vec![at.clone()];
        for _ in 1..10_000 {
            at = at.call("next", ());
            all.push(at.clone());
        }
        let arrived = || server.stats().exports >= 10_000;
        eventually(|| "the calls do not arrive", arrived).await;
        driver.abort();
        let error = at.await.unwrap_err();
        assert!(error.is_disconnected(), "{error}");
        assert!(server.closed().await.is_disconnected());
        for promise in all {
            assert!(promise.await.unwrap_err().is_disconnected());
        }
    });
}
