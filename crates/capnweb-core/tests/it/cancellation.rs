//! Cancellation of handlers, and its limits.

use std::time::Duration;

use capnweb_core::{Context, Error, Object, SessionOptions, Stub};
use tokio::sync::mpsc::unbounded_channel;

use crate::support::{Gate, ScriptedPeer, connect, eventually, idle, idle_on_paused_clock, within};

/// Returns an object with one method, `run`, that waits at the gate and then reports that it
/// finishes.
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

/// Reports that a handler was dropped before its end.
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
    let released = || connected.server.stats().exports <= 2;
    eventually(|| "the dropped promise is not released", released).await;
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

/// Returns an object whose `slow` is dropped when its result is not needed, and whose `next` takes
/// that result.
fn slow(gate: &Gate) -> Stub {
    let gate = gate.clone();
    Object::new()
        .method("slow", move |cx: Context| {
            let gate = gate.clone();
            async move {
                tokio::select! {
                    () = gate.pass() => Ok([1]),
                    () = cx.canceled() => Err(Error::new("canceled")),
                }
            }
        })
        .method("next", async |of: [u32; 1]| Ok(of[0] + 1))
        .into_stub()
}

#[tokio::test]
async fn a_result_that_another_call_needs_is_not_canceled() {
    let gate = Gate::closed();
    let connected = connect(slow(&gate));
    let api = &connected.api;
    // Both promises are released long before there is a result.
    let argument = api.call("next", (api.call("slow", ()),)).fetch::<u32>();
    let property = api.call("slow", ()).get(0u64).fetch::<u32>();
    let alone = api.call("slow", ()).fetch::<[u32; 1]>();
    let released = || connected.server.stats().exports <= 4;
    eventually(|| "the promises are not released", released).await;
    idle().await;
    gate.open();
    assert_eq!(within(argument).await.unwrap(), 2);
    assert_eq!(within(property).await.unwrap(), 1);
    assert_eq!(within(alone).await.unwrap(), [1]);
    connected.settle().await;
}

/// Returns an object whose `watch` reports its own cancellation, and never answers.
fn watched() -> (Stub, tokio::sync::mpsc::UnboundedReceiver<&'static str>) {
    let (sender, events) = unbounded_channel();
    let stub = Object::new()
        .method("list", async |n: u32| Ok((0..n).collect::<Vec<_>>()))
        .method("watch", move |cx: Context, _: Option<u32>| {
            let stopped = Stopped(sender.clone());
            async move {
                stopped.0.send("started").unwrap();
                cx.canceled().await;
                assert!(cx.is_canceled());
                stopped.0.send("canceled").unwrap();
                std::mem::forget(stopped);
                Ok(())
            }
        });
    (stub.into_stub(), events)
}

#[tokio::test]
async fn calls_in_a_map_are_canceled_when_their_list_is_dropped() {
    let (main, mut events) = watched();
    let connected = connect(main);
    let api = &connected.api;
    const MANY: u32 = 2000;
    let watching = api
        .call("list", (MANY,))
        .map(|n| api.call("watch", (n,)))
        .fetch::<Vec<()>>();
    let watching = tokio::spawn(watching);
    for _ in 0..MANY {
        assert_eq!(within(events.recv()).await, Some("started"));
    }
    // The object has its list, and waits for the promises in it.
    let arrived = || connected.client.stats().imports > MANY as usize;
    eventually(|| "the list does not arrive", arrived).await;
    assert!(!watching.is_finished());
    watching.abort();
    for _ in 0..MANY {
        assert_eq!(within(events.recv()).await, Some("canceled"));
    }
    connected.settle().await;
}

#[tokio::test]
async fn local_calls_are_canceled_with_their_promise() {
    let (local, mut events) = watched();
    let watching = tokio::spawn(local.call("watch", ()).fetch::<()>());
    assert_eq!(within(events.recv()).await, Some("started"));
    assert!(!watching.is_finished());
    watching.abort();
    assert_eq!(within(events.recv()).await, Some("canceled"));
}

