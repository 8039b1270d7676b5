//! Servers that announce that they are going away.

use std::time::Duration;

use capnweb_client::{Event, State};
use capnweb_core::{ConnectFailure, Promise, Stub};
use tokio::time::Instant;

use crate::{
    counting::Counting,
    network::{Network, Reply, soon},
    reconnecting::{client, up},
};

const MINUTE: Duration = Duration::from_secs(60);

fn network() -> (Network, Counting, Counting) {
    let network = Network::new();
    let serve = |url: &str| {
        let counting = Counting::new();
        let main = counting.clone();
        network.serve(url, move |_| main.main());
        counting
    };
    let (a, b) = (serve("a"), serve("b"));
    (network, a, b)
}

#[tokio::test(start_paused = true)]
async fn calls_under_way_finish_and_new_ones_go_elsewhere() {
    let (network, a, b) = network();
    let client = client(&network, &["a", "b"]).start();
    let mut events = client.events();
    let api: Stub = client.main();
    let user: Stub = client.derive(&api, |api: Stub| -> Promise<Stub> {
        api.call("child", ("user",)).cast()
    });
    up(&client).await;
    let slow = api.call("slow", (1, 20_000)).fetch::<u32>();
    let slow_user = user.call("slow", (2, 20_000)).fetch::<u32>();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let start = Instant::now();
    network.line().server.announce_drain(MINUTE);
    let draining = |state: &State| matches!(state, State::Draining { .. });
    soon(client.state().wait_for(draining)).await.unwrap();
    // Calls go to it until the client has another one.
    assert_eq!(
        soon(api.call("count", (3,)).fetch::<u32>()).await.unwrap(),
        1
    );
    let elsewhere = |state: &State| matches!(state, State::Up { url, .. } if &**url == "b");
    soon(client.state().wait_for(elsewhere)).await.unwrap();
    assert!(start.elapsed() <= Duration::from_millis(1100));
    for id in 10..20 {
        let on = if id % 2 == 0 { &api } else { &user };
        assert_eq!(
            soon(on.call("count", (id,)).fetch::<u32>()).await.unwrap(),
            1
        );
    }
    assert_eq!(soon(slow).await.unwrap(), 1);
    assert_eq!(soon(slow_user).await.unwrap(), 1);
    assert_eq!((a.totals(), b.totals()), ((3, 1), (10, 1)));
    // Then nothing of the old session is held, so it ends long before its deadline.
    let reason = soon(network.lines()[0].server.closed()).await;
    assert!(reason.is_disconnected(), "{reason}");
    assert!(start.elapsed() < Duration::from_secs(30));
    assert_eq!(a.alive(), 0);
    let mut announced = false;
    while let Some(event) = events.try_next() {
        announced |= matches!(event, Event::Draining { .. });
    }
    assert!(announced);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_too_slow_ends_at_the_deadline() {
    let (network, a, _) = network();
    let client = client(&network, &["a", "b"]).start();
    let api: Stub = client.main();
    up(&client).await;
    let slow = api.call("slow", (1, 600_000)).fetch::<u32>();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let start = Instant::now();
    network.line().server.announce_drain(MINUTE);
    let error = soon(slow).await.unwrap_err();
    let took = start.elapsed();
    assert!(error.is_disconnected() && error.may_have_run(), "{error}");
    assert!(
        took >= MINUTE && took < MINUTE + Duration::from_secs(1),
        "{took:?}"
    );
    assert_eq!(a.executed(1), 0);
    assert_eq!(
        soon(api.call("count", (2,)).fetch::<u32>()).await.unwrap(),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_that_dies_before_its_deadline_is_an_outage() {
    let (network, _, _) = network();
    network.then("b", Reply::Fail(ConnectFailure::Refused));
    let client = client(&network, &["a", "b"]).start();
    let api: Stub = client.main();
    up(&client).await;
    let slow = api.call("slow", (1, 600_000)).fetch::<u32>();
    tokio::time::sleep(Duration::from_millis(100)).await;
    network.then("a", Reply::Fail(ConnectFailure::Refused));
    network.line().server.announce_drain(MINUTE);
    let draining = |state: &State| matches!(state, State::Draining { .. });
    soon(client.state().wait_for(draining)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(matches!(client.state().get(), State::Draining { .. }));
    network.lines()[0].cut();
    assert!(soon(slow).await.unwrap_err().may_have_run());
    let waits = |state: &State| matches!(state, State::Connecting { .. });
    soon(client.state().wait_for(waits)).await.unwrap();
    let waiting = api.call("count", (2,)).fetch::<u32>();
    network.then("a", Reply::Accept);
    client.retry_now();
    assert_eq!(soon(waiting).await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn servers_that_all_drain_are_not_asked_in_a_loop() {
    let (network, _, _) = network();
    let client = client(&network, &["a", "b"]).start();
    let drains = network.clone();
    let drain = tokio::spawn(async move {
        let mut drained = 0;
        loop {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let lines = drains.lines();
            for line in &lines[drained..] {
                line.server.announce_drain(MINUTE);
            }
            drained = lines.len();
        }
    });
    tokio::time::sleep(2 * MINUTE).await;
    let attempts = network.attempts().len();
    assert!((5..40).contains(&attempts), "{attempts}");
    drain.abort();
    up(&client).await;
}

#[tokio::test(start_paused = true)]
async fn a_refusal_elsewhere_leaves_the_server_that_drains() {
    let (network, a, _) = network();
    let refuse = || Reply::Fail(ConnectFailure::status(401, None));
    let client = client(&network, &["a", "b"]).start();
    let api: Stub = client.main();
    up(&client).await;
    network.then("a", refuse());
    network.then("b", refuse());
    network.line().server.announce_drain(MINUTE);
    let draining = |state: &State| matches!(state, State::Draining { .. });
    soon(client.state().wait_for(draining)).await.unwrap();
    let refused = async {
        while network.attempts().len() < 3 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    soon(refused).await;
    // It still serves.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let counted = api.call("count", (1,)).fetch::<u32>();
    assert_eq!(soon(counted).await.unwrap(), 1);
    assert!(matches!(client.state().get(), State::Draining { .. }));

    // Then nobody does, until the user has signed in.
    network.lines()[0].cut();
    let refused = |state: &State| matches!(state, State::Refused { .. });
    soon(client.state().wait_for(refused)).await.unwrap();
    let start = Instant::now();
    let error = soon(api.call("count", (2,)).fetch::<u32>()).await;
    let error = error.unwrap_err();
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert!(matches!(
        error.connect_failure(),
        Some(ConnectFailure::Status { code: 401, .. })
    ));
    assert!(!error.may_have_run());
    network.then("a", Reply::Accept);
    network.then("b", Reply::Accept);
    client.retry_now();
    up(&client).await;
    assert_eq!(a.totals(), (1, 1));
}
