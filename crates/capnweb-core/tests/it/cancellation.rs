//! What stops a handler and what does not; runtimes that go; panics.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use capnweb_core::{
    Answer, Call, Context, Error, Get, Object, Promise, Property, Session, SessionOptions, Stub,
    Target, Value, pair,
};
use tokio::{runtime::Runtime, sync::mpsc::unbounded_channel};

use crate::support::{
    Gate, Script, Witness, calculator, connect, connect_with, counter, idle, within,
};

/// An object with one method, `run`, that waits at the gate and then says so on the way out.
fn runner(gate: &Gate) -> (Stub, tokio::sync::mpsc::UnboundedReceiver<&'static str>) {
    let (sender, events) = unbounded_channel();
    let gate = gate.clone();
    let stub = Object::new().method("run", move |cx: Context| {
        let (gate, sender) = (gate.clone(), sender.clone());
        let stopped = Stopped(sender.clone());
        async move {
            let stopped = stopped;
            sender.send("started").unwrap();
            gate.pass().await;
            sender
                .send(if cx.is_canceled() {
                    "canceled"
                } else {
                    "wanted"
                })
                .unwrap();
            std::mem::forget(stopped);
            Ok(1)
        }
    });
    (stub.into_stub(), events)
}

/// Says so when a handler is dropped before its end.
struct Stopped(tokio::sync::mpsc::UnboundedSender<&'static str>);

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = self.0.send("stopped");
    }
}

#[tokio::test]
async fn a_handler_runs_on_when_its_promise_is_dropped() {
    let gate = Gate::closed();
    let (main, mut events) = runner(&gate);
    let connected = connect(main);
    let dropped = connected.api.call("run", ()).fetch::<u32>();
    let awaited = connected.api.call("run", ()).fetch::<u32>();
    assert_eq!(within(events.recv()).await, Some("started"));
    assert_eq!(within(events.recv()).await, Some("started"));
    drop(dropped);
    while connected.server.stats().exports > 2 {
        tokio::task::yield_now().await;
    }
    gate.open();
    assert_eq!(within(awaited).await.unwrap(), 1);
    let mut ends = [
        within(events.recv()).await.unwrap(),
        within(events.recv()).await.unwrap(),
    ];
    ends.sort_unstable();
    assert_eq!(ends, ["canceled", "wanted"]);
    connected.settle().await;
}

