//! Clients that connect early, and clients that end.

use std::{
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};

use capnweb_client::{Backoff, Clocks, Event, State};
use capnweb_core::{ConnectFailure, Error, Promise, Stub};
use tokio::{runtime::Handle, time::Instant};

use crate::{
    counting::Counting,
    network::{Network, Reply, soon},
    reconnecting::{client, up},
};

const REFUSED: Reply = Reply::Fail(ConnectFailure::Refused);
const HOUR: Duration = Duration::from_secs(3600);

fn network() -> (Network, Counting) {
    let network = Network::new();
    let counting = Counting::new();
    let main = counting.clone();
    network.serve("a", move |_| main.main());
    (network, counting)
}

/// Clocks that can be set ahead.
#[derive(Clone)]
struct Set {
    start: Instant,
    ahead: Arc<Mutex<Duration>>,
}

impl Set {
    fn new() -> Self {
        Self {
            start: Instant::now(),
            ahead: Arc::default(),
        }
    }

    fn sleep(&self, time: Duration) {
        *self.ahead.lock().unwrap() += time;
    }
}

impl Clocks for Set {
    fn timers(&self) -> Duration {
        self.start.elapsed()
    }

    fn wall(&self) -> Duration {
        self.start.elapsed() + *self.ahead.lock().unwrap()
    }
}

