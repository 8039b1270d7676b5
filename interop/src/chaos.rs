//! `capnweb-interop chaos`: calls through a client that reconnects, with a count of their outcomes.

use std::{
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use capnweb::{
    Backoff, Client, ConnectFailure, Error, Promise, PromiseFuture, Result, Retry, Stub, StubType,
    Value, WhileDown,
    client::{Breaker, Transports},
    webtransport::CertificateHash,
};
use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use serde::Serialize;

use crate::{arguments::Arguments, differential::Random, ready};

/// The maximum number of calls in progress.
const AT_ONCE: usize = 32;

/// The maximum number of calls that are made at a time.
const BURST: usize = 8;

/// The time that a call waits for a session.
const WAIT: Duration = Duration::from_secs(30);

/// The time that the last session has to close.
const CLOSING: Duration = Duration::from_secs(1);

/// The calls to make, and their settings.
struct Plan {
    urls: Vec<String>,
    calls: usize,
    seed: u64,
    is_idempotent: bool,
    /// The time limit for the whole run.
    bound: Duration,
    ping: (Duration, Duration),
    hash: Option<CertificateHash>,
}

/// The number of calls of each outcome.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcomes {
    acknowledged: usize,
    may_have_run: usize,
    not_run: usize,
    /// The calls on the derived stub that were answered.
    derived: usize,
    reconnects: usize,
}

/// The outcome of one call.
enum Outcome {
    Counted(Result<Value>),
    Derived(Result<Value>),
}

type Calls = FuturesUnordered<BoxFuture<'static, Outcome>>;

/// Makes the calls and prints their outcomes.
pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode, String> {
    let plan = Plan::of(arguments)?;
    match tokio::time::timeout(plan.bound, plan.run()).await {
        Ok(printed) => printed.map(|()| ExitCode::SUCCESS),
        Err(_) => {
            eprintln!("capnweb-interop: not finished after {:?}", plan.bound);
            Ok(ExitCode::FAILURE)
        }
    }
}

impl Plan {
    fn of(mut arguments: Arguments) -> Result<Self, String> {
        let to = arguments.take("to").ok_or("--to is missing")?;
        let milliseconds =
            |number: Option<u64>, usual| Duration::from_millis(number.unwrap_or(usual));
        let hash = arguments.take("hash");
        Ok(Self {
            urls: to.split(',').map(str::to_owned).collect(),
            calls: arguments
                .take_number("calls")?
                .ok_or("--calls is missing")?,
            seed: arguments.take_number("seed")?.unwrap_or(1),
            is_idempotent: arguments.has("idempotent"),
            bound: Duration::from_secs(arguments.take_number("seconds")?.unwrap_or(300)),
            ping: (
                milliseconds(arguments.take_number("ping-interval")?, 1000),
                milliseconds(arguments.take_number("ping-timeout")?, 2000),
            ),
            hash: hash
                .map(|hash| {
                    hash.parse::<CertificateHash>()
                        .map_err(|error| format!("--hash: {error}"))
                })
                .transpose()?,
        })
    }

    /// Returns a client that never gives up, and a counter of its sessions.
    fn client(&self) -> (Client, Arc<AtomicUsize>) {
        let sessions = Arc::new(AtomicUsize::new(0));
        let connected = sessions.clone();
        let hash = self.hash;
        let transports = Transports::new().webtransport(move |connect| match hash {
            Some(hash) => connect.certificate_hashes([hash]),
            None => connect,
        });
        let (retry, wait) = match self.is_idempotent {
            true => (
                Retry::idempotent().attempts(u32::MAX).budget(f64::INFINITY),
                self.bound,
            ),
            false => (Retry::never(), WAIT),
        };
        let client = Client::to(self.urls.iter().cloned())
            .connector(transports)
            .on_connect(move |_: Stub| {
                connected.fetch_add(1, Ordering::Relaxed);
                std::future::ready(Ok::<_, Error>(()))
            })
            .connect_timeout(Duration::from_secs(5))
            .ping(self.ping.0, self.ping.1)
            .backoff(
                Backoff::full_jitter(Duration::from_millis(5), Duration::from_millis(50))
                    .seed(self.seed),
            )
            .breaker(Breaker::after(3).open_for(Duration::from_millis(200)))
            // Reconnect if the server is down or cut off, since that is the case under test. Do not
            // if the URL is invalid.
            .reconnect_if(|end| {
                let failure = end.error().connect_failure();
                let is_mistake = failure == Some(&ConnectFailure::InvalidRequest);
                if is_mistake {
                    eprintln!("capnweb-interop: {}", end.error());
                }
                !is_mistake
            })
            .while_down(WhileDown::Queue {
                calls: 2 * AT_ONCE,
                bytes: 1 << 20,
                wait,
            })
            .retry(retry)
            .start();
        (client, sessions)
    }

    async fn run(&self) -> Result<(), String> {
        let (client, sessions) = self.client();
        let mut outcomes = self.call(&client).await;
        outcomes.reconnects = sessions.load(Ordering::Relaxed).saturating_sub(1);
        let told = ready::tell(&outcomes);
        client.close();
        // Do not wait long for a peer that does not answer.
        let _ = tokio::time::timeout(CLOSING, client.closed()).await;
        told
    }

    /// Makes all calls, in bursts.
    async fn call(&self, client: &Client) -> Outcomes {
        let mut random = Random::new(self.seed, "chaos");
        let api: Stub = client.main();
        let counter: Stub = client.derive(&api, |api: Stub| -> Promise<Stub> {
            api.call("makeCounter", (0,)).cast()
        });
        let (mut calls, mut outcomes) = (Calls::new(), Outcomes::default());
        let mut next = 1;
        while next <= self.calls {
            let burst = (1 + random.below(BURST)).min(self.calls + 1 - next);
            for id in next..next + burst {
                let call = self.count(&api, id, random.once_in(3));
                calls.push(Box::pin(async { Outcome::Counted(call.await) }));
            }
            next += burst;
            let call = self.ask(&counter, "increment", 1).fetch::<Value>();
            calls.push(Box::pin(async { Outcome::Derived(call.await) }));
            let under_way = random.below(AT_ONCE);
            while calls.len() > under_way
                && let Some(outcome) = calls.next().await
            {
                outcomes.add(&outcome);
            }
        }
        while let Some(outcome) = calls.next().await {
            outcomes.add(&outcome);
        }
        outcomes
    }

    /// Counts an ID, on the main object or on what `self()` returns.
    fn count(&self, api: &Stub, id: usize, is_pipelined: bool) -> PromiseFuture<Value> {
        if !is_pipelined {
            return self.ask(api, "count", id).fetch();
        }
        let this = match self.is_idempotent {
            true => api.idempotent().call("self", ()),
            false => api.call("self", ()),
        };
        self.ask(this.as_stub(), "count", id).fetch()
    }

    fn ask(&self, stub: &Stub, method: &str, argument: usize) -> Promise<Value> {
        match self.is_idempotent {
            true => stub.idempotent().call(method, (argument,)),
            false => stub.call(method, (argument,)),
        }
    }
}

impl Outcomes {
    fn add(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Counted(Ok(_)) => self.acknowledged += 1,
            Outcome::Counted(Err(error)) if error.may_have_run() => self.may_have_run += 1,
            Outcome::Counted(Err(_)) => self.not_run += 1,
            Outcome::Derived(Ok(_)) => self.derived += 1,
            Outcome::Derived(Err(_)) => {}
        }
    }
}
