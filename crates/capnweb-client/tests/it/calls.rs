//! Calls that wait, are lost, and are retried.

use std::time::Duration;

use capnweb_client::{Backoff, Retry, State, WhileDown};
use capnweb_core::{ConnectFailure, Error, Object, Promise, Readable, Stub};
use futures_util::{StreamExt, stream};
use tokio::time::Instant;

use crate::{
    counting,
    network::{Network, Reply, soon},
    reconnecting::{client, up},
};

const REFUSED: Reply = Reply::Fail(ConnectFailure::Refused);

fn quick() -> Backoff {
    Backoff::full_jitter(Duration::from_millis(1), Duration::from_millis(10)).seed(1)
}

async fn count(api: &Stub, id: u32) -> Result<u32, Error> {
    soon(api.call("count", (id,)).fetch()).await
}

#[tokio::test(start_paused = true)]
async fn a_call_in_flight_fails_and_may_have_run() {
    let (network, counting) = counting::network();
    let client = client(&network, &["a"]).start();
    let api: Stub = client.main();
    up(&client).await;
    let slow = api.call("slow", (1, 60_000)).fetch::<u32>();
    let pipelined = api
        .call("slow", (2, 60_000))
        .call("more", ())
        .fetch::<u32>();
    tokio::time::sleep(Duration::from_millis(10)).await;
    network.line().cut();
    for call in [slow, pipelined] {
        let error = soon(call).await.unwrap_err();
        assert!(error.is_disconnected() && error.may_have_run(), "{error}");
    }
    up(&client).await;
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert!(counting.totals().1 <= 1);
}

#[tokio::test(start_paused = true)]
async fn streams_and_long_messages_break_with_their_session() {
    let network = Network::new();
    network.serve("a", |_| {
        Object::new()
            .method("numbers", |from: u32| async move {
                let numbers = stream::iter(from..).then(|number| async move {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    number
                });
                Ok(Readable::from_stream(numbers))
            })
            .sync_method("length", |text: String| Ok(text.len()))
            .into_stub()
    });
    let client = client(&network, &["a"]).backoff(quick()).start();
    let api: Stub = client.main();
    let mut seen = 0;
    for _ in 0..5 {
        up(&client).await;
        // The application resumes after the last number that it saw.
        let mut numbers: Readable<u32> = soon(api.call("numbers", (seen,)).fetch()).await.unwrap();
        for _ in 0..20 {
            assert_eq!(soon(numbers.next()).await.unwrap().unwrap(), seen);
            seen += 1;
        }
        let long = api.call("length", ("x".repeat(1 << 20),)).fetch::<usize>();
        network.line().cut();
        let rest: Vec<_> = soon(numbers.collect()).await;
        let error = rest.into_iter().find_map(Result::err).unwrap();
        assert!(error.is_disconnected(), "{error}");
        assert!(soon(long).await.unwrap_err().is_disconnected());
        soon(client.state().wait_for(|state| !state.is_up())).await;
    }
}

