//! Measures a hop between two nodes over NATS, against a session over TCP.
//!
//! ```sh
//! nats-server --jetstream &
//! cargo run --release -p capnweb-cluster --features nats --example hop nats://127.0.0.1:4222
//! ```

use std::time::{Duration, Instant};

use capnweb_cluster::{Activation, Cluster, Nats};
use capnweb_core::{LinesTransport, Result, Session, SessionOptions, Stub, StubType as _};
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::net::{TcpListener, TcpStream};

#[capnweb_macros::interface(crate = "capnweb_core")]
trait Adder {
    async fn add(&self, left: u64, right: u64) -> Result<u64>;
}

struct Plus;

impl Adder for Plus {
    async fn add(&self, left: u64, right: u64) -> Result<u64> {
        Ok(left + right)
    }
}

type Outcome = std::result::Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// Calls one after the other, and 64 at a time.
async fn measure(name: &str, adder: &AdderStub) -> Outcome {
    for _ in 0..2_000 {
        adder.add(1, 2).await?;
    }
    let mut times = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(3) {
        let call = Instant::now();
        adder.add(1, 2).await?;
        times.push(call.elapsed());
    }
    times.sort_unstable();
    let [half, most] = [50, 99].map(|part| times[(times.len() - 1) * part / 100]);

    let mut calls = FuturesUnordered::new();
    let mut answered = 0;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(3) {
        while calls.len() < 64 {
            calls.push(adder.add(1, 2).into_future());
        }
        if let Some(sum) = calls.next().await {
            sum?;
            answered += 1;
        }
    }
    let rate = f64::from(answered) / begun.elapsed().as_secs_f64();
    println!("{name}: p50 {half:?}, p99 {most:?}; 64 in flight: {rate:.0} calls/s");
    Ok(())
}

/// Runs `work` on a thread of its own.
fn run<F: Future<Output = Outcome>>(work: impl FnOnce() -> F + Send + 'static) {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let ran = runtime
            .map_err(Into::into)
            .and_then(|runtime| runtime.block_on(work()));
        if let Err(error) = ran {
            eprintln!("the server has failed: {error}");
        }
    });
}

async fn over_tcp() -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let listener = listener.into_std()?;
    run(async move || {
        let (socket, _) = TcpListener::from_std(listener)?.accept().await?;
        socket.set_nodelay(true)?;
        let (session, mut connection) = Session::server(SessionOptions::new());
        connection.set_main(AdderStub::new(Plus).into_stub());
        let limits = session.options().limits().clone();
        connection.drive(LinesTransport::new(socket, &limits)).await;
        Ok(())
    });
    let socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    let (session, connection) = Session::client(SessionOptions::new());
    let limits = session.options().limits().clone();
    tokio::spawn(connection.drive(LinesTransport::new(socket, &limits)));
    let main: Stub = session.main();
    measure("TCP", &AdderStub::from_stub(main)).await
}

async fn over_nats(url: String) -> Outcome {
    let client = Cluster::join(Nats::connect(&url).await?, "hop").await?;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    run(async move || {
        let host = Cluster::join(Nats::connect(&url).await?, "hop").await?;
        host.host::<AdderStub, _>("adder", async |_: String, _: Activation| Ok(Plus));
        // It ends when the sender is dropped.
        let _ = stopped.await;
        host.leave().await;
        Ok(())
    });
    let adder: AdderStub = client.get("adder", "a");
    measure("NATS", &adder).await?;
    drop(stop);
    client.leave().await;
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome {
    over_tcp().await?;
    match std::env::args().nth(1) {
        Some(url) => over_nats(url).await,
        None => Ok(()),
    }
}