#[tokio::test]
async fn calls_are_canceled_when_their_session_ends() {
    let (main, mut events) = watched();
    let connected = connect(main);
    let watching = connected.api.call("watch", ()).fetch::<()>();
    let read = tokio::spawn(watching);
    assert_eq!(within(events.recv()).await, Some("started"));
    connected.client.close(Error::new("enough"));
    assert_eq!(within(events.recv()).await, Some("canceled"));
    assert_eq!(within(read).await.unwrap().unwrap_err().message(), "enough");
}

#[tokio::test]
async fn calls_in_a_map_run_on_after_the_map_is_answered() {
    let gate = Gate::closed();
    let (sender, mut events) = unbounded_channel();
    let waiting = gate.clone();
    let main = Object::new().method("list", async || Ok([1, 2])).method(
        "run",
        move |cx: Context, i: u32| {
            let (gate, sender) = (waiting.clone(), sender.clone());
            async move {
                sender.send("started").unwrap();
                tokio::select! {
                    () = gate.pass() => Ok(i),
                    () = cx.canceled() => Err(Error::new("canceled")),
                }
            }
        },
    );
    let connected = connect(main.into_stub());
    let api = &connected.api;
    let mapped = api.call("list", ()).map(|i| api.call("run", (i,)));
    let mapped = mapped.fetch::<Vec<u32>>();
    let mapped = tokio::spawn(mapped);
    assert_eq!(within(events.recv()).await, Some("started"));
    assert_eq!(within(events.recv()).await, Some("started"));
    // The list with its promises has arrived, and its own promise has been released.
    idle().await;
    gate.open();
    assert_eq!(within(mapped).await.unwrap().unwrap(), [1, 2]);
    connected.settle().await;
}