/// Waits until no more than `before` tasks are alive.
async fn tasks_are(before: usize) {
    let gone = async {
        while Handle::current().metrics().num_alive_tasks() > before {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    soon(gone).await;
}

fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

#[tokio::test(start_paused = true)]
async fn retry_now_ends_a_pause() {
    let (network, _) = network();
    network.next("a", [REFUSED]);
    let client = client(&network, &["a"])
        .backoff(Backoff::full_jitter(HOUR, HOUR).seed(1))
        .start();
    let waits = |state: &State| matches!(state, State::Connecting { next: Some(_), .. });
    soon(client.state().wait_for(waits)).await.unwrap();
    let start = Instant::now();
    client.retry_now();
    up(&client).await;
    assert!(start.elapsed() < Duration::from_secs(1));
    assert_eq!(network.attempts().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_clock_jump_ends_a_pause_and_resets_the_backoff() {
    let (network, _) = network();
    network.next("a", [REFUSED, REFUSED, REFUSED]);
    let clocks = Set::new();
    let client = client(&network, &["a"])
        .backoff(Backoff::full_jitter(HOUR, HOUR).seed(1))
        .clocks(clocks.clone())
        .start();
    let mut events = client.events();
    for attempts in 1..4 {
        let next = move |state: &State| matches!(state, State::Connecting { next: Some(_), .. });
        soon(client.state().wait_for(next)).await.unwrap();
        assert_eq!(network.attempts().len(), attempts);
        clocks.sleep(HOUR * 8);
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    up(&client).await;
    let mut jumps = 0;
    while let Some(event) = events.try_next() {
        jumps += usize::from(matches!(event, Event::ClockJump { .. }));
        if let Event::Attempt { number, .. } = event {
            assert_eq!(number, 1);
        }
    }
    assert_eq!(jumps, 3);
}

#[tokio::test(start_paused = true)]
async fn a_clock_jump_pings_at_once() {
    let (network, _) = network();
    let clocks = Set::new();
    let client = client(&network, &["a"])
        .ping(HOUR, Duration::from_secs(10))
        .clocks(clocks.clone())
        .start();
    up(&client).await;
    // A peer that is alive keeps its session.
    clocks.sleep(HOUR);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(network.lines().len(), 1);
    assert!(client.state().get().is_up());
    // A peer that is gone is detected long before the next ping.
    network.line().mute();
    clocks.sleep(HOUR);
    let start = Instant::now();
    soon(client.state().wait_for(|state| !state.is_up())).await;
    assert!(
        start.elapsed() <= Duration::from_millis(11_100),
        "{:?}",
        start.elapsed()
    );
    up(&client).await;
    assert_eq!(network.lines().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_noticed_while_idle_and_while_busy() {
    let second = Duration::from_secs(1);
    for (interval, timeout) in [(15, 10), (2, 2), (1, 30), (30, 1)] {
        let (interval, timeout) = (interval * second, timeout * second);
        for is_busy in [false, true] {
            let (network, _) = network();
            let client = client(&network, &["a"]).ping(interval, timeout).start();
            let api: Stub = client.main();
            up(&client).await;
            // This is not a multiple of any timer.
            tokio::time::sleep(Duration::from_millis(12_345)).await;
            let waiting = is_busy.then(|| api.call("hang", ()).fetch::<()>());
            soon(api.call("echo", ("x",)).fetch::<String>())
                .await
                .unwrap();
            network.line().mute();
            let start = Instant::now();
            soon(client.state().wait_for(|state| !state.is_up())).await;
            let took = start.elapsed();
            assert!(took <= interval + timeout + second, "{took:?}");
            assert!(took >= interval + timeout - second, "{took:?}");
            if let Some(waiting) = waiting {
                let error = soon(waiting).await.unwrap_err();
                assert!(error.is_disconnected() && error.may_have_run(), "{error}");
            }
            up(&client).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_dropped_while_it_connects_leaves_nothing() {
    let (network, _) = network();
    let before = tasks();
    for reply in [Reply::Hang, REFUSED] {
        network.then("a", reply);
        let client = client(&network, &["a"]).connect_timeout(HOUR).start();
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(tasks() > before);
        drop(client);
        tasks_are(before).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_stub_ends_the_session() {
    let (network, counting) = network();
    let before = tasks();
    let client = client(&network, &["a"]).start();
    let api: Stub = client.main();
    let user: Stub = client.derive(&api, |api: Stub| -> Promise<Stub> {
        api.call("child", ("user",)).cast()
    });
    let name = async || soon(user.get("name").fetch::<String>()).await;
    assert_eq!(name().await.unwrap(), "/user");
    drop(client);
    drop(api);
    // A derivation continues without a handle, even across an outage.
    network.line().cut();
    let found = loop {
        match name().await {
            Ok(found) => break found,
            Err(error) => assert!(error.is_disconnected(), "{error}"),
        }
    };
    assert_eq!(found, "/user");
    assert_eq!(network.lines().len(), 2);
    drop(user);
    let reason = soon(network.line().server.closed()).await;
    assert!(reason.is_disconnected(), "{reason}");
    assert_eq!(counting.alive(), 0);
    tasks_are(before).await;
}

#[tokio::test(start_paused = true)]
async fn close_sends_what_was_called_and_breaks_the_rest() {
    let (network, counting) = network();
    let before = tasks();
    let client = client(&network, &["a"]).start();
    let api: Stub = client.main();
    let broken = api.closed();
    up(&client).await;
    let waiting = api.call("hang", ()).fetch::<()>();
    for id in 0..200 {
        Promise::detach(api.call("count", (id,)));
    }
    client.close();
    assert!(soon(waiting).await.unwrap_err().is_disconnected());
    let late = soon(api.call("count", (1000,)).fetch::<u32>())
        .await
        .unwrap_err();
    assert!(!late.may_have_run());
    assert_eq!(soon(broken).await.message(), "the client was closed");
    assert_eq!(
        soon(client.closed()).await.message(),
        "the client was closed"
    );
    soon(network.line().server.closed()).await;
    assert_eq!(counting.totals(), (200, 1));
    drop((client, api));
    tasks_are(before).await;
}

#[test]
fn a_runtime_that_is_shut_down_closes_the_client() {
    let (network, counting) = network();
    let runtime = || {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap()
    };
    let first = runtime();
    let (client, api) = first.block_on(async {
        let client = client(&network, &["a"]).start();
        let api: Stub = client.main();
        soon(api.call("count", (1,)).fetch::<u32>()).await.unwrap();
        (client, api)
    });
    drop(first);
    assert!(client.state().get().is_closed());
    let error = runtime().block_on(async {
        soon(client.closed()).await;
        soon(api.call("count", (2,)).fetch::<u32>())
            .await
            .unwrap_err()
    });
    assert!(error.is_disconnected() && !error.may_have_run(), "{error}");
    assert_eq!(counting.totals(), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_is_given_up_leaves_no_session() {
    let (network, counting) = network();
    let kept: Arc<Mutex<Vec<Stub>>> = Arc::default();
    let keeps = kept.clone();
    let client = client(&network, &["a"])
        .connect_timeout(Duration::from_secs(1))
        .on_connect(move |main: Stub| {
            let is_first = {
                let mut kept = keeps.lock().unwrap();
                kept.push(main.clone());
                kept.len() == 1
            };
            async move {
                if is_first {
                    main.call("hang", ()).fetch::<()>().await?;
                }
                Ok::<_, Error>(())
            }
        })
        .start();
    up(&client).await;
    let first = network.lines()[0].clone();
    soon(first.server.closed()).await;
    assert_eq!(network.lines().len(), 2);
    assert_eq!(counting.hellos.load(Ordering::SeqCst), 0);
}