#[tokio::test(start_paused = true)]
async fn calls_wait_in_order_and_expire() {
    let (network, counting) = counting::network();
    network.then("a", REFUSED);
    let client = client(&network, &["a"])
        .backoff(quick())
        .while_down(WhileDown::Queue {
            calls: 100,
            bytes: 10_000,
            wait: Duration::from_secs(5),
        })
        .start();
    let api: Stub = client.main();
    let expired = api.call("count", (0,)).fetch::<u32>();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let calls: Vec<_> = (1..=50)
        .map(|id| api.call("count", (id,)).fetch::<u32>())
        .collect();
    let dropped = api.call("count", (1000,)).fetch::<u32>();
    drop(dropped);
    let detached = api.call("count", (1001,));
    Promise::detach(detached);
    let error = soon(expired).await.unwrap_err();
    assert!(error.is_disconnected() && !error.may_have_run(), "{error}");
    network.then("a", Reply::Accept);
    for call in calls {
        assert_eq!(soon(call).await.unwrap(), 1);
    }
    assert_eq!(count(&api, 2000).await.unwrap(), 1);
    let expected: Vec<u32> = (1..=50).chain([1001, 2000]).collect();
    assert_eq!(*counting.order.lock().unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn the_queue_is_bounded_by_calls_and_bytes() {
    let (network, counting) = counting::network();
    network.then("a", REFUSED);
    let client = client(&network, &["a"])
        .backoff(quick())
        .while_down(WhileDown::Queue {
            calls: 3,
            bytes: 2000,
            wait: Duration::from_secs(60),
        })
        .start();
    let api: Stub = client.main();
    let waiting: Vec<_> = (0..3)
        .map(|id| api.call("count", (id,)).fetch::<u32>())
        .collect();
    let full = count(&api, 3).await.unwrap_err();
    assert_eq!(full.code().as_deref(), Some("resource_exhausted"));
    assert!(!full.may_have_run());
    network.then("a", Reply::Accept);
    for call in waiting {
        soon(call).await.unwrap();
    }
    network.then("a", REFUSED);
    network.line().cut();
    soon(client.state().wait_for(|state| !state.is_up())).await;
    let large = "x".repeat(3000);
    let error = soon(api.call("echo", (large,)).fetch::<String>())
        .await
        .unwrap_err();
    assert_eq!(error.code().as_deref(), Some("resource_exhausted"));
    assert_eq!(counting.totals(), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn without_a_queue_calls_fail_at_once() {
    let (network, counting) = counting::network();
    network.then("a", REFUSED);
    let client = client(&network, &["a"])
        .while_down(WhileDown::FailFast)
        .start();
    let api: Stub = client.main();
    let waits = |state: &State| matches!(state, State::Connecting { next: Some(_), .. });
    soon(client.state().wait_for(waits)).await.unwrap();
    let start = Instant::now();
    let error = count(&api, 1).await.unwrap_err();
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(error.code().as_deref(), Some("unavailable"));
    assert!(error.is_disconnected() && !error.may_have_run());
    network.then("a", Reply::Accept);
    client.retry_now();
    up(&client).await;
    assert_eq!(count(&api, 2).await.unwrap(), 1);
    assert_eq!(counting.totals(), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_call_has_a_timeout_while_it_waits_and_while_it_runs() {
    let (network, counting) = counting::network();
    network.then("a", REFUSED);
    let client = client(&network, &["a"])
        .backoff(quick())
        .call_timeout(Duration::from_secs(2))
        .start();
    let api: Stub = client.main();
    let start = Instant::now();
    let error = count(&api, 1).await.unwrap_err();
    assert_eq!(error.code().as_deref(), Some("deadline_exceeded"));
    assert!(!error.may_have_run());
    assert!(start.elapsed() < Duration::from_millis(2100));
    network.then("a", Reply::Accept);
    up(&client).await;
    let error = soon(api.call("hang", ()).fetch::<()>()).await.unwrap_err();
    assert_eq!(error.code().as_deref(), Some("deadline_exceeded"));
    assert!(error.may_have_run());
    assert_eq!(count(&api, 2).await.unwrap(), 1);
    assert_eq!(counting.executed(1), 0);
}

#[tokio::test(start_paused = true)]
async fn a_stub_of_a_dead_session_goes_to_no_other() {
    let (network, _) = counting::network();
    let client = client(&network, &["a"]).backoff(quick()).start();
    let api: Stub = client.main();
    let child = soon(api.call("child", ("c",)).fetch::<Stub>())
        .await
        .unwrap();
    network.then("a", REFUSED);
    network.line().cut();
    soon(client.state().wait_for(|state| !state.is_up())).await;
    let call = api.call("echo", (child,)).fetch::<Stub>();
    network.then("a", Reply::Accept);
    let error = soon(call).await.unwrap_err();
    assert!(error.is_disconnected() && !error.may_have_run(), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_idempotent_call_is_run_again_when_its_answer_is_lost() {
    let (network, counting) = counting::network();
    let client = client(&network, &["a"]).backoff(quick()).start();
    let api: Stub = client.main();
    up(&client).await;
    // The call runs, but its answer is lost.
    let call = api.idempotent().call("slow", (1, 100)).fetch::<u32>();
    tokio::time::sleep(Duration::from_millis(50)).await;
    network.line().cut();
    assert!(soon(call).await.unwrap() >= 1);
    let other = api.call("slow", (2, 100)).fetch::<u32>();
    tokio::time::sleep(Duration::from_millis(50)).await;
    network.line().cut();
    let error = soon(other).await.unwrap_err();
    assert!(error.may_have_run());
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(counting.executed(1) >= 1 && counting.executed(2) <= 1);
}

#[tokio::test(start_paused = true)]
async fn retries_are_bounded_by_attempts_and_budget() {
    let (network, _) = counting::network();
    let client = client(&network, &["a"])
        .backoff(quick())
        .retry(Retry::idempotent().attempts(3).budget(0.0))
        .start();
    let api: Stub = client.main();
    let cut = async || {
        tokio::time::sleep(Duration::from_secs(1)).await;
        network.line().cut();
        soon(client.state().wait_for(|state| !state.is_up())).await;
        up(&client).await;
    };
    up(&client).await;
    // The third loss exhausts the attempts.
    let call = api.idempotent().call("slow", (1, 10_000)).fetch::<u32>();
    for _ in 0..3 {
        cut().await;
    }
    assert!(soon(call).await.unwrap_err().may_have_run());
    // Eight of the ten initial retries are left, and no answered call adds to them.
    let calls: Vec<_> = (2..=20)
        .map(|id| api.idempotent().call("slow", (id, 10_000)).fetch::<u32>())
        .collect();
    cut().await;
    let mut answered = 0;
    for call in calls {
        answered += usize::from(soon(call).await.is_ok());
    }
    assert_eq!(answered, 8);
}
