//! Nodes whose way to the NATS server is slow, loses messages, falls silent and is cut. Skipped if
//! there is no server.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use capnweb_cluster::{Activation, Cluster, ClusterOptions, Nats};
use capnweb_core::{Error, Result};

use crate::{
    proxy::{Faults, Proxy, Upstream, under_faults},
    server::Server,
    support::soon,
};

/// The variable with the length of each test in seconds, for longer runs.
const SECONDS: &str = "CAPNWEB_TEST_FAULTS";

#[capnweb_macros::interface(crate = "capnweb_core")]
trait Squares {
    /// Runs once for each number, or not at all.
    async fn once(&self, number: u64) -> Result<u64>;
    #[rpc(idempotent)]
    async fn again(&self, number: u64, padding: String) -> Result<u64>;
}

/// Counts how often each call has run, on all nodes.
#[derive(Clone, Default)]
struct Runs(Arc<Mutex<HashMap<u64, u32>>>);

impl Runs {
    fn of(&self, number: u64) -> u32 {
        self.0.lock().unwrap().get(&number).copied().unwrap_or(0)
    }
}

impl Squares for Runs {
    async fn once(&self, number: u64) -> Result<u64> {
        *self.0.lock().unwrap().entry(number).or_default() += 1;
        Ok(number * number)
    }

    async fn again(&self, number: u64, padding: String) -> Result<u64> {
        Ok(number * number + padding.len() as u64)
    }
}

const LEASE: Duration = Duration::from_secs(1);

async fn node(proxy: &Proxy) -> Cluster {
    // Faults are noticed soon, and a call may wait for several of them.
    let options = ClusterOptions::new()
        .with_lease(LEASE)
        .with_heartbeat(Duration::from_millis(100), Duration::from_millis(400))
        .with_patience(Duration::from_secs(60));
    let nats = soon(Nats::connect(&proxy.url())).await.unwrap();
    soon(Cluster::join_with(nats, "test", options))
        .await
        .unwrap()
}

/// A server behind two proxies, with a host and a client, each behind one.
struct Scene {
    _server: Server,
    proxies: [Proxy; 2],
    host: Cluster,
    client: Cluster,
    runs: Runs,
}

impl Scene {
    async fn new() -> Option<Self> {
        let server = Server::start().await?;
        drop(server.nats().await);
        let upstream = || Upstream::Nats(server.address());
        let proxies = [
            Proxy::start(upstream()).await,
            Proxy::start(upstream()).await,
        ];
        let (host, client) = (node(&proxies[0]).await, node(&proxies[1]).await);
        let runs = Runs::default();
        let squares = runs.clone();
        host.host::<SquaresStub, _>("squares", move |_: String, _: Activation| {
            let squares = squares.clone();
            async { Ok(squares) }
        });
        Some(Self {
            _server: server,
            proxies,
            host,
            client,
            runs,
        })
    }

    /// Makes calls while the proxies go through the phases, and checks their outcomes. Calls end,
    /// their answers are right, and errors say whether the call may have run.
    async fn check(&self, seconds: u64, phases: &[(Duration, Faults)], may_fail: bool) {
        let seconds = std::env::var(SECONDS).map_or(seconds, |seconds| seconds.parse().unwrap());
        let time = Duration::from_secs(seconds);
        let proxies = self.proxies.each_ref();
        let (outcomes, repeated, longest) = under_faults(&proxies, phases, self.call(time)).await;
        let mut failed = HashMap::new();
        for (number, outcome) in &outcomes {
            let runs = self.runs.of(*number);
            match outcome {
                Ok(square) => assert_eq!((*square, runs), (number * number, 1)),
                Err(error) => {
                    assert!(may_fail, "{error}");
                    assert!(error.is_disconnected(), "{error:?}");
                    assert!(runs <= u32::from(error.may_have_run()), "{error:?}");
                    *failed.entry(error.message().to_owned()).or_insert(0) += 1;
                }
            }
        }
        let lost: u64 = proxies.iter().map(|proxy| proxy.passed().lost).sum();
        println!(
            "{} calls of which {:?} failed, {repeated} idempotent ones, none of which failed, the \
             longest in {longest:?}; {lost} messages lost",
            outcomes.len(),
            failed,
        );
        // When the faults are over, everything works.
        let squares: SquaresStub = self.client.get("squares", "a");
        assert_eq!(soon(squares.again(3, "")).await.unwrap(), 9);
        soon(self.client.leave()).await;
        soon(self.host.leave()).await;
    }

