//! A proxy in front of a server of this machine, with faults.
#![cfg_attr(
    not(all(feature = "nats", feature = "postgres")),
    allow(dead_code, reason = "the tests of each server use a part")
)]

use std::{
    future::Future,
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{
        AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite,
        AsyncWriteExt as _, BufReader,
    },
    net::{TcpListener, TcpStream, UnixStream},
    sync::{mpsc, watch},
    time::{Instant, sleep, sleep_until},
};

/// The server behind a proxy.
#[derive(Clone)]
pub(crate) enum Upstream {
    /// A NATS server. The proxy knows its messages.
    Nats(String),
    /// A server of any protocol.
    Unix(PathBuf),
}

/// Faults of the way, in both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Faults {
    /// Each message takes this long, and is overtaken by none.
    pub(crate) delay: Duration,
    /// The number of bytes in a second, if it is bounded.
    pub(crate) rate: Option<u32>,
    /// Of so many messages of a connection one is lost, if any is. Only messages of NATS are.
    pub(crate) lose_one_of: Option<u64>,
    /// Nothing passes, and nobody is told.
    pub(crate) is_silent: bool,
    /// Connections are reset as soon as they are made.
    pub(crate) refuses: bool,
}

/// The messages that have passed, in both directions.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Passed {
    /// The messages of clients, such as `PUB` of NATS.
    pub(crate) published: u64,
    pub(crate) published_bytes: u64,
    /// The messages to clients, such as `MSG` of NATS.
    pub(crate) delivered: u64,
    pub(crate) delivered_bytes: u64,
    /// The number of messages that were lost on purpose.
    pub(crate) lost: u64,
}

#[derive(Default)]
struct Counts {
    published: AtomicU64,
    published_bytes: AtomicU64,
    delivered: AtomicU64,
    delivered_bytes: AtomicU64,
    lost: AtomicU64,
}

struct Shared {
    upstream: Upstream,
    faults: watch::Sender<Faults>,
    /// Counts the cuts.
    cuts: watch::Sender<u64>,
    counts: Counts,
}

/// A proxy, which ends with the value.
pub(crate) struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
        self.cut();
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Direction {
    ToServer,
    ToClient,
}

impl Proxy {
    pub(crate) async fn start(upstream: Upstream) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            upstream,
            faults: watch::Sender::new(Faults::default()),
            cuts: watch::Sender::new(0),
            counts: Counts::default(),
        });
        let serving = shared.clone();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if serving.faults.borrow().refuses {
                    continue;
                }
                let shared = serving.clone();
                // An error ends the connection, as it would without a proxy.
                tokio::spawn(async move { shared.connect(client).await });
            }
        });
        Self { port, shared, task }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    pub(crate) fn set(&self, faults: Faults) {
        self.shared.faults.send_replace(faults);
    }

    /// Resets all connections. What is under way is lost.
    pub(crate) fn cut(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }

    pub(crate) fn passed(&self) -> Passed {
        let counts = &self.shared.counts;
        Passed {
            published: counts.published.load(Ordering::Relaxed),
            published_bytes: counts.published_bytes.load(Ordering::Relaxed),
            delivered: counts.delivered.load(Ordering::Relaxed),
            delivered_bytes: counts.delivered_bytes.load(Ordering::Relaxed),
            lost: counts.lost.load(Ordering::Relaxed),
        }
    }
}

impl Shared {
    async fn connect(self: Arc<Self>, client: TcpStream) -> io::Result<()> {
        // What is under way is lost with the connection.
        client.set_zero_linger()?;
        client.set_nodelay(true)?;
        let (from_client, to_client) = client.into_split();
        let mut cuts = self.cuts.subscribe();
        cuts.mark_unchanged();
        let passing = async {
            match &self.upstream {
                Upstream::Nats(address) => {
                    let server = TcpStream::connect(address).await?;
                    server.set_nodelay(true)?;
                    let (from_server, to_server) = server.into_split();
                    self.pass_both((from_client, to_client), (from_server, to_server))
                        .await
                }
                Upstream::Unix(path) => {
                    let (from_server, to_server) = UnixStream::connect(path).await?.into_split();
                    self.pass_both((from_client, to_client), (from_server, to_server))
                        .await
                }
            }
        };
        tokio::select! {
            passed = passing => passed,
            _ = cuts.changed() => Ok(()),
        }
    }

