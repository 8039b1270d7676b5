//! Calls within this process: they never run inside the call, and run in order, with or without a
//! runtime.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use capnweb_core::{Object, Promise, Stub, Value};
use futures_util::FutureExt;
use tokio::sync::mpsc::unbounded_channel;

use crate::call_order::{NOTHING, notebook, noted, watched};
use crate::support::{Gate, Witness, connect, counter, within};

#[tokio::test]
async fn local_calls_never_run_inside_the_call() {
    let gate = Gate::closed();
    let (notebook, mut notes) = notebook(&gate);
    let first = notebook.call("note", (1,));
    let second = notebook.call("slow", (2,));
    let third = notebook.call("note", (3,));
    assert_eq!(noted(&mut notes), NOTHING);
    assert_eq!(third.fetch::<u32>().await.unwrap(), 3);
    assert_eq!(noted(&mut notes), [1, 2, 3]);
    assert_eq!(first.fetch::<u32>().await.unwrap(), 1);
    gate.open();
    assert_eq!(within(second.fetch::<u32>()).await.unwrap(), 2);

    // The same applies through settled promises, values, and stubs that a peer returns.
    let promise: Promise<Value> = Promise::ready((&notebook, 1));
    let call = promise.get(0u64).call("note", (4,));
    assert_eq!(noted(&mut notes), NOTHING);
    assert_eq!(call.fetch::<u32>().await.unwrap(), 4);
    assert_eq!(noted(&mut notes), [4]);
    let connected = connect(crate::support::calculator());
    let back: Vec<Stub> = within(connected.api.call("echo", ([&notebook],)).fetch())
        .await
        .unwrap();
    let call = back[0].call("note", (5,));
    assert_eq!(noted(&mut notes), NOTHING);
    assert_eq!(within(call.fetch::<u32>()).await.unwrap(), 5);
    assert_eq!(noted(&mut notes), [5]);
}

#[tokio::test]
async fn local_calls_run_without_being_awaited() {
    let (notebook, mut notes) = notebook(&Gate::closed());
    for n in 0..20 {
        Promise::detach(notebook.call("note", (n,)));
    }
    drop(notebook);
    for n in 0..20 {
        assert_eq!(within(notes.recv()).await, Some(n));
    }
    // The object is dropped after the last call has run.
    assert_eq!(within(notes.recv()).await, None);
}

#[tokio::test]
async fn a_result_does_not_keep_the_object_that_it_came_from() {
    let (witness, dropped) = Witness::new();
    let api = Object::new()
        .sync_method("make", move || {
            let _ = &witness;
            Ok(counter(1.0))
        })
        .into_stub();
    let made = api.call("make", ());
    let value = made.get("value");
    let incremented = made.call("increment", ());
    assert_eq!(
        within(incremented.clone()).await.unwrap().as_f64(),
        Some(2.0)
    );
    drop(api);
    within(dropped).await.unwrap();
    assert_eq!(within(value.fetch::<f64>()).await.unwrap(), 2.0);
    drop((made, incremented));
}

#[tokio::test]
async fn a_held_result_is_not_reused_by_the_next_call() {
    let api = crate::support::calculator();
    let square = |n: f64| Promise::<f64>::from_stub(api.call("square", (n,)).into());
    let (first, watched) = (square(3.0), square(4.0));
    let kept = first.clone();
    let broken = Arc::new(AtomicBool::new(false));
    let _guard = {
        let broken = broken.clone();
        Promise::as_stub(&watched).on_broken(move |_| broken.store(true, Ordering::Relaxed))
    };
    assert_eq!((first.await.unwrap(), watched.await.unwrap()), (9.0, 16.0));
    for n in 0..50 {
        assert_eq!(square(n.into()).await.unwrap(), f64::from(n * n));
        assert!(api.call("fail", ("no",)).await.is_err());
    }
    assert_eq!(kept.await.unwrap(), 9.0);
    assert!(!broken.load(Ordering::Relaxed));
}

