//! Calls a second over WebSocket, server and client in two processes.
//!
//! ```text
//! cargo run --release -p capnweb-benches --bin load [-- IN_FLIGHT [SECONDS]]
//! ```
//!
//! The program starts itself a second time as the server, on loopback.

use std::{
    env,
    error::Error,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use capnweb::{Object, Stub};

const SERVE: &str = "--serve";

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    if args.first().is_some_and(|arg| arg == SERVE) {
        return serve();
    }
    let in_flight = args.first().map_or(Ok(256), |arg| arg.parse())?;
    let seconds = args.get(1).map_or(Ok(5), |arg| arg.parse())?;
    let mut server = Server::start()?;
    let rate = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(load(&server.url, in_flight, Duration::from_secs(seconds)))?;
    println!("{rate:.0} calls/s with {in_flight} in flight over {seconds} s");
    server.stop();
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn serve() -> Result<(), Box<dyn Error>> {
    let app = axum::Router::new().route(
        "/",
        capnweb::axum::rpc(|| {
            Object::new()
                .sync_method("add", |a: f64, b: f64| Ok(a + b))
                .into_stub()
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    capnweb::axum::serve(listener, app).await?;
    Ok(())
}

/// The server's process. Ended when dropped.
struct Server {
    process: Child,
    url: String,
}

impl Server {
    fn start() -> Result<Self, Box<dyn Error>> {
        let mut process = Command::new(env::current_exe()?)
            .arg(SERVE)
            .stdout(Stdio::piped())
            .spawn()?;
        let mut addr = String::new();
        let stdout = process.stdout.take().ok_or("the server has no output")?;
        BufReader::new(stdout).read_line(&mut addr)?;
        Ok(Self {
            process,
            url: format!("ws://{}/", addr.trim()),
        })
    }

    fn stop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Calls a second, with a constant number of calls in flight.
async fn load(url: &str, in_flight: usize, time: Duration) -> Result<f64, Box<dyn Error>> {
    let api: Stub = capnweb::ws::connect(url).await?;
    let calls = Arc::new(AtomicU64::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..in_flight)
        .map(|_| {
            let (api, calls, stop) = (api.clone(), calls.clone(), stop.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let sum: f64 = api.call("add", (2, 3)).fetch().await?;
                    assert_eq!(sum, 5.0);
                    calls.fetch_add(1, Ordering::Relaxed);
                }
                Ok::<_, capnweb::Error>(())
            })
        })
        .collect();
    // The first tenth warms up.
    tokio::time::sleep(time / 10).await;
    let (start, before) = (Instant::now(), calls.load(Ordering::Relaxed));
    tokio::time::sleep(time).await;
    let done = calls.load(Ordering::Relaxed) - before;
    let elapsed = start.elapsed();
    stop.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await??;
    }
    #[expect(clippy::cast_precision_loss, reason = "a rate, for people to read")]
    Ok(done as f64 / elapsed.as_secs_f64())
}
