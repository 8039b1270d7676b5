//! Runtimes and drivers that are dropped while calls are in flight.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use capnweb_core::{Error, Object, Promise, Result, Session, SessionOptions, Stub, Value, pair};
use tokio::{
    runtime::Runtime,
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
};

use crate::support::{calculator, connect_with, counter, idle, within};

pub(crate) fn runtime(threads: usize) -> Runtime {
    match threads {
        0 => tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build(),
        threads => tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .enable_time()
            .build(),
    }
    .unwrap()
}

/// Returns a service with fast, slow and endless calls, and calls back to the caller.
fn service(calls: &Arc<AtomicUsize>) -> Stub {
    let calls = calls.clone();
    Object::new()
        .sync_method("quick", |n: u32| Ok(n))
        .method("slow", move |n: u32| {
            calls.fetch_add(1, Ordering::Relaxed);
            async move {
                for _ in 0..n % 7 {
                    tokio::task::yield_now().await;
                }
                Ok(n)
            }
        })
        .method("never", || async {
            std::future::pending::<Result<u32, Error>>().await
        })
        .method("back", |callback: Stub, n: u32| async move {
            callback.invoke((n,)).fetch::<u32>().await
        })
        .method("made", async || Ok((counter(1.0), counter(2.0))))
        .into_stub()
}

/// Keeps calls of all kinds in flight on `api` without a pause, and returns the pulled promises.
fn load(api: &Stub, rounds: u32) -> Vec<capnweb_core::PromiseFuture<Value>> {
    let local = calculator();
    let mut pulls = Vec::new();
    for n in 0..rounds {
        let slow = api.call("slow", (n,));
        let callback = {
            let api = api.clone();
            Stub::function(move |n: u32| {
                let call = api.call("slow", (n,));
                async move { call.fetch::<u32>().await }
            })
        };
        let made = api.call("made", ());
        pulls.extend([
            slow.fetch(),
            api.call("quick", (slow.clone(),)).fetch(),
            api.call("never", ()).get("x").fetch(),
            api.call("back", (callback, n)).fetch(),
            made.get(1u64).call("increment", ()).fetch(),
            made.map(|counter| counter.get("value")).fetch(),
            local.call("square", (slow.clone(),)).fetch(),
            local
                .call("echo", (counter(0.0).get("value"), slow))
                .fetch(),
            local.call("wait", (100_000,)).fetch(),
        ]);
    }
    pulls
}

/// Checks that the session or the runtime is gone, or that the other side announced its end.
#[track_caller]
fn assert_shut_down(error: &Error) {
    let said = error.message().contains("its runtime was shut down");
    assert!(
        error.is_disconnected() || error.is_canceled() || said,
        "{error:?}"
    );
}

/// Checks that every call settles, with a result or a suitable error. Returns the number of
/// results.
fn all_settle(pulls: Vec<capnweb_core::PromiseFuture<Value>>) -> usize {
    let runtime = runtime(0);
    let mut errors = 0;
    for (number, pull) in pulls.into_iter().enumerate() {
        let outcome =
            runtime.block_on(async { tokio::time::timeout(Duration::from_secs(20), pull).await });
        match outcome {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                assert_shut_down(&error);
                errors += 1;
            }
            Err(_) => panic!("number {number} hangs"),
        }
    }
    errors
}

/// Makes calls in both directions between two sessions in one runtime, which is dropped after
/// `turns`.
fn drop_the_runtime_after(threads: usize, turns: usize) {
    let runtime = runtime(threads);
    let calls = Arc::new(AtomicUsize::new(0));
    let (pulls, connected) = runtime.block_on(async {
        let connected = connect_with(
            SessionOptions::new(),
            service(&calls),
            Some(service(&calls)),
        );
        let mut pulls = load(&connected.api, 3);
        pulls.extend(load(&connected.server.main(), 3));
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
        (pulls, connected)
    });
    drop(runtime);
    let errors = all_settle(pulls);
    assert!(errors > 0);
    for session in [&connected.client, &connected.server] {
        let reason = session
            .end_reason()
            .expect("the session has no runtime and lives");
        assert!(reason.is_disconnected(), "{reason:?}");
    }
    // Later calls fail at once.
    let late = connected.api.call("quick", (1,)).fetch();
    assert_eq!(all_settle(vec![late]), 1);
}

