//! A client that outlives its server: `cargo run --example lasting --features reconnect`.
//!
//! The server restarts every few seconds on the same port, which disconnects all clients. The
//! client keeps counting, and never counts twice: each step has an ID, and the server remembers
//! which steps it has counted. After 30 seconds, or the number of seconds in the argument, both
//! compare their counts.

use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use axum::Router;
use capnweb::{
    Backoff, Client, Error, Result,
    client::{Event, State},
};

/// The server's main object.
#[capnweb::interface]
trait Api {
    /// Returns the counter with this name.
    async fn counter(&self, name: String) -> Result<CounterStub>;
}

/// A counter that counts each step once.
#[capnweb::interface]
trait Counter {
    /// Counts the step `id`, unless it was counted before. Returns the count.
    ///
    /// The method is idempotent, so a client may call it again if a call was lost.
    #[rpc(idempotent)]
    async fn step(&self, id: u64) -> Result<u64>;
    /// Returns the count.
    async fn count(&self) -> Result<u64>;
}

/// State that survives a restart, like a database.
#[derive(Clone, Default)]
struct Store(Arc<Mutex<HashSet<u64>>>);

impl Store {
    fn steps(&self) -> std::sync::MutexGuard<'_, HashSet<u64>> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Api for Store {
    async fn counter(&self, _name: String) -> Result<CounterStub> {
        Ok(CounterStub::new(self.clone()))
    }
}

impl Counter for Store {
    async fn step(&self, id: u64) -> Result<u64> {
        let mut steps = self.steps();
        steps.insert(id);
        Ok(steps.len() as u64)
    }

    async fn count(&self) -> Result<u64> {
        Ok(self.steps().len() as u64)
    }
}

/// Serves for a while in a separate runtime. Dropping the runtime drops everything at once, like
/// the end of a process.
fn serve_for(time: Duration, address: SocketAddr, store: &Store) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let store = store.clone();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(address).await?;
        let api = capnweb::axum::rpc(move || ApiStub::new(store.clone()));
        let serving = capnweb::axum::serve(listener, Router::new().route("/api", api));
        tokio::time::timeout(time, serving).await.unwrap_or(Ok(()))
    })?;
    runtime.shutdown_background();
    Ok(())
}

/// Restarts the server again and again.
fn run_server(address: SocketAddr, store: &Store) {
    for restart in 0_u64.. {
        let time = Duration::from_millis(1500 + 700 * (restart % 4));
        if let Err(error) = serve_for(time, address, store) {
            eprintln!("the server cannot serve: {error}");
            std::process::exit(1);
        }
        println!("   the server is down");
        std::thread::sleep(Duration::from_millis(100 + 300 * (restart % 3)));
    }
}

/// Prints the client's events.
async fn report(client: Client) {
    let mut events = client.events();
    while let Some(event) = events.next().await {
        match event {
            Event::Connected { derived, .. } => println!("   connected, {derived} derived"),
            Event::Ended(ending) => println!("   {:?} after {ending}", ending.reaction()),
            _ => {}
        }
    }
}

/// Counts one step, and retries until it is counted.
async fn step(counter: &CounterStub, id: u64, failures: &AtomicU64) -> Result<u64> {
    loop {
        match counter.step(id).await {
            // The client has given up on the call, or the call has waited too long. The ID tells
            // the server whether it has counted the step.
            Err(error) if error.is_disconnected() => {
                failures.fetch_add(1, Ordering::Relaxed);
            }
            outcome => return outcome,
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seconds = std::env::args().nth(1).map(|argument| argument.parse());
    let time = Duration::from_secs(seconds.transpose()?.unwrap_or(30));
    // Find a free port, which the server binds at each start.
    let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let store = Store::default();
    let server = store.clone();
    std::thread::spawn(move || run_server(address, &server));

    let client = Client::to([format!("ws://{address}/api")])
        .backoff(
            Backoff::full_jitter(Duration::from_millis(50), Duration::from_secs(1))
                .reset_after(Duration::from_secs(1)),
        )
        .start();
    tokio::spawn(report(client.clone()));
    let api: ApiStub = client.main();
    // This is called again on each new session.
    let counter: CounterStub = client.derive(&api, |api| api.counter("steps"));

    let (start, failures) = (Instant::now(), AtomicU64::new(0));
    let mut steps = 0;
    let mut said = Instant::now();
    while start.elapsed() < time {
        let count = step(&counter, steps, &failures).await?;
        steps += 1;
        if said.elapsed() > Duration::from_millis(500) {
            said = Instant::now();
            let failures = failures.load(Ordering::Relaxed);
            let State::Up { rtt: Some(rtt), .. } = client.state().get() else {
                continue;
            };
            println!(
                "{steps} steps, the server says {count}; {failures} failures seen; {rtt:?} away"
            );
        }
    }
    let count = counter.count().await?;
    println!("{steps} steps were counted, and the server has {count}");
    client.close();
    client.closed().await;
    if count == steps {
        Ok(())
    } else {
        Err(Error::new("the counts differ").into())
    }
}