#[tokio::test]
async fn a_handler_can_wait_for_its_cancellation() {
    let (sender, mut events) = unbounded_channel();
    let main = Object::new().method("run", move |cx: Context| {
        let sender = sender.clone();
        async move {
            // Two waits at a time.
            tokio::join!(cx.canceled(), cx.canceled());
            sender.send(cx.is_canceled()).unwrap();
            Ok(())
        }
    });
    let main = main.into_stub();
    let mut peer = ScriptedPeer::server(main.clone());
    peer.send(r#"["push",["pipeline",0,["run"],[]]]"#);
    peer.send(r#"["pull",1]"#);
    idle().await;
    assert!(events.try_recv().is_err());
    peer.send(r#"["release",1,1]"#);
    assert_eq!(within(events.recv()).await, Some(true));
    peer.expect_silence();
    peer.expect_empty();

    // The end of the session is a cancellation too.
    peer.send(r#"["push",["pipeline",0,["run"],[]]]"#);
    idle().await;
    assert!(events.try_recv().is_err());
    peer.connection
        .end(Error::disconnected("the cable was cut"));
    assert_eq!(within(events.recv()).await, Some(true));

    // The same applies to a local caller that drops the promise.
    let call = main.call("run", ()).fetch::<()>();
    idle().await;
    assert!(events.try_recv().is_err());
    drop(call);
    assert_eq!(within(events.recv()).await, Some(true));
}

#[tokio::test]
async fn a_queued_call_learns_of_its_cancellation() {
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
    let mut peer = ScriptedPeer::server(main.into_stub());
    peer.send(r#"["push",["pipeline",0,["open"],[]]]"#);
    peer.send(r#"["push",["pipeline",1,["run"],[]]]"#);
    peer.send(r#"["release",2,1]"#);
    peer.send(r#"["release",1,1]"#);
    peer.expect_empty();
    assert!(events.try_recv().is_err());
    // Released or not, the call runs, because it was made.
    open.open();
    gate.open();
    assert_eq!(within(events.recv()).await, Some("started"));
    assert_eq!(within(events.recv()).await, Some("canceled"));
    peer.expect_silence();
}

const GRACE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn handlers_get_a_grace_period_after_the_session() {
    let gate = Gate::closed();
    let (main, mut events) = runner(&gate);
    let mut peer = ScriptedPeer::with(SessionOptions::new().with_grace_period(GRACE), main);
    peer.send(r#"["push",["pipeline",0,["run"],[]]]"#);
    peer.send(r#"["push",["pipeline",0,["run"],[]]]"#);
    peer.connection
        .end(Error::disconnected("the cable was cut"));
    tokio::time::sleep(GRACE - Duration::from_secs(1)).await;
    assert_eq!(events.try_recv(), Ok("started"));
    assert_eq!(events.try_recv(), Ok("started"));
    assert!(events.try_recv().is_err());
    gate.open();
    idle_on_paused_clock().await;
    assert_eq!(events.try_recv(), Ok("canceled"));
    assert_eq!(events.try_recv(), Ok("canceled"));
    tokio::time::sleep(GRACE).await;
    assert!(events.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn handlers_are_stopped_after_the_grace_period() {
    let (main, mut events) = runner(&Gate::closed());
    let mut peer = ScriptedPeer::with(SessionOptions::new().with_grace_period(GRACE), main.clone());
    peer.send(r#"["push",["pipeline",0,["run"],[]]]"#);
    peer.connection
        .end(Error::disconnected("the cable was cut"));
    tokio::time::sleep(GRACE + Duration::from_secs(1)).await;
    assert_eq!(events.try_recv(), Ok("started"));
    assert_eq!(events.try_recv(), Ok("stopped"));

    // The calls of other callers are not canceled.
    let call = main.call("run", ());
    let pull = tokio::spawn(call.fetch::<u32>());
    let mut peer = ScriptedPeer::with(SessionOptions::new().with_grace_period(GRACE), main);
    peer.send(r#"["push",["pipeline",0,["run"],[]]]"#);
    idle_on_paused_clock().await;
    drop(peer);
    tokio::time::sleep(GRACE + Duration::from_secs(1)).await;
    assert_eq!(events.try_recv(), Ok("started"));
    assert_eq!(events.try_recv(), Ok("started"));
    assert_eq!(events.try_recv(), Ok("stopped"));
    assert!(events.try_recv().is_err() && !pull.is_finished());
}

#[tokio::test(start_paused = true)]
async fn handlers_are_stopped_though_the_session_ended_outside_a_runtime() {
    let (main, mut events) = runner(&Gate::closed());
    let mut peer = ScriptedPeer::with(SessionOptions::new().with_grace_period(GRACE), main);
    peer.send(r#"["push",["pipeline",0,["run"],[]]]"#);
    // Drop it on a thread without a runtime.
    std::thread::spawn(move || drop(peer)).join().unwrap();
    tokio::time::sleep(GRACE - Duration::from_secs(1)).await;
    assert_eq!(events.try_recv(), Ok("started"));
    assert!(events.try_recv().is_err());
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(events.try_recv(), Ok("stopped"));
}

#[tokio::test(start_paused = true)]
async fn handlers_that_start_after_the_session_are_stopped() {
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
    let mut peer = ScriptedPeer::with(
        SessionOptions::new().with_grace_period(GRACE),
        main.into_stub(),
    );
    peer.send(r#"["push",["pipeline",0,["open"],[]]]"#);
    peer.send(r#"["push",["pipeline",1,["run"],[]]]"#);
    peer.connection
        .end(Error::disconnected("the cable was cut"));
    tokio::time::sleep(GRACE / 2).await;
    open.open();
    idle_on_paused_clock().await;
    assert_eq!(events.try_recv(), Ok("started"));
    tokio::time::sleep(GRACE * 2).await;
    assert_eq!(events.try_recv(), Ok("stopped"));
}