#[test]
fn calls_settle_when_their_runtime_is_dropped() {
    for turns in 0..40 {
        drop_the_runtime_after(0, turns);
    }
}

#[test]
fn calls_settle_when_a_runtime_of_many_threads_is_dropped() {
    for turns in 0..40 {
        drop_the_runtime_after(2, turns);
    }
}

#[test]
fn calls_settle_when_the_peers_runtime_is_dropped() {
    for turns in 0..40 {
        for client_goes in [false, true] {
            let (mine, theirs) = (runtime(0), runtime(if turns % 2 == 0 { 0 } else { 2 }));
            let (left, right) = pair();
            let calls = Arc::new(AtomicUsize::new(0));
            let (server, mut connection) = Session::server(SessionOptions::new());
            connection.set_main(service(&calls));
            let (server_runtime, client_runtime) = if client_goes {
                (&mine, &theirs)
            } else {
                (&theirs, &mine)
            };
            server_runtime.spawn(connection.drive(left));
            let (client, mut connection) = Session::client(SessionOptions::new());
            connection.set_main(service(&calls));
            client_runtime.spawn(connection.drive(right));
            // The remaining side makes calls in both directions.
            let api = if client_goes {
                server.main()
            } else {
                client.main()
            };
            let pulls = mine.block_on(async {
                let pulls = load(&api, 3);
                for _ in 0..turns {
                    tokio::task::yield_now().await;
                }
                pulls
            });
            theirs.shutdown_background();
            let errors = mine.block_on(async {
                let mut errors = 0;
                for (number, pull) in pulls.into_iter().enumerate() {
                    // Every ninth call waits for a handler of the remaining side, and is not
                    // affected.
                    if number % 9 == 8 {
                        continue;
                    }
                    if let Err(error) = within(pull).await {
                        assert_shut_down(&error);
                        errors += 1;
                    }
                }
                errors
            });
            assert!(errors > 0);
            let session = if client_goes { &server } else { &client };
            assert!(
                mine.block_on(async { within(session.closed()).await })
                    .is_disconnected()
            );
        }
    }
}

#[test]
fn an_object_outlives_its_runtime() {
    let (stub, mut notes) = notebook();
    let first = runtime(0);
    let unrun = {
        let _entered = first.enter();
        // Its queue never runs there.
        stub.call("note", (1,))
    };
    let depends = {
        let _entered = first.enter();
        calculator().call("square", (unrun.clone(),))
    };
    drop(first);
    let second = runtime(0);
    second.block_on(async {
        for promise in [unrun, depends] {
            let error = within(promise).await.unwrap_err();
            assert!(error.is_canceled(), "{error:?}");
        }
        // Calls that nobody awaits run here.
        Promise::detach(stub.call("note", (2,)));
        assert_eq!(within(notes.recv()).await, Some(2));
        assert_eq!(
            within(stub.call("note", (3,)).fetch::<u32>())
                .await
                .unwrap(),
            3
        );
    });
}

#[test]
fn a_promise_is_canceled_when_its_runtime_is_dropped() {
    let first = runtime(0);
    let promise: Promise<Value> = {
        let _entered = first.enter();
        Promise::from_future(std::future::pending::<Result<u32, Error>>())
    };
    let queued = promise.call("x", ());
    drop(first);
    runtime(0).block_on(async {
        for promise in [promise, queued] {
            assert!(within(promise).await.unwrap_err().is_canceled());
        }
    });
}

