//! `capnweb-interop storm`: runs `chaos` through relays that cut connections after any byte, and
//! compares its report with the servers' counts.

use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{ExitCode, Stdio},
    time::{Duration, Instant},
};

use capnweb::{Payload, Stub, ws};
use capnweb_test_support::CuttingRelay;
use serde_json::Value as Json;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use crate::arguments::Arguments;

/// The maximum number of bytes before a connection is cut. A handshake takes a few hundred.
const MOST: u64 = 6000;

/// The same for HTTP/3, whose handshake takes several kilobytes.
const MOST_OVER_UDP: u64 = 40_000;

/// The time that `chaos` may take.
const SECONDS: &str = "240";

/// The time that a program has to start.
const STARTING: Duration = Duration::from_secs(30);

/// The calls to make, and the servers and transports to use.
struct Storm {
    node: Option<String>,
    over: Vec<Over>,
    calls: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Over {
    Ws,
    Tcp,
    Unix,
    WebTransport,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Servers {
    Rust,
    Node,
}

/// Runs all combinations once, or repeatedly for some time.
pub(crate) async fn run(mut arguments: Arguments) -> Result<ExitCode, String> {
    let over = arguments.take("over").unwrap_or_else(|| "ws".to_owned());
    let storm = Storm {
        node: arguments.take("node"),
        over: over.split(',').map(Over::of).collect::<Result<_, _>>()?,
        calls: arguments.take_number("calls")?.unwrap_or(1000),
    };
    let mut seed: u64 = arguments.take_number("seed")?.unwrap_or(1);
    let minutes: u64 = arguments.take_number("minutes")?.unwrap_or(0);
    let end = Instant::now() + Duration::from_secs(60 * minutes);
    let mut total = Total::default();
    loop {
        for (servers, over) in storm.settings() {
            for is_idempotent in [false, true] {
                let run = storm.run(servers, over, is_idempotent, seed).await;
                let how = match is_idempotent {
                    true => "idempotent",
                    false => "once",
                };
                let place = format!("{servers:?} over {over:?}, {how}, seed {seed}");
                total.add(&place, run);
            }
        }
        if Instant::now() >= end {
            break;
        }
        seed += 1;
    }
    println!("{total}");
    println!("{} passed, {} failed", total.passed, total.failed);
    Ok(match total.failed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

impl Over {
    fn of(name: &str) -> Result<Self, String> {
        Ok(match name {
            "ws" => Self::Ws,
            "tcp" => Self::Tcp,
            "unix" => Self::Unix,
            "webtransport" => Self::WebTransport,
            other => return Err(format!("--over: there is no {other}")),
        })
    }
}

/// The results of one run, as reported by `chaos` and the server.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    acknowledged: u64,
    may_have_run: u64,
    not_run: u64,
    derived: u64,
    reconnects: u64,
    cuts: u64,
    /// The number of calls that the server counted.
    executed: u64,
    /// The number of distinct IDs among those calls.
    distinct: u64,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} acknowledged, {} may have run, {} not run; {} executed, {} IDs; {} derived; {} cuts, {} reconnects",
            self.acknowledged,
            self.may_have_run,
            self.not_run,
            self.executed,
            self.distinct,
            self.derived,
            self.cuts,
            self.reconnects,
        )
    }
}

impl Counts {
    /// Returns the client's guarantee that was broken, if any.
    fn check(&self, calls: u64, is_idempotent: bool) -> Result<(), &'static str> {
        if self.acknowledged + self.may_have_run + self.not_run != calls {
            return Err("not every call has one outcome");
        }
        if is_idempotent {
            return match (self.acknowledged, self.distinct) == (calls, calls) {
                true => Ok(()),
                false => Err("an error reached the caller of an idempotent call"),
            };
        }
        if self.executed != self.distinct {
            return Err("a call was executed twice");
        }
        if self.acknowledged > self.executed {
            return Err("a call was answered that was not executed");
        }
        if self.executed > self.acknowledged + self.may_have_run {
            return Err("a call was executed of which it was said that it was not");
        }
        Ok(())
    }
}

#[derive(Default)]
struct Total {
    counts: Counts,
    passed: usize,
    failed: usize,
}

impl Total {
    fn add(&mut self, place: &str, run: Result<Counts, String>) {
        match run {
            Ok(counts) => {
                println!("{place}: {counts}");
                self.passed += 1;
                let total = &mut self.counts;
                total.acknowledged += counts.acknowledged;
                total.may_have_run += counts.may_have_run;
                total.not_run += counts.not_run;
                total.derived += counts.derived;
                total.reconnects += counts.reconnects;
                total.cuts += counts.cuts;
                total.executed += counts.executed;
                total.distinct += counts.distinct;
            }
            Err(error) => {
                println!("FAILED {place}: {error}");
                self.failed += 1;
            }
        }
    }
}

impl fmt::Display for Total {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "in all: {}", self.counts)
    }
}

/// A running program, killed when this is dropped.
struct Server {
    _process: Child,
    addresses: Json,
    folder: PathBuf,
}

impl Storm {
    /// Returns every combination of a server and one of its transports.
    fn settings(&self) -> Vec<(Servers, Over)> {
        let mut settings: Vec<_> = self
            .over
            .iter()
            .map(|over| (Servers::Rust, *over))
            .collect();
        if self.node.is_some() && self.over.contains(&Over::Ws) {
            settings.push((Servers::Node, Over::Ws));
        }
        settings
    }

