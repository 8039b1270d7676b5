//! E-order: calls start in the order in which they were made.

use std::sync::{
    Arc, Barrier,
    atomic::{AtomicU32, Ordering},
};

use capnweb_core::{Object, Promise, Session, SessionOptions, Stub, Value, pair};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::support::{Gate, ScriptedPeer, calculator, connect, idle, within};

/// Returns an object that reports when its methods start. `note(n)` returns at once, and `slow(n)`
/// only once the gate is open.
pub(crate) fn notebook(gate: &Gate) -> (Stub, UnboundedReceiver<u32>) {
    let (sender, receiver) = unbounded_channel();
    let (note, slow) = (sender.clone(), sender);
    let gate = gate.clone();
    let stub = Object::new()
        .sync_method("note", move |n: u32| {
            note.send(n).unwrap();
            Ok(n)
        })
        .method("slow", move |n: u32| {
            let (gate, slow) = (gate.clone(), slow.clone());
            async move {
                slow.send(n).unwrap();
                gate.pass().await;
                Ok(n)
            }
        })
        .into_stub();
    (stub, receiver)
}

pub(crate) const NOTHING: [u32; 0] = [];

/// Returns the notes so far.
pub(crate) fn noted(notes: &mut UnboundedReceiver<u32>) -> Vec<u32> {
    std::iter::from_fn(|| notes.try_recv().ok()).collect()
}

