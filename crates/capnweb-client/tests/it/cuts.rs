//! Connections that are cut after an arbitrary byte.

use std::time::Duration;

use capnweb_client::{Backoff, Breaker, Client, Retry, WhileDown};
use capnweb_core::{Promise, Stub};

use crate::{
    counting::{self, Counting},
    network::{Network, soon},
};

fn client(network: &Network, retry: Retry) -> Client {
    let millis = Duration::from_millis;
    Client::to(["a"])
        .connector(network.clone())
        .backoff(Backoff::full_jitter(millis(1), millis(8)).seed(1))
        .breaker(Breaker::after(u32::MAX))
        .while_down(WhileDown::Queue {
            calls: 1024,
            bytes: 1 << 20,
            wait: Duration::from_secs(60),
        })
        .retry(retry)
        .start()
}

/// A generator of random numbers, as in `capnweb_client`.
struct Random(u64);

impl Random {
    fn next(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z ^= z >> 27;
        usize::try_from(z % u64::try_from(bound).unwrap()).unwrap()
    }
}

/// The number of calls with each outcome.
#[derive(Debug, Default)]
struct Tally {
    acknowledged: Vec<u32>,
    may_have_run: Vec<u32>,
    not_run: Vec<u32>,
}

impl Tally {
    fn add(&mut self, id: u32, outcome: Result<u32, capnweb_core::Error>) {
        match outcome {
            Ok(_) => self.acknowledged.push(id),
            Err(error) => {
                assert!(error.is_disconnected(), "{id}: {error}");
                if error.may_have_run() {
                    self.may_have_run.push(id);
                } else {
                    self.not_run.push(id);
                }
            }
        }
    }

    fn check(&self, counting: &Counting) {
        for id in &self.acknowledged {
            assert_eq!(counting.executed(*id), 1, "{id} was acknowledged");
        }
        for id in &self.may_have_run {
            assert!(counting.executed(*id) <= 1, "{id} may have run");
        }
        for id in &self.not_run {
            assert_eq!(counting.executed(*id), 0, "{id} was not run");
        }
        let (executed, most) = counting.totals();
        assert!(most <= 1);
        let (acknowledged, unsure) = (self.acknowledged.len(), self.may_have_run.len());
        assert!(
            acknowledged <= executed && executed <= acknowledged + unsure,
            "{acknowledged} <= {executed} <= {acknowledged} + {unsure}"
        );
    }
}

/// A scripted exchange: plain and pipelined calls, a derived stub, a map, and a long message.
async fn script(client: &Client, tally: &mut Tally) {
    let api: Stub = client.main();
    let user: Stub = client.derive(&api, |api: Stub| -> Promise<Stub> {
        api.call("child", ("user",)).cast()
    });
    let chained = api.call("child", ("chain",)).call("child", ("end",));
    let calls = [
        (1, api.call("count", (1,)).fetch::<u32>()),
        (2, user.call("count", (2,)).fetch::<u32>()),
        (3, chained.call("count", (3,)).fetch::<u32>()),
        (
            4,
            api.call("echo", ("4",))
                .map(|_| api.call("count", (4,)))
                .fetch::<u32>(),
        ),
    ];
    let long = api.call("echo", ("long ".repeat(40),)).fetch::<String>();
    for (id, call) in calls {
        tally.add(id, soon(call).await);
    }
    if let Err(error) = soon(long).await {
        assert!(error.is_disconnected(), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cut_after_any_byte_of_an_exchange_repeats_nothing() {
    let whole = {
        let (network, counting) = counting::network();
        let client = client(&network, Retry::never());
        let mut tally = Tally::default();
        script(&client, &mut tally).await;
        assert_eq!(tally.acknowledged, [1, 2, 3, 4]);
        assert_eq!(counting.totals(), (4, 1));
        network.line().bytes()
    };
    assert!(whole > 500, "{whole}");
    for bytes in 0..=whole {
        let (network, counting) = counting::network();
        network.cut_next(Some(bytes));
        let client = client(&network, Retry::never());
        let mut tally = Tally::default();
        script(&client, &mut tally).await;
        // The client keeps working after that.
        let api: Stub = client.main();
        for id in 100.. {
            let outcome = soon(api.call("count", (id,)).fetch::<u32>()).await;
            let is_answered = outcome.is_ok();
            tally.add(id, outcome);
            if is_answered {
                break;
            }
        }
        tally.check(&counting);
    }
}

/// Makes calls while connections are cut at random, and counts the outcomes.
async fn chaos(cuts: usize, seed: u64, is_idempotent: bool) -> (Tally, Counting, usize) {
    let (network, counting) = counting::network();
    let mut random = Random(seed);
    for _ in 0..cuts {
        network.cut_next(Some(random.next(400)));
    }
    let retry = Retry::idempotent().attempts(u32::MAX).budget(f64::INFINITY);
    let client = client(&network, retry);
    let api: Stub = client.main();
    let user: Stub = client.derive(&api, |api: Stub| -> Promise<Stub> {
        api.call("child", ("user",)).cast()
    });
    let mut tally = Tally::default();
    let mut id = 0;
    while network.lines().len() <= cuts {
        let calls: Vec<_> = (0..4)
            .map(|_| {
                id += 1;
                let on = match random.next(3) {
                    0 => api.clone(),
                    1 => user.clone(),
                    _ if is_idempotent => {
                        Promise::into_stub(api.idempotent().call("child", ("c",)))
                    }
                    _ => Promise::into_stub(api.call("child", ("c",))),
                };
                let call = if is_idempotent {
                    on.idempotent().call("count", (id,))
                } else {
                    on.call("count", (id,))
                };
                (id, call.fetch::<u32>())
            })
            .collect();
        for (id, call) in calls {
            tally.add(id, soon(call).await);
        }
    }
    let connections = network.lines().len();
    (tally, counting, connections)
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_cuts_repeat_and_lose_nothing() {
    let (tally, counting, connections) = chaos(10_000, 42, false).await;
    tally.check(&counting);
    println!(
        "{connections} connections: {} acknowledged, {} executed, {} may have run, {} not run",
        tally.acknowledged.len(),
        counting.totals().0,
        tally.may_have_run.len(),
        tally.not_run.len(),
    );
    assert!(connections > 10_000);
    assert!(tally.acknowledged.len() > 1000 && tally.may_have_run.len() > 1000);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_cuts_of_idempotent_calls_are_not_seen() {
    let (tally, counting, connections) = chaos(1000, 7, true).await;
    assert!(connections > 1000);
    assert!(
        tally.may_have_run.is_empty() && tally.not_run.is_empty(),
        "{} acknowledged, {} may have run, {} not run",
        tally.acknowledged.len(),
        tally.may_have_run.len(),
        tally.not_run.len(),
    );
    for id in &tally.acknowledged {
        assert!(counting.executed(*id) >= 1);
    }
}