    async fn call(&self, time: Duration) -> (Vec<(u64, Result<u64>)>, u64, Duration) {
        let begun = Instant::now();
        let once = async {
            let mut outcomes = Vec::new();
            let squares: SquaresStub = self.client.get("squares", "a");
            let mut numbers = 0..;
            while begun.elapsed() < time {
                // Some are under way together.
                let calls = numbers.by_ref().take(8).map(|number| {
                    let call = squares.once(number).into_future();
                    async move { (number, soon(call).await) }
                });
                outcomes.extend(futures_util::future::join_all(calls.collect::<Vec<_>>()).await);
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            outcomes
        };
        let again = async {
            let squares: SquaresStub = self.client.get("squares", "a");
            let (mut number, mut longest) = (0, Duration::ZERO);
            while begun.elapsed() < time {
                let padding = "x".repeat((number % 7) as usize * 1000);
                let called = Instant::now();
                let answer = soon(squares.again(number, &padding)).await;
                longest = longest.max(called.elapsed());
                let expected = number * number + padding.len() as u64;
                assert_eq!(
                    answer.map_err(|error: Error| error.to_string()),
                    Ok(expected)
                );
                number += 1;
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            (number, longest)
        };
        let (outcomes, (repeated, longest)) = tokio::join!(once, again);
        (outcomes, repeated, longest)
    }
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[tokio::test]
async fn a_slow_server_costs_time_alone() {
    let Some(scene) = Scene::new().await else {
        return;
    };
    let slow = Faults {
        delay: millis(40),
        ..Faults::default()
    };
    let narrow = Faults {
        delay: millis(5),
        rate: Some(200_000),
        ..Faults::default()
    };
    let phases = [(millis(500), slow), (millis(500), narrow)];
    scene.check(1, &phases, false).await;
}

#[tokio::test]
async fn lost_messages_end_sessions_and_no_more() {
    let Some(scene) = Scene::new().await else {
        return;
    };
    let loses = Faults {
        lose_one_of: Some(41),
        ..Faults::default()
    };
    let phases = [(millis(300), loses), (millis(200), Faults::default())];
    scene.check(2, &phases, true).await;
    assert!(scene.proxies.iter().any(|proxy| proxy.passed().lost > 0));
}

#[tokio::test]
async fn connections_to_the_server_are_cut() {
    let Some(scene) = Scene::new().await else {
        return;
    };
    let refuses = Faults {
        refuses: true,
        ..Faults::default()
    };
    let slow = Faults {
        delay: millis(10),
        ..Faults::default()
    };
    let phases = [
        (millis(300), Faults::default()),
        (millis(20), refuses),
        (millis(300), slow),
        (millis(200), refuses),
    ];
    scene.check(2, &phases, true).await;
}

#[tokio::test]
async fn the_server_falls_silent() {
    let Some(scene) = Scene::new().await else {
        return;
    };
    let silent = Faults {
        is_silent: true,
        ..Faults::default()
    };
    // Shorter than it takes to give a node up, then longer, and at last longer than the lease.
    let phases = [
        (millis(200), Faults::default()),
        (millis(250), silent),
        (millis(200), Faults::default()),
        (millis(700), silent),
        (millis(500), Faults::default()),
        (LEASE + millis(300), silent),
        (millis(1_500), Faults::default()),
    ];
    scene.check(4, &phases, true).await;
}