    async fn run(
        &self,
        servers: Servers,
        over: Over,
        is_idempotent: bool,
        seed: u64,
    ) -> Result<Counts, String> {
        let server = Server::start(servers, over, self.node.as_deref()).await?;
        let relay = server.relay(over, seed).await?;
        let mut counts = self
            .chaos(&server, over, &relay, is_idempotent, seed)
            .await?;
        counts.cuts = u64::try_from(relay.cuts()).unwrap_or(u64::MAX);
        for (_, times) in server.counts().await? {
            counts.executed += times;
            counts.distinct += 1;
        }
        let calls = u64::try_from(self.calls).unwrap_or(u64::MAX);
        counts
            .check(calls, is_idempotent)
            .map_err(|kind| format!("{kind}: {counts}"))?;
        Ok(counts)
    }

    /// Runs `chaos` through the relay.
    async fn chaos(
        &self,
        server: &Server,
        over: Over,
        relay: &CuttingRelay,
        is_idempotent: bool,
        seed: u64,
    ) -> Result<Counts, String> {
        let mut command = Command::new(this_program()?);
        command
            .args(["chaos", "--to", &server.url(over, relay.address())])
            .args(["--calls", &self.calls.to_string()])
            .args(["--seed", &seed.to_string()])
            .args(["--seconds", SECONDS]);
        if is_idempotent {
            command.arg("--idempotent");
        }
        if over == Over::WebTransport {
            let hash = server.address(&["webtransport", "hash"])?;
            command.args(["--hash", hash]);
            // A cut is noticed only by the silence.
            command.args(["--ping-interval", "100", "--ping-timeout", "400"]);
        }
        let output = command
            .kill_on_drop(true)
            .stderr(Stdio::inherit())
            .output()
            .await
            .map_err(|error| format!("chaos cannot be started: {error}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            return Err(format!("chaos ended with {}: {text}", output.status));
        }
        let told: Json = serde_json::from_str(&text)
            .map_err(|error| format!("chaos printed {text:?}: {error}"))?;
        let number = |name: &str| {
            told[name]
                .as_u64()
                .ok_or_else(|| format!("{text}: no {name}"))
        };
        Ok(Counts {
            acknowledged: number("acknowledged")?,
            may_have_run: number("mayHaveRun")?,
            not_run: number("notRun")?,
            derived: number("derived")?,
            reconnects: number("reconnects")?,
            ..Counts::default()
        })
    }
}

fn this_program() -> Result<PathBuf, String> {
    std::env::current_exe().map_err(|error| error.to_string())
}

impl Server {
    async fn start(servers: Servers, over: Over, node: Option<&str>) -> Result<Self, String> {
        let folder = std::env::temp_dir().join(format!("capnweb-storm-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder)
            .map_err(|error| format!("{}: {error}", folder.display()))?;
        let mut command = match servers {
            Servers::Rust => {
                let mut command = Command::new(this_program()?);
                command.arg("serve");
                command
            }
            Servers::Node => {
                let mut command = Command::new("node");
                command.arg(node.ok_or("--node is missing")?);
                command
            }
        };
        match over {
            Over::Ws => {}
            Over::Tcp => {
                command.args(["--tcp", "127.0.0.1:0"]);
            }
            Over::Unix => {
                command.arg("--unix").arg(folder.join("server"));
            }
            Over::WebTransport => {
                command.args(["--webtransport", "127.0.0.1:0"]);
            }
        }
        let mut process = command
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("the server cannot be started: {error}"))?;
        let output = process.stdout.take().ok_or("the server has no output")?;
        let mut lines = BufReader::new(output).lines();
        let line = tokio::time::timeout(STARTING, lines.next_line()).await;
        let line = match line {
            Ok(Ok(Some(line))) => line,
            _ => return Err("the server has not started".to_owned()),
        };
        let addresses = serde_json::from_str(&line).map_err(|error| format!("{line}: {error}"))?;
        Ok(Self {
            _process: process,
            addresses,
            folder,
        })
    }

    fn address(&self, path: &[&str]) -> Result<&str, String> {
        let found = path
            .iter()
            .try_fold(&self.addresses, |at, name| at.get(*name));
        found
            .and_then(Json::as_str)
            .ok_or_else(|| format!("the server has not said its {}", path.join(".")))
    }

    fn socket(&self, path: &[&str]) -> Result<SocketAddr, String> {
        let address = self.address(path)?;
        address
            .parse()
            .map_err(|error| format!("{address}: {error}"))
    }

    fn relay_path(&self) -> PathBuf {
        self.folder.join("relay")
    }

    async fn relay(&self, over: Over, seed: u64) -> Result<CuttingRelay, String> {
        Ok(match over {
            Over::Ws => CuttingRelay::tcp(self.socket(&["addr"])?, seed, MOST).await,
            Over::Tcp => CuttingRelay::tcp(self.socket(&["tcp"])?, seed, MOST).await,
            Over::Unix => {
                let server = Path::new(self.address(&["unix"])?);
                CuttingRelay::unix(&self.relay_path(), server, seed, MOST).await
            }
            Over::WebTransport => {
                let server = self.socket(&["webtransport", "addr"])?;
                CuttingRelay::udp(server, seed, MOST_OVER_UDP).await
            }
        })
    }

    /// Returns the URL of the relay.
    fn url(&self, over: Over, relay: SocketAddr) -> String {
        match over {
            Over::Ws => format!("ws://{relay}/"),
            Over::Tcp => format!("tcp://{relay}"),
            Over::Unix => format!("unix:{}", self.relay_path().display()),
            Over::WebTransport => format!("webtransport://{relay}/"),
        }
    }

    /// Asks the server directly, without a relay, for the count of each ID.
    async fn counts(&self) -> Result<Vec<(Payload, u64)>, String> {
        let url = format!("ws://{}/", self.address(&["addr"])?);
        let api: Stub = ws::connect(url).await.map_err(|error| error.to_string())?;
        let counts = api.call("counts", ()).fetch().await;
        counts.map_err(|error| error.to_string())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