    async fn pass_both(
        &self,
        client: (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
        server: (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
    ) -> io::Result<()> {
        tokio::select! {
            passed = self.pass(client.0, server.1, Direction::ToServer) => passed,
            passed = self.pass(server.0, client.1, Direction::ToClient) => passed,
        }
    }

    async fn pass(
        &self,
        from: impl AsyncRead + Unpin,
        to: impl AsyncWrite + Unpin,
        direction: Direction,
    ) -> io::Result<()> {
        /// The number of messages under way. A slow proxy holds its clients back.
        const UNDER_WAY: usize = 100_000;
        let (sender, receiver) = mpsc::channel(UNDER_WAY);
        tokio::select! {
            read = self.read(from, sender, direction) => read,
            written = self.write(to, receiver) => written,
        }
    }

    async fn read(
        &self,
        from: impl AsyncRead + Unpin,
        sender: mpsc::Sender<(Instant, Vec<u8>)>,
        direction: Direction,
    ) -> io::Result<()> {
        let mut from = BufReader::with_capacity(1 << 16, from);
        let mut messages = 0;
        loop {
            let (bytes, is_message) = match self.upstream {
                Upstream::Nats(_) => read_nats(&mut from).await?,
                Upstream::Unix(_) => {
                    let bytes = from.fill_buf().await?.to_vec();
                    from.consume(bytes.len());
                    (bytes, true)
                }
            };
            if bytes.is_empty() {
                return Ok(());
            }
            let faults = *self.faults.borrow();
            if is_message {
                messages += 1;
                self.count(&bytes, direction);
                if (faults.lose_one_of).is_some_and(|of| messages % of == 0) {
                    self.counts.lost.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
            }
            if sender
                .send((Instant::now() + faults.delay, bytes))
                .await
                .is_err()
            {
                return Ok(());
            }
        }
    }

    fn count(&self, bytes: &[u8], direction: Direction) {
        let (messages, size) = match direction {
            Direction::ToServer => (&self.counts.published, &self.counts.published_bytes),
            Direction::ToClient => (&self.counts.delivered, &self.counts.delivered_bytes),
        };
        messages.fetch_add(1, Ordering::Relaxed);
        size.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    }

    async fn write(
        &self,
        mut to: impl AsyncWrite + Unpin,
        mut receiver: mpsc::Receiver<(Instant, Vec<u8>)>,
    ) -> io::Result<()> {
        let mut faults = self.faults.subscribe();
        while let Some((due, bytes)) = receiver.recv().await {
            sleep_until(due).await;
            // The sender is in `self`.
            let rate = match faults.wait_for(|faults| !faults.is_silent).await {
                Ok(faults) => faults.rate,
                Err(_) => return Ok(()),
            };
            if let Some(rate) = rate {
                sleep(Duration::from_secs_f64(
                    bytes.len() as f64 / f64::from(rate),
                ))
                .await;
            }
            to.write_all(&bytes).await?;
            if receiver.is_empty() {
                to.flush().await?;
            }
        }
        Ok(())
    }
}

/// Reads a line of NATS with its payload. Returns whether it is a message.
async fn read_nats(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<(Vec<u8>, bool)> {
    let mut bytes = Vec::new();
    from.read_until(b'\n', &mut bytes).await?;
    let line = String::from_utf8_lossy(&bytes);
    let mut words = line.split_whitespace();
    let verb = words.next().unwrap_or_default().to_ascii_uppercase();
    if !["PUB", "HPUB", "MSG", "HMSG"].contains(&verb.as_str()) {
        return Ok((bytes, false));
    }
    let length: Option<u64> = words.next_back().and_then(|word| word.parse().ok());
    let length = length.ok_or_else(|| io::Error::other("no message of NATS"))?;
    // A line break follows the payload.
    from.take(length + 2).read_to_end(&mut bytes).await?;
    Ok((bytes, true))
}

/// Runs `work` while a proxy goes through `phases`, each for its time.
pub(crate) async fn under_faults<T>(
    proxies: &[&Proxy],
    phases: &[(Duration, Faults)],
    work: impl Future<Output = T>,
) -> T {
    let changing = async {
        for (time, faults) in phases.iter().cycle() {
            for proxy in proxies {
                proxy.set(*faults);
                if faults.refuses {
                    proxy.cut();
                }
            }
            sleep(*time).await;
        }
        std::future::pending().await
    };
    let done = tokio::select! {
        done = work => done,
        () = changing => unreachable!("it goes on"),
    };
    for proxy in proxies {
        proxy.set(Faults::default());
    }
    done
}
