//! The options of the command line.

use std::time::Duration;

use capnweb::{Encoding, KeepAlive, SessionOptions};

use crate::Result;

/// The connection between client and server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    WebSocket,
    /// TCP, with one message per line.
    Lines,
    /// A Unix socket, with one message per line.
    Unix,
    /// HTTP batches.
    Batch,
    WebTransport,
    /// The server is in the client's process, on the same thread, at the other end of a session.
    InProcess,
    /// There is neither a session nor a server. The object is called directly.
    Local,
}

#[derive(Clone)]
pub(crate) struct Options {
    pub(crate) over: Over,
    pub(crate) encoding: Encoding,
    /// The address of the server that a client connects to.
    pub(crate) at: String,
    /// The address of the server that a proxy connects to.
    pub(crate) upstream: Option<String>,
    pub(crate) time: Duration,
    pub(crate) warm_up: Duration,
    /// The number of calls in flight, or in a batch.
    pub(crate) in_flight: usize,
    /// The number of sessions that are kept open.
    pub(crate) sessions: usize,
    /// The number of bytes that are echoed.
    pub(crate) size: usize,
    /// The number of other objects of the server that are held meanwhile.
    pub(crate) exports: usize,
    /// The times for silent clients of a WebSocket server.
    pub(crate) keep_alive: KeepAlive,
}

impl Options {
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let mut over = None;
        let mut options = Self {
            over: Over::InProcess,
            encoding: Encoding::Json,
            at: String::new(),
            upstream: None,
            time: Duration::from_secs(2),
            warm_up: Duration::from_millis(300),
            in_flight: 1,
            sessions: 10_000,
            size: 1 << 20,
            exports: 0,
            keep_alive: KeepAlive::new(),
        };
        while let Some(name) = words.next() {
            let value = words.next().ok_or_else(|| format!("{name} has no value"))?;
            match name.as_str() {
                "--over" => over = Some(parse_over(&value)?),
                "--encoding" => options.encoding = parse_encoding(&value)?,
                "--at" => options.at = value,
                "--upstream" => options.upstream = Some(value),
                "--seconds" => options.time = Duration::try_from_secs_f64(value.parse()?)?,
                "--warm-up" => options.warm_up = Duration::try_from_secs_f64(value.parse()?)?,
                "--in-flight" => options.in_flight = value.parse()?,
                "--sessions" => options.sessions = value.parse()?,
                "--size" => options.size = value.parse()?,
                "--exports" => options.exports = value.parse()?,
                "--ping-interval" => {
                    let interval = Duration::try_from_secs_f64(value.parse()?)?;
                    options.keep_alive = options.keep_alive.with_interval(interval);
                }
                _ => return Err(format!("there is no option {name}").into()),
            }
        }
        options.over = over.ok_or("say what to go over, by --over")?;
        Ok(options)
    }
}

impl Options {
    /// The options of a server's sessions.
    pub(crate) fn session(&self) -> SessionOptions {
        SessionOptions::new().with_keep_alive(self.keep_alive)
    }
}

fn parse_over(name: &str) -> Result<Over> {
    Ok(match name {
        "websocket" => Over::WebSocket,
        "lines" => Over::Lines,
        "unix" => Over::Unix,
        "batch" => Over::Batch,
        "webtransport" => Over::WebTransport,
        "in-process" => Over::InProcess,
        "local" => Over::Local,
        _ => return Err(crate::load::Unsupported::new(format!("not over {name}")).into()),
    })
}

fn parse_encoding(name: &str) -> Result<Encoding> {
    Ok(match name {
        "json" => Encoding::Json,
        "message-pack" => Encoding::MessagePack,
        _ => return Err(crate::load::Unsupported::new(format!("not in {name}")).into()),
    })
}
