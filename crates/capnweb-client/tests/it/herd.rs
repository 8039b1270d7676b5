//! Many clients at once.

use std::{collections::HashMap, time::Duration};

use capnweb_client::{Backoff, Client, State};
use capnweb_core::{ConnectFailure, Object};
use tokio::time::Instant;

use crate::network::{Network, Reply, soon};

const CLIENTS: usize = 2000;

/// Disconnects all clients at once and brings the server back after `outage`. Returns the times of
/// the connections after that.
async fn returns(code: u16, outage: Duration) -> Vec<Duration> {
    let network = Network::new();
    network.serve("a", |_| Object::new().into_stub());
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            Client::to(["a"])
                .connector(network.clone())
                .backoff(Backoff::default().seed(u64::try_from(number).unwrap()))
                .start()
        })
        .collect();
    for client in &clients {
        soon(client.connected()).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    let before = network.lines().len();
    assert_eq!(before, CLIENTS);
    let cut = Instant::now();
    if outage > Duration::ZERO {
        network.then("a", Reply::Fail(ConnectFailure::Refused));
    }
    for line in network.lines() {
        line.close(code);
    }
    tokio::time::sleep(outage).await;
    network.then("a", Reply::Accept);
    let back = Instant::now();
    for client in &clients {
        let is_back = |state: &State| matches!(state, State::Up { .. });
        soon(client.state().wait_for(is_back)).await.unwrap();
    }
    let all_back = async {
        while network.lines().len() < 2 * CLIENTS {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    soon(all_back).await;
    let times = network.attempts().into_iter().map(|seen| seen.at);
    let start = if outage > Duration::ZERO { back } else { cut };
    let times = times.filter(|at| *at >= start);
    times.map(|at| at - start).collect()
}

/// Returns the peak rate of connections per `window`: ten times the maximum in a tenth of it.
fn peak(times: &[Duration], window: Duration) -> usize {
    let part = window / 10;
    let mut counts = HashMap::new();
    for time in times {
        *counts.entry(time.as_nanos() / part.as_nanos()).or_default() += 10;
    }
    counts.into_values().max().unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn a_restart_that_is_announced_spreads_over_a_second() {
    let window = Duration::from_secs(1);
    let times = returns(1012, Duration::ZERO).await;
    assert!(
        times
            .iter()
            .all(|time| *time <= window + Duration::from_millis(2))
    );
    let peak = peak(&times, window);
    println!("peak: {peak} clients a window, of {CLIENTS}");
    assert!(peak <= CLIENTS * 3 / 2, "{peak}");
}

#[tokio::test(start_paused = true)]
async fn a_crash_spreads_over_the_first_window() {
    let times = returns(1006, Duration::ZERO).await;
    let peak = peak(&times, Duration::from_millis(250));
    println!("peak: {peak} clients a window, of {CLIENTS}");
    assert!(peak <= CLIENTS * 3 / 2, "{peak}");
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_a_minute_spreads_over_the_largest_window() {
    let outage = Duration::from_secs(60);
    let times = returns(1006, outage).await;
    let window = Duration::from_secs(30);
    assert!(times.iter().all(|time| *time <= window));
    let peak = peak(&times, window);
    println!("peak: {peak} clients a window, of {CLIENTS}");
    assert!(peak <= CLIENTS * 3 / 2, "{peak}");
}

#[tokio::test(start_paused = true)]
async fn outages_of_seconds_spread_as_well() {
    for outage in [1, 5, 20] {
        let times = returns(1006, Duration::from_secs(outage)).await;
        let last = times.iter().max().unwrap();
        let peak = peak(&times, Duration::from_secs(1));
        println!(
            "{outage} s: peak: {peak} clients a second, of {CLIENTS}, the last after {last:?}"
        );
        assert!(peak <= CLIENTS * 3 / 2, "{peak}");
    }
}
