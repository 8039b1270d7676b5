//! Measures a hop between two nodes over NATS, against a session over TCP, and what the server does
//! in a second: messages as short as a heartbeat, and writes to the directory.
//!
//! ```sh
//! nats-server --jetstream &
//! cargo run --release -p capnweb-cluster --features nats --example hop nats://127.0.0.1:4222
//! ```

use std::time::{Duration, Instant};

#[cfg(feature = "postgres")]
use capnweb_cluster::Postgres;
use capnweb_cluster::{
    Activation, Bus as _, Cluster, Directory, DirectoryError, Message, Nats, Revision,
};
use capnweb_core::{LinesTransport, Session, SessionOptions, Stub, StubType as _};
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::net::{TcpListener, TcpStream};

#[capnweb_macros::interface(crate = "capnweb_core")]
trait Adder {
    async fn add(&self, left: u64, right: u64) -> capnweb_core::Result<u64>;
}

struct Plus;

impl Adder for Plus {
    async fn add(&self, left: u64, right: u64) -> capnweb_core::Result<u64> {
        Ok(left + right)
    }
}

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

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

/// Publishes messages of the length of a heartbeat to a subscriber on a thread of its own.
async fn messages(url: &str) -> Outcome {
    const WINDOW: u64 = 1000;
    let bus = Nats::connect(url).await?;
    let mut answers = bus.subscribe("hop.answers", None).await?;
    let (ready, is_ready) = tokio::sync::oneshot::channel();
    let own = url.to_owned();
    run(async move || {
        let bus = Nats::connect(&own).await?;
        let mut messages = bus.subscribe("hop.messages", None).await?;
        // It fails if nobody waits any more.
        let _ = ready.send(());
        let mut count = 0;
        while messages.next().await.is_some() {
            count += 1;
            if count % WINDOW == 0 {
                bus.publish("hop.answers", Message::new("")).await?;
            }
        }
        Ok(())
    });
    is_ready.await?;
    let (mut sent, mut answered) = (0, 0);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(3) {
        for _ in 0..WINDOW {
            bus.publish("hop.messages", Message::new(vec![0; 17]))
                .await?;
        }
        sent += WINDOW;
        while sent - answered > 4 * WINDOW && answers.next().await.is_some() {
            answered += WINDOW;
        }
    }
    let rate = answered as f64 / begun.elapsed().as_secs_f64();
    println!("short messages: {rate:.0} a second");
    Ok(())
}

/// Renews 64 leases, all at once.
async fn writes(name: &str, directory: impl Directory) -> Outcome {
    let mut revisions = FuturesUnordered::new();
    for key in 0..64 {
        let key = format!("hop.writes.{key}");
        if let Some(old) = directory.get(&key).await? {
            directory.delete(&key, old.revision).await?;
        }
        let created = directory.create(&key, "lease".into()).await?;
        revisions.push(renewed(&directory, key, created));
    }
    let mut written = 0;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(3)
        && let Some(renewal) = revisions.next().await
    {
        let (key, revision) = renewal?;
        written += 1;
        revisions.push(renewed(&directory, key, revision));
    }
    let rate = f64::from(written) / begun.elapsed().as_secs_f64();
    println!("writes to the directory in {name}, 64 at once: {rate:.0} a second");
    Ok(())
}

async fn renewed(
    directory: &impl Directory,
    key: String,
    revision: Revision,
) -> Result<(String, Revision), DirectoryError> {
    let revision = directory.update(&key, "lease".into(), revision).await?;
    Ok((key, revision))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome {
    over_tcp().await?;
    match std::env::args().nth(1) {
        Some(url) => {
            over_nats(url.clone()).await?;
            messages(&url).await?;
            writes("NATS", Nats::connect(&url).await?).await?;
        }
        None => return Ok(()),
    }
    #[cfg(feature = "postgres")]
    if let Some(config) = std::env::args().nth(2) {
        writes("PostgreSQL", Postgres::connect(&config).await?).await?;
    }
    Ok(())
}