#[tokio::test]
async fn aborting_a_driver_disconnects_both_sides() {
    for abort_client in [false, true] {
        let (left, right) = pair();
        let (server, mut connection) = Session::server(SessionOptions::new());
        connection.set_main(calculator());
        let server_task = tokio::spawn(connection.drive(left));
        let (client, connection) = Session::client(SessionOptions::new());
        let client_task = tokio::spawn(connection.drive(right));
        let api = client.main();
        assert_eq!(
            within(api.call("square", (3,)).fetch::<f64>())
                .await
                .unwrap(),
            9.0
        );
        let pull = api.call("wait", (100_000,)).fetch::<f64>();
        idle().await;
        if abort_client {
            &client_task
        } else {
            &server_task
        }
        .abort();
        let error = within(pull).await.unwrap_err();
        assert!(error.is_disconnected(), "{error:?}");
        within(server.closed()).await;
        within(client.closed()).await;
        let (aborted, other) = if abort_client {
            (client_task, server_task)
        } else {
            (server_task, client_task)
        };
        assert!(within(aborted).await.unwrap_err().is_cancelled());
        assert_eq!(
            within(other).await.unwrap().to_string(),
            "the peer closed the connection"
        );
    }
}

#[tokio::test]
async fn a_driver_that_was_never_spawned_breaks_its_session() {
    let (client, connection) = Session::client(SessionOptions::new());
    let pull = client.main().call("x", ()).fetch::<u32>();
    let (_left, right) = pair();
    drop(connection.drive(right));
    assert!(within(pull).await.unwrap_err().is_disconnected());
}

/// Returns an object whose `note(n)` reports its calls, and the receiver of the reports.
fn notebook() -> (Stub, UnboundedReceiver<u32>) {
    let (sender, notes) = unbounded_channel();
    let stub = Object::new().sync_method("note", move |n: u32| {
        sender.send(n).unwrap();
        Ok(n)
    });
    (stub.into_stub(), notes)
}

#[test]
fn unawaited_calls_run_in_a_runtime_that_runs() {
    let (stub, mut notes) = notebook();
    // The runtime exists, but nothing runs in it.
    let asleep = runtime(0);
    let unrun = {
        let _entered = asleep.enter();
        stub.call("note", (1,))
    };
    let awake = runtime(0);
    awake.block_on(async {
        Promise::detach(stub.call("note", (2,)));
        assert_eq!(within(notes.recv()).await, Some(1));
        assert_eq!(within(notes.recv()).await, Some(2));
        Promise::detach(stub.call("note", (3,)));
    });
    // Dropping it does not affect calls that another runtime runs.
    drop(asleep);
    awake.block_on(async {
        assert_eq!(within(notes.recv()).await, Some(3));
        assert_eq!(within(unrun).await.unwrap().as_f64(), Some(1.0));
    });
}

#[test]
fn tasks_that_run_queues_are_few_and_end() {
    let runtime = Arc::new(runtime(0));
    let alive = runtime.metrics();
    let thread = {
        let runtime = runtime.clone();
        std::thread::spawn(move || {
            let alive = runtime.metrics();
            runtime.block_on(async {
                let (stub, mut notes) = notebook();
                for n in 0..100 {
                    Promise::detach(stub.call("note", (n,)));
                    assert_eq!(within(notes.recv()).await, Some(n));
                }
                assert_eq!(alive.num_alive_tasks(), 1);
                // There are many at a time, and the remaining ones wait for more work.
                let many: Vec<_> = (0..100).map(|_| notebook()).collect();
                for (n, (stub, _)) in (0..).zip(&many) {
                    Promise::detach(stub.call("note", (n,)));
                }
                assert_eq!(alive.num_alive_tasks(), 100);
                for (n, (_, mut notes)) in (0..).zip(many) {
                    assert_eq!(within(notes.recv()).await, Some(n));
                }
                idle().await;
                let left = alive.num_alive_tasks();
                assert!((1..50).contains(&left), "{left}");
            });
        })
    };
    thread.join().unwrap();
    // They wait for work from a thread that has ended.
    runtime.block_on(idle());
    assert_eq!(alive.num_alive_tasks(), 0);
}