#[tokio::test]
async fn calls_start_as_they_arrive() {
    let gate = Gate::closed();
    let (main, mut notes) = notebook(&gate);
    let mut peer = ScriptedPeer::server(main);
    peer.send(r#"["push",["pipeline",0,["slow"],[1]]]"#);
    assert_eq!(noted(&mut notes), [1]);
    peer.send(r#"["push",["pipeline",0,["note"],[2]]]"#);
    assert_eq!(noted(&mut notes), [2]);
    peer.send(r#"["push",["pipeline",0,["slow"],[3]]]"#);
    assert_eq!(noted(&mut notes), [3]);
    for id in [1, 2, 3] {
        peer.send(&format!(r#"["pull",{id}]"#));
    }
    // A slow handler delays no other call.
    peer.expect(r#"["resolve",2,2]"#);
    peer.expect_silence();
    gate.open();
    idle().await;
    peer.expect(r#"["resolve",1,1]"#);
    peer.expect(r#"["resolve",3,3]"#);
    for id in [1, 2, 3] {
        peer.send(&format!(r#"["release",{id},1]"#));
    }
    peer.expect_empty();
}

#[tokio::test]
async fn slow_and_quick_calls_start_in_order() {
    let gate = Gate::closed();
    let (main, mut notes) = notebook(&gate);
    let connected = connect(main);
    let calls: Vec<Promise<u32>> = (0..500)
        .map(|n| {
            let method = if n % 3 == 0 { "slow" } else { "note" };
            Promise::cast(connected.api.call(method, (n,)))
        })
        .collect();
    for expected in 0..500 {
        assert_eq!(within(notes.recv()).await, Some(expected));
    }
    gate.open();
    for (n, call) in calls.into_iter().enumerate() {
        assert_eq!(within(call).await.unwrap() as usize, n);
    }
    connected.settle().await;
}

#[tokio::test]
async fn calls_on_a_promise_keep_their_order() {
    let gate = Gate::closed();
    let (notebook, mut notes) = notebook(&Gate::closed());
    let main = {
        let gate = gate.clone();
        Object::new()
            .method("open", move || {
                let (gate, notebook) = (gate.clone(), notebook.clone());
                async move {
                    gate.pass().await;
                    Ok((notebook.clone(), notebook))
                }
            })
            .into_stub()
    };
    let mut peer = ScriptedPeer::server(main);
    peer.send(r#"["push",["pipeline",0,["open"],[]]]"#);
    for n in 0..50 {
        // Use one property or the other, which contain the same promise.
        let (way, method) = (n % 2, if n % 3 == 0 { "slow" } else { "note" });
        peer.send(&format!(
            r#"["push",["pipeline",1,[{way},"{method}"],[{n}]]]"#
        ));
    }
    assert_eq!(noted(&mut notes), NOTHING);
    gate.open();
    idle().await;
    peer.send(r#"["push",["pipeline",1,[0,"note"],[50]]]"#);
    assert_eq!(noted(&mut notes), (0..=50).collect::<Vec<_>>());
}

#[tokio::test]
async fn calls_on_a_promise_of_a_promise_keep_their_order() {
    let (notebook, mut notes) = notebook(&Gate::closed());
    let gates = [Gate::closed(), Gate::closed(), Gate::closed()];
    let mut promise: Promise<Value> = Promise::ready(notebook);
    for gate in gates.clone() {
        promise = Promise::from_future(async move {
            gate.pass().await;
            Ok(promise)
        });
    }
    let mut n = 0;
    for gate in gates.iter().rev() {
        for _ in 0..10 {
            Promise::detach(promise.call("note", (n,)));
            n += 1;
        }
        gate.open();
        idle().await;
    }
    let last = promise.call("note", (n,));
    assert_eq!(within(last.fetch::<u32>()).await.unwrap(), n);
    assert_eq!(noted(&mut notes), (0..=n).collect::<Vec<_>>());
}

/// Calls `promise` from many threads while it settles. The calls of each thread must arrive in
/// order.
async fn hammer(promise: Stub, settle: impl FnOnce(), notes: &mut UnboundedReceiver<(u32, u32)>) {
    const THREADS: u32 = 4;
    const CALLS: u32 = 200;
    let start = Arc::new(Barrier::new(THREADS as usize + 1));
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let (promise, start) = (promise.clone(), start.clone());
            tokio::task::spawn_blocking(move || {
                for n in 0..CALLS {
                    if n == CALLS / 8 {
                        start.wait();
                    }
                    Promise::detach(promise.call("note", (thread, n)));
                }
            })
        })
        .collect();
    tokio::task::block_in_place(|| start.wait());
    settle();
    let mut next = [0; THREADS as usize];
    for _ in 0..THREADS * CALLS {
        let (thread, n) = within(notes.recv()).await.unwrap();
        let next = &mut next[thread as usize];
        assert_eq!(n, *next, "a call of thread {thread} was overtaken");
        *next += 1;
    }
    for thread in threads {
        within(thread).await.unwrap();
    }
}

/// Returns a notebook for several threads: `note(thread, n)`.
fn shared_notebook() -> (Stub, UnboundedReceiver<(u32, u32)>) {
    let (sender, receiver) = unbounded_channel();
    let stub = Object::new()
        .sync_method("note", move |thread: u32, n: u32| {
            sender.send((thread, n)).unwrap();
            Ok(())
        })
        .into_stub();
    (stub, receiver)
}

/// Returns an object whose method `open` returns `notebook` once the gate is open.
fn library(gate: &Gate, notebook: &Stub) -> Stub {
    let (gate, notebook) = (gate.clone(), notebook.clone());
    Object::new()
        .method("open", move || {
            let (gate, notebook) = (gate.clone(), notebook.clone());
            async move {
                gate.pass().await;
                Ok(notebook)
            }
        })
        .into_stub()
}

const ROUNDS: usize = 15;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn threads_that_call_a_promise_of_a_future_keep_their_order() {
    for _ in 0..ROUNDS {
        let gate = Gate::closed();
        let (notebook, mut notes) = shared_notebook();
        let promise: Promise<Value> = {
            let gate = gate.clone();
            Promise::from_future(async move {
                gate.pass().await;
                Ok(notebook)
            })
        };
        hammer((*promise).clone(), || gate.open(), &mut notes).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn threads_that_call_a_promise_of_a_local_object_keep_their_order() {
    for _ in 0..ROUNDS {
        let gate = Gate::closed();
        let (notebook, mut notes) = shared_notebook();
        let promise = library(&gate, &notebook).call("open", ());
        hammer((*promise).clone(), || gate.open(), &mut notes).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn threads_that_call_a_promise_of_the_peer_keep_their_order() {
    for _ in 0..ROUNDS {
        let gate = Gate::closed();
        let (notebook, mut notes) = shared_notebook();
        let connected = connect(library(&gate, &notebook));
        let promise = connected.api.call("open", ());
        hammer((*promise).clone(), || gate.open(), &mut notes).await;
        // Since it is awaited, it settles here during the calls.
        let gate = Gate::closed();
        let connected = connect(library(&gate, &notebook));
        let promise = connected.api.call("open", ());
        let pulled = tokio::spawn(promise.fetch::<Stub>());
        hammer((*promise).clone(), || gate.open(), &mut notes).await;
        drop((promise, within(pulled).await.unwrap().unwrap()));
        connected.settle().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn threads_that_call_across_a_proxy_keep_their_order() {
    for _ in 0..ROUNDS {
        let gate = Gate::closed();
        let (notebook, mut notes) = shared_notebook();
        let origin = connect(library(&gate, &notebook));
        let proxied = connect(origin.api.clone());
        let promise = proxied.api.call("open", ());
        let pulled = tokio::spawn(promise.fetch::<Stub>());
        hammer((*promise).clone(), || gate.open(), &mut notes).await;
        drop((promise, within(pulled).await.unwrap().unwrap()));
        proxied.settle().await;
        origin.settle().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn threads_that_call_their_own_object_across_a_proxy_keep_their_order() {
    // The peer returns its argument, so calls go in both directions, before and after.
    for _ in 0..ROUNDS {
        let gate = Gate::closed();
        let (notebook, mut notes) = shared_notebook();
        let origin = {
            let gate = gate.clone();
            Object::new().method("echo", move |stub: Stub| {
                let gate = gate.clone();
                async move {
                    gate.pass().await;
                    Ok(stub)
                }
            })
        };
        let origin = connect(origin.into_stub());
        let proxied = connect(origin.api.clone());
        let promise = proxied.api.call("echo", (&notebook,));
        let pulled = tokio::spawn(promise.fetch::<Stub>());
        hammer((*promise).clone(), || gate.open(), &mut notes).await;
        drop((promise, notebook, within(pulled).await.unwrap().unwrap()));
        proxied.settle().await;
        origin.settle().await;
    }
}

#[tokio::test]
async fn settled_promises_in_arguments_do_not_delay_a_call() {
    let gate = Gate::closed();
    let (main, mut notes) = notebook(&gate);
    let mut peer = ScriptedPeer::server(main);
    peer.send(r#"["push",["pipeline",0,["note"],[1]]]"#);
    peer.send(r#"["push",["pipeline",0,["note"],[["pipeline",1]]]]"#);
    peer.send(r#"["push",["pipeline",0,["note"],[2]]]"#);
    assert_eq!(noted(&mut notes), [1, 1, 2]);
    // A promise that has not settled does wait, and later calls may overtake it.
    peer.send(r#"["push",["pipeline",0,["slow"],[3]]]"#);
    peer.send(r#"["push",["pipeline",0,["note"],[["pipeline",4]]]]"#);
    peer.send(r#"["push",["pipeline",0,["note"],[4]]]"#);
    assert_eq!(noted(&mut notes), [3, 4]);
    gate.open();
    idle().await;
    assert_eq!(noted(&mut notes), [3]);
    peer.send(r#"["push",["pipeline",0,["note"],[["pipeline",4]]]]"#);
    assert_eq!(noted(&mut notes), [3]);
}

#[tokio::test]
async fn a_promise_of_the_sender_delays_its_call_until_resolved() {
    let (main, mut notes) = notebook(&Gate::closed());
    let mut peer = ScriptedPeer::server(main);
    peer.send(r#"["push",["pipeline",0,["note"],[["promise",-1]]]]"#);
    peer.send(r#"["push",["pipeline",0,["note"],[2]]]"#);
    assert_eq!(noted(&mut notes), [2]);
    peer.send(r#"["resolve",-1,1]"#);
    assert_eq!(noted(&mut notes), [1]);
    peer.expect(r#"["release",-1,1]"#);
    peer.send(r#"["push",["pipeline",0,["note"],[["promise",-2]]]]"#);
    peer.send(r#"["pull",3]"#);
    peer.send(r#"["reject",-2,["error","RangeError","no"]]"#);
    peer.expect(r#"["release",-2,1]"#);
    peer.expect(r#"["reject",3,["error","RangeError","no"]]"#);
    assert_eq!(noted(&mut notes), NOTHING);
}

/// Returns an object with a getter, and the number of times it was read.
pub(crate) fn watched() -> (Stub, Arc<AtomicU32>) {
    let reads = Arc::new(AtomicU32::new(0));
    let count = reads.clone();
    let stub = Object::new()
        .getter("value", move |_| {
            let n = count.fetch_add(1, Ordering::Relaxed) + 1;
            Ok(serde_json::json!({"n": n}))
        })
        .method("echo", async |value: capnweb_core::Payload| Ok(value))
        .into_stub();
    (stub, reads)
}

#[tokio::test]
async fn a_getter_runs_at_delivery_and_once_a_read() {
    let (main, reads) = watched();
    let count = || reads.load(Ordering::Relaxed);
    let mut peer = ScriptedPeer::server(main);
    peer.send(r#"["push",["pipeline",0,["value"]]]"#);
    assert_eq!(count(), 1);
    peer.send(r#"["pull",1]"#);
    peer.expect(r#"["resolve",1,{"n":1}]"#);
    peer.send(r#"["pull",1]"#);
    peer.send(r#"["push",["pipeline",0,["echo"],[[[["pipeline",1],["pipeline",1,["n"]]]]]]]"#);
    peer.send(r#"["pull",2]"#);
    peer.expect(r#"["resolve",2,[[{"n":1},1]]]"#);
    assert_eq!(count(), 1);
    // Through the getter, and as an argument.
    peer.send(r#"["push",["pipeline",0,["value","n"]]]"#);
    assert_eq!(count(), 2);
    peer.send(r#"["push",["pipeline",0,["echo"],[["pipeline",0,["value"]]]]]"#);
    assert_eq!(count(), 3);
    peer.send(r#"["pull",3]"#);
    peer.send(r#"["pull",4]"#);
    peer.expect(r#"["resolve",3,2]"#);
    peer.expect(r#"["resolve",4,{"n":3}]"#);
    assert_eq!(count(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_getter_runs_once_though_its_message_has_to_be_written_again() {
    // Next to it is a promise, which may settle while the message is being written.
    let (mine, reads) = watched();
    let connected = connect(calculator());
    let mut made = 0;
    let mut uses = Vec::new();
    for _ in 0..100 {
        let promise = connected.api.call("square", (3,));
        let pull = tokio::spawn(promise.fetch::<f64>());
        while !pull.is_finished() && uses.len() < 20 {
            uses.push(connected.api.call("echo", ((&promise, mine.get("value")),)));
            made += 1;
        }
        for used in uses.drain(..) {
            within(used).await.unwrap();
        }
    }
    assert_eq!(reads.load(Ordering::Relaxed), made);
}

#[tokio::test]
async fn calls_made_before_an_await_run_first() {
    for way in 0..3 {
        let (gate, (notebook, mut notes)) = (Gate::closed(), notebook(&Gate::closed()));
        let library = library(&gate, &notebook);
        let origin = connect(library.clone());
        let proxied = connect(origin.api.clone());
        let api = [&library, &origin.api, &proxied.api][way];
        let promise = api.call("open", ());
        let pull = promise.fetch::<Stub>();
        for n in 0..10 {
            Promise::detach(promise.call("note", (n,)));
        }
        gate.open();
        let stub = within(pull).await.unwrap();
        for n in 10..20 {
            let callee = if n % 2 == 0 { &stub } else { &*promise };
            Promise::detach(callee.call("note", (n,)));
        }
        for n in 0..20 {
            assert_eq!(within(notes.recv()).await, Some(n));
        }
    }
}

#[tokio::test]
async fn a_property_is_read_when_it_is_used() {
    let (main, reads) = watched();
    let connected = connect(main);
    let value = connected.api.get("value");
    idle().await;
    assert_eq!(reads.load(Ordering::Relaxed), 0);
    assert_eq!(within(value.get("n").fetch::<u32>()).await.unwrap(), 1);
    let echoed = connected.api.call("echo", (value.get("n"),));
    assert_eq!(within(echoed.fetch::<u32>()).await.unwrap(), 2);
    assert_eq!(reads.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn parked_calls_keep_their_order() {
    let gate = Gate::closed();
    let (main, mut notes) = notebook(&gate);
    let limits = capnweb_core::Limits::default().with_soft_calls(2);
    let (left, right) = pair();
    let (_server, mut connection) = Session::server(SessionOptions::new().with_limits(limits));
    connection.set_main(main);
    tokio::spawn(connection.drive(left));
    let (client, connection) = Session::client(SessionOptions::new());
    tokio::spawn(connection.drive(right));
    let api = client.main();
    for n in 0..100 {
        let method = if n % 2 == 0 { "slow" } else { "note" };
        Promise::detach(api.call(method, (n,)));
    }
    // The third slow call has to wait, and so do all calls after it.
    for n in 0..3 {
        assert_eq!(within(notes.recv()).await, Some(n));
    }
    idle().await;
    assert_eq!(noted(&mut notes), NOTHING);
    gate.open();
    for n in 3..100 {
        assert_eq!(within(notes.recv()).await, Some(n));
    }
}

#[tokio::test]
async fn nested_calls_are_parked_with_their_outer_call() {
    let log = Arc::new(std::sync::Mutex::new(Vec::new()));
    let gate = Gate::closed();
    let api = {
        let (gate, inc, read) = (gate.clone(), log.clone(), log.clone());
        Object::new()
            .method("nap", move || {
                let gate = gate.clone();
                async move {
                    gate.pass().await;
                    Ok(())
                }
            })
            .sync_method("inc", move || {
                inc.lock().unwrap().push("inc");
                Ok(())
            })
            .getter("value", move |_| {
                read.lock().unwrap().push("value");
                Ok(1)
            })
            .sync_method("take", |n: u32| Ok(n))
            .into_stub()
    };
    let limits = capnweb_core::Limits::default().with_soft_calls(1);
    let options = SessionOptions::new().with_limits(limits);
    let mut peer = ScriptedPeer::with(options, api);
    peer.send(r#"["push",["pipeline",0,["nap"],[]]]"#);
    peer.send(r#"["push",["pipeline",0,["inc"],[]]]"#);
    peer.send(r#"["push",["pipeline",0,["take"],[["pipeline",0,["value"]]]]]"#);
    peer.send(r#"["pull",3]"#);
    assert!(log.lock().unwrap().is_empty());
    gate.open();
    within(peer.connection.answered()).await;
    peer.expect(r#"["resolve",3,1]"#);
    assert_eq!(*log.lock().unwrap(), ["inc", "value"]);
}