#[tokio::test]
async fn a_handler_can_wait_for_its_cancellation() {
    let (sender, mut events) = unbounded_channel();
    let main = Object::new().method("run", move |cx: Context| {
        let sender = sender.clone();
        async move {
            // Twice at a time.
            tokio::join!(cx.canceled(), cx.canceled());
            sender.send(cx.is_canceled()).unwrap();
            Ok(())
        }
    });
    let main = main.into_stub();
    let mut peer = Script::server(main.clone());
    peer.send(r#"["push",["pipeline",0,["run"],[]]]"#);
    peer.send(r#"["pull",1]"#);
    idle().await;
    assert!(events.try_recv().is_err());
    peer.send(r#"["release",1,1]"#);
    assert_eq!(within(events.recv()).await, Some(true));
    peer.expect_silence();
    peer.expect_empty();

    // The end of the session is one.
    peer.send(r#"["push",["pipeline",0,["run"],[]]]"#);
    idle().await;
    assert!(events.try_recv().is_err());
    peer.connection
        .end(Error::disconnected("the cable was cut"));
    assert_eq!(within(events.recv()).await, Some(true));

    // A caller in this process never goes.
    let call = main.call("run", ()).fetch::<()>();
    idle().await;
    drop(call);
    idle().await;
    assert!(events.try_recv().is_err());
}

#[tokio::test]
async fn a_call_that_waits_in_a_queue_knows_of_its_cancellation() {
    let gate = Gate::closed();
    let (runner, mut events) = runner(&gate);
    let open = Gate::closed();
    let main = {
        let open = open.clone();
        Object::new().method("open", move || {
            let (open, runner) = (open.clone(), runner.clone());
            async move {
                open.pass().await;
                Ok(runner)
            }
        })
    };
    let mut peer = Script::server(main.into_stub());
    peer.send(r#"["push",["pipeline",0,["open"],[]]]"#);
    peer.send(r#"["push",["pipeline",1,["run"],[]]]"#);
    peer.send(r#"["release",2,1]"#);
    peer.send(r#"["release",1,1]"#);
    peer.expect_empty();
    assert!(events.try_recv().is_err());
    // Released or not, it is run: it was asked for.
    open.open();
    gate.open();
    assert_eq!(within(events.recv()).await, Some("started"));
    assert_eq!(within(events.recv()).await, Some("canceled"));
    peer.expect_silence();
}

const GRACE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn handlers_have_some_time_after_the_end() {
    let gate = Gate::closed();
    let (main, mut events) = runner(&gate);
    let mut peer = Script::with(SessionOptions::new().grace_period(GRACE), main);
    peer.send(r#"["push",["pipeline",0,["run"],[]]]"#);
    peer.send(r#"["push",["pipeline",0,["run"],[]]]"#);
    peer.connection
        .end(Error::disconnected("the cable was cut"));
    tokio::time::sleep(GRACE - Duration::from_secs(1)).await;
    assert_eq!(events.try_recv(), Ok("started"));
    assert_eq!(events.try_recv(), Ok("started"));
    assert!(events.try_recv().is_err());
    gate.open();
    idle().await;
    assert_eq!(events.try_recv(), Ok("canceled"));
    assert_eq!(events.try_recv(), Ok("canceled"));
    tokio::time::sleep(GRACE).await;
    assert!(events.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn handlers_are_stopped_when_their_time_is_up() {
    let (main, mut events) = runner(&Gate::closed());
    let mut peer = Script::with(SessionOptions::new().grace_period(GRACE), main.clone());
    peer.send(r#"["push",["pipeline",0,["run"],[]]]"#);
    peer.connection
        .end(Error::disconnected("the cable was cut"));
    tokio::time::sleep(GRACE + Duration::from_secs(1)).await;
    assert_eq!(events.try_recv(), Ok("started"));
    assert_eq!(events.try_recv(), Ok("stopped"));

    // Those of other callers are not.
    let call = main.call("run", ());
    let pull = tokio::spawn(call.fetch::<u32>());
    let mut peer = Script::with(SessionOptions::new().grace_period(GRACE), main);
    peer.send(r#"["push",["pipeline",0,["run"],[]]]"#);
    idle().await;
    drop(peer);
    tokio::time::sleep(GRACE + Duration::from_secs(1)).await;
    assert_eq!(events.try_recv(), Ok("started"));
    assert_eq!(events.try_recv(), Ok("started"));
    assert_eq!(events.try_recv(), Ok("stopped"));
    assert!(events.try_recv().is_err() && !pull.is_finished());
}

#[tokio::test(start_paused = true)]
async fn handlers_that_start_after_the_end_are_stopped_as_well() {
    let (runner, mut events) = runner(&Gate::closed());
    let open = Gate::closed();
    let main = {
        let open = open.clone();
        Object::new().method("open", move || {
            let (open, runner) = (open.clone(), runner.clone());
            async move {
                open.pass().await;
                Ok(runner)
            }
        })
    };
    let mut peer = Script::with(SessionOptions::new().grace_period(GRACE), main.into_stub());
    peer.send(r#"["push",["pipeline",0,["open"],[]]]"#);
    peer.send(r#"["push",["pipeline",1,["run"],[]]]"#);
    peer.connection
        .end(Error::disconnected("the cable was cut"));
    tokio::time::sleep(GRACE / 2).await;
    open.open();
    idle().await;
    assert_eq!(events.try_recv(), Ok("started"));
    tokio::time::sleep(GRACE * 2).await;
    assert_eq!(events.try_recv(), Ok("stopped"));
}

// ---------------------------------------------------------------- runtimes that go

fn runtime(threads: usize) -> Runtime {
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

/// A service whose calls are fast, slow, never-ending and back to the caller.
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

/// Keeps calls of all kinds in flight on `api`, without a pause, and gives what was pulled.
fn load(api: &Stub, rounds: u32) -> Vec<capnweb_core::Pull<Value>> {
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

/// The session or the runtime is gone; or the other side had the time to say that it stops.
#[track_caller]
fn assert_shut_down(error: &Error) {
    let said = error.message().contains("its runtime was shut down");
    assert!(
        error.is_disconnected() || error.is_canceled() || said,
        "{error:?}"
    );
}

/// Everything settles, with a result or with an error that says why there is none.
fn all_settle(pulls: Vec<capnweb_core::Pull<Value>>) -> usize {
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

/// Calls in both directions between two sessions in one runtime, which is dropped after `turns`.
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
    // Whatever is made now fails at once.
    let late = connected.api.call("quick", (1,)).fetch();
    assert_eq!(all_settle(vec![late]), 1);
}

#[test]
fn a_runtime_may_be_dropped_at_any_moment() {
    for turns in 0..40 {
        drop_the_runtime_after(0, turns);
    }
}

#[test]
fn a_runtime_of_many_threads_may_be_dropped_at_any_moment() {
    for turns in 0..40 {
        drop_the_runtime_after(2, turns);
    }
}

#[test]
fn one_sides_runtime_may_be_dropped_at_any_moment() {
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
            // Calls both ways, made by the side that stays.
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
                    // Every ninth waits for a handler of the side that stays, and is not concerned.
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
    let (sender, mut notes) = unbounded_channel();
    let stub = Object::new()
        .sync_method("note", move |n: u32| {
            sender.send(n).unwrap();
            Ok(n)
        })
        .into_stub();
    let first = runtime(0);
    let unrun = {
        let _entered = first.enter();
        // Its queue is never run there.
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
        // Calls that nobody awaits are run here.
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
fn a_future_behind_a_promise_may_lose_its_runtime() {
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
async fn a_driver_may_be_aborted() {
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

// ---------------------------------------------------------------- panics

/// An object that panics wherever it can.
struct Clumsy {
    witness: Option<Witness>,
    panics_on_drop: bool,
}

impl Target for Clumsy {
    fn call(self: Arc<Self>, call: Call<'_>) -> Answer {
        match call.method() {
            "now" => panic!("in the call"),
            "inline" => Answer::future::<()>(async { panic!("in the first poll") }),
            "later" => Answer::future::<()>(async {
                tokio::task::yield_now().await;
                panic!("in a task");
            }),
            "serialize" => Answer::ready(Unwritable),
            "serialize later" => Answer::future(async {
                tokio::task::yield_now().await;
                Ok(Unwritable)
            }),
            "drop inline" => Answer::future(Careless { polls: 1 }),
            "drop later" => Answer::future(Careless { polls: 3 }),
            "ping" => Answer::ready("pong"),
            _ => Answer::not_found(),
        }
    }

    fn get(self: Arc<Self>, get: Get<'_>) -> Property {
        match get.name() {
            "now" => panic!("in a getter"),
            "later" => {
                Property::Value(Answer::future::<()>(async { panic!("in a getter's poll") }))
            }
            _ => Property::Undefined,
        }
    }
}

impl Drop for Clumsy {
    fn drop(&mut self) {
        drop(self.witness.take());
        if self.panics_on_drop {
            panic!("in a drop");
        }
    }
}

/// A value that panics when it is serialized.
struct Unwritable;

impl serde::Serialize for Unwritable {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("in a serialize")
    }
}

/// A future that panics when it is dropped, whether or not it has finished.
struct Careless {
    polls: u32,
}

impl Future for Careless {
    type Output = Result<u32, Error>;

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        self.polls -= 1;
        if self.polls == 0 {
            return std::task::Poll::Ready(Ok(1));
        }
        cx.waker().wake_by_ref();
        std::task::Poll::Pending
    }
}

impl Drop for Careless {
    fn drop(&mut self) {
        panic!("in the drop of a future");
    }
}

fn clumsy() -> Stub {
    Stub::new(Clumsy {
        witness: None,
        panics_on_drop: false,
    })
}

const PANICKING: [&str; 7] = [
    "now",
    "inline",
    "later",
    "serialize",
    "serialize later",
    "drop inline",
    "drop later",
];

#[tokio::test]
async fn a_panic_in_a_handler_rejects_its_call() {
    let connected = connect(clumsy());
    let local = clumsy();
    for method in PANICKING {
        for (place, stub) in [("at the peer", &connected.api), ("here", &local)] {
            let error = within(stub.call(method, ())).await.unwrap_err();
            assert_eq!(error.to_string(), "internal error", "{method}, {place}");
            let pong = within(stub.call("ping", ()).fetch::<String>())
                .await
                .unwrap();
            assert_eq!(pong, "pong", "after {method}, {place}");
        }
    }
    connected.settle().await;
}

#[tokio::test]
async fn a_panic_in_a_getter_rejects_its_read() {
    let connected = connect(clumsy());
    let local = clumsy();
    for stub in [&connected.api, &local] {
        for property in ["now", "later"] {
            let error = within(stub.get(property)).await.unwrap_err();
            assert_eq!(error.to_string(), "internal error", "{property}");
            let error = within(stub.get(property).get("x").call("y", ()))
                .await
                .unwrap_err();
            assert_eq!(error.to_string(), "internal error", "{property}");
            let pong = within(stub.call("ping", ()).fetch::<String>())
                .await
                .unwrap();
            assert_eq!(pong, "pong");
        }
    }
    connected.settle().await;
}

#[tokio::test]
async fn a_panic_in_the_drop_of_an_object_ends_nothing() {
    let made = Arc::new(Mutex::new(Vec::new()));
    let main = {
        let made = made.clone();
        Object::new()
            .method("make", move || {
                let (witness, dropped) = Witness::new();
                made.lock().unwrap().push(dropped);
                let clumsy = Clumsy {
                    witness: Some(witness),
                    panics_on_drop: true,
                };
                async move { Ok(Stub::new(clumsy)) }
            })
            .method("ping", async || Ok("pong"))
    };
    let main = main.into_stub();
    let connected = connect(main.clone());
    for api in [&connected.api, &main] {
        let made_one = api.call("make", ());
        let pong = within(made_one.call("ping", ()).fetch::<String>())
            .await
            .unwrap();
        assert_eq!(pong, "pong");
        let stub: Stub = within(made_one.fetch()).await.unwrap();
        let again: Stub = within(api.call("make", ()).fetch()).await.unwrap();
        drop((made_one, stub, again));
        let dropped = std::mem::take(&mut *made.lock().unwrap());
        assert_eq!(dropped.len(), 2);
        for dropped in dropped {
            within(dropped).await.unwrap();
        }
        assert_eq!(
            within(api.call("ping", ()).fetch::<String>())
                .await
                .unwrap(),
            "pong"
        );
    }
    connected.settle().await;

    // At the end of the session all of them go, whatever one of them does.
    let stubs: Vec<Stub> = {
        let mut stubs = Vec::new();
        for _ in 0..3 {
            stubs.push(
                within(connected.api.call("make", ()).fetch())
                    .await
                    .unwrap(),
            );
        }
        stubs
    };
    connected.server.close(Error::new("enough"));
    for dropped in std::mem::take(&mut *made.lock().unwrap()) {
        within(dropped).await.unwrap();
    }
    assert_eq!(within(stubs[0].closed()).await.message(), "enough");
}

#[tokio::test]
async fn a_panic_in_an_on_broken_callback_does_not_keep_the_news_from_others() {
    let peer = Script::client();
    let main = peer.session.main();
    let (sender, mut told) = unbounded_channel();
    let again = sender.clone();
    let _guards = [
        main.on_broken(|_| panic!("in a callback")),
        main.on_broken(move |error| sender.send(error).unwrap()),
        main.on_broken(|_| panic!("in a callback")),
        main.on_broken(move |error| again.send(error).unwrap()),
    ];
    let pull = main.call("x", ()).fetch::<u32>();
    peer.session.close(Error::new("enough"));
    assert_eq!(within(told.recv()).await.unwrap().message(), "enough");
    assert_eq!(within(told.recv()).await.unwrap().message(), "enough");
    assert_eq!(within(pull).await.unwrap_err().message(), "enough");
    // Late ones are called at once, and that may panic as well.
    main.on_broken(|_| panic!("in a callback")).forget();
}

#[tokio::test]
async fn a_panic_in_on_send_error_hides_the_error() {
    let options = SessionOptions::new().on_send_error(|_| panic!("in on_send_error"));
    let connected = connect_with(options, calculator(), None);
    for _ in 0..2 {
        let error = within(connected.api.call("fail", ("secret",)))
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), "internal error");
    }
    let error = within(
        connected
            .api
            .call("callFunction", (Stub::broken(Error::new("x")), 1)),
    );
    assert_eq!(error.await.unwrap_err().to_string(), "internal error");
    connected.settle().await;
}

#[test]
fn a_handler_that_panics_while_it_is_dropped_has_an_outcome() {
    let runtime = runtime(0);
    let stub = Object::new()
        .method("run", || async {
            let _careless = Clumsy {
                witness: None,
                panics_on_drop: true,
            };
            std::future::pending::<Result<u32, Error>>().await
        })
        .into_stub();
    let pull = runtime.block_on(async {
        let pull = stub.call("run", ()).fetch::<u32>();
        idle().await;
        pull
    });
    drop(runtime);
    let outcome = self::runtime(0).block_on(async { within(pull).await });
    assert!(outcome.unwrap_err().is_canceled());
}

#[tokio::test]
async fn a_future_behind_a_promise_may_panic() {
    let promise: Promise<Value> = Promise::from_future(async {
        tokio::task::yield_now().await;
        assert!(std::hint::black_box(false), "in a future");
        Ok(1)
    });
    let queued = promise.call("x", ());
    for promise in [promise, queued] {
        assert!(within(promise).await.unwrap_err().is_canceled());
    }
}