#[tokio::test]
async fn a_handler_that_calls_its_own_object_does_not_run_inside_itself() {
    let (sender, mut order) = unbounded_channel();
    let (inner, outer) = (sender.clone(), sender);
    let api = Object::new()
        .sync_method("inner", move |n: u32| {
            inner.send(format!("inner {n}")).unwrap();
            Ok(n)
        })
        .method("outer", move |me: Stub, n: u32| {
            let outer = outer.clone();
            async move {
                outer.send(format!("outer {n}")).unwrap();
                let call = me.call("inner", (n,));
                outer.send(format!("called {n}")).unwrap();
                call.fetch::<u32>().await
            }
        })
        .into_stub();
    let calls = [api.call("outer", (&api, 1)), api.call("outer", (&api, 2))];
    for (call, n) in calls.iter().zip([1, 2]) {
        assert_eq!(within(call.fetch::<u32>()).await.unwrap(), n);
    }
    let order: Vec<_> = std::iter::from_fn(|| order.try_recv().ok()).collect();
    assert_eq!(
        order,
        [
            "outer 1", "called 1", "outer 2", "called 2", "inner 1", "inner 2"
        ]
    );
}

#[tokio::test]
async fn a_local_property_in_arguments_is_read_after_earlier_calls() {
    let connected = connect(crate::support::calculator());
    let counter = counter(5.0);
    Promise::detach(counter.call("increment", ()));
    let square = connected.api.call("square", (counter.get("value"),));
    Promise::detach(counter.call("increment", ()));
    assert_eq!(within(square.fetch::<f64>()).await.unwrap(), 36.0);
    drop((counter, square));
    connected.settle().await;
}

#[tokio::test]
async fn a_property_in_arguments_of_a_local_call_is_read_after_earlier_calls() {
    let (api, counter) = (crate::support::calculator(), counter(5.0));
    Promise::detach(counter.call("increment", ()));
    let square = api.call("square", (counter.get("value"),));
    Promise::detach(counter.call("increment", ()));
    assert_eq!(within(square.fetch::<f64>()).await.unwrap(), 36.0);
}

#[tokio::test]
async fn a_local_getter_never_runs_inside_a_call() {
    let (mine, reads) = watched();
    let connected = connect(crate::support::calculator());
    let call = connected.api.call("square", (mine.get("value").get("n"),));
    assert_eq!(reads.load(Ordering::Relaxed), 0);
    assert_eq!(within(call.fetch::<f64>()).await.unwrap(), 1.0);
    assert_eq!(reads.load(Ordering::Relaxed), 1);
}

#[test]
fn local_calls_need_no_runtime() {
    let api = crate::support::calculator();
    let square = |n: f64| api.call("square", (n,));
    assert_eq!(
        square(3.0).fetch::<f64>().now_or_never().unwrap().unwrap(),
        9.0
    );
    // A chain, a property of a result, and a promise as an argument: the await drives all of them.
    let made = api.call("makeCounter", (4,));
    let incremented = made.call("increment", ()).fetch::<f64>();
    assert_eq!(
        incremented
            .now_or_never()
            .expect("nobody drives it")
            .unwrap(),
        5.0
    );
    let name = api.call("user", ()).get("name").fetch::<String>();
    assert_eq!(
        name.now_or_never().expect("nobody drives it").unwrap(),
        "Ada"
    );
    let sum = api.call("add", (square(2.0), square(3.0))).fetch::<f64>();
    assert_eq!(sum.now_or_never().expect("nobody drives it").unwrap(), 13.0);
    let other = counter(6.0);
    let sum = api
        .call("add", (other.call("increment", ()), other.get("value")))
        .fetch::<f64>();
    assert_eq!(sum.now_or_never().expect("nobody drives it").unwrap(), 14.0);
    let squares = api
        .call("list", (3,))
        .map(|n| api.call("square", (n,)))
        .fetch::<Vec<f64>>();
    assert_eq!(
        squares.now_or_never().expect("nobody drives it").unwrap(),
        [0.0, 1.0, 4.0]
    );
}
