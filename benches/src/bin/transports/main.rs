//! Compares the cost and benefit of WebTransport with those of WebSocket over TLS, with server and
//! client in two processes.
//!
//! ```text
//! cargo run --release -p capnweb-benches --bin transports -- calls
//! cargo run --release -p capnweb-benches --bin transports -- beside
//! ```
//!
//! `calls` measures the round trip of one call at a time, and calls per second with 256 in flight.
//! `beside` measures small calls alongside a large stream, on the same session and on another one.
//! It is meant for a connection that loses packets, such as `benches/lossy.py` creates.
//!
//! `--seconds N` is the duration of each measurement. `--address IP` is the server's address, and
//! `--server-namespace NAME` its network namespace. `--congestion NAME` is the congestion control
//! of the server's TCP (Linux only); the default is Cubic, as in QUIC.

mod beside;
mod calls;
mod link;
mod server;

use std::{collections::HashMap, error::Error, time::Duration};

use crate::link::Link;

type Result<T = (), E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

fn main() -> Result {
    let mut words = std::env::args().skip(1);
    let command = words.next().unwrap_or_default();
    let mut options = HashMap::new();
    while let Some(option) = words.next() {
        let value = words.next().ok_or("an option has no value")?;
        options.insert(option, value);
    }
    let seconds = options
        .get("--seconds")
        .map_or(Ok(10), |value| value.parse())?;
    let time = Duration::from_secs(seconds);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let address = options.get("--address").map_or("127.0.0.1", String::as_str);
    let congestion = options.get("--congestion").map_or("cubic", String::as_str);
    if command == server::SERVE {
        return runtime.block_on(server::serve(address, congestion));
    }
    let namespace = options.get("--server-namespace");
    let server = server::Process::start(address, namespace, congestion)?;
    for link in [Link::WebSocket, Link::WebTransport] {
        match command.as_str() {
            "calls" => runtime.block_on(calls::measure(link, &server.place, time))?,
            "beside" => runtime.block_on(beside::measure(link, &server.place, time))?,
            _ => return Err("say `calls` or `beside`".into()),
        }
    }
    Ok(())
}
