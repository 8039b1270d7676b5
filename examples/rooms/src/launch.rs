//! Starts everything on this machine: NATS, the nodes, and HAProxy before them.

use std::{
    error::Error,
    fs, io,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use capnweb::{axum::shutdown_signal, cluster::Nats};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStdin, Command},
    task::JoinSet,
    time::sleep,
};

/// The pause before a node that has ended comes back.
const PAUSE: Duration = Duration::from_secs(2);

type Outcome<T> = Result<T, Box<dyn Error>>;

pub(crate) async fn run(address: &str) -> Outcome<()> {
    let stop = shutdown_signal();
    let folder = Folder::new()?;
    let nats = start_nats(&folder.0).await?;
    let names = match nats {
        Some(_) => "a b c",
        None => {
            println!("`nats-server` is not there: one node, with its directory in memory");
            "a"
        }
    };
    let listener = TcpListener::bind(address)?;
    let address = listener.local_addr()?;
    let mut listener = Some(listener);
    let mut nodes = Vec::new();
    for name in names.split(' ') {
        let mut program = Command::new(std::env::current_exe()?);
        program.arg("node").envs([("NODE", name), ("NODES", names)]);
        program.env("DATABASE", folder.0.join("rooms.db"));
        let mut listen = "127.0.0.1:0".to_owned();
        match &nats {
            Some((_, url)) => _ = program.env("NATS", url),
            // Pages are connected to the only node. Its port is free again.
            None => {
                listener = None;
                listen = address.to_string();
            }
        }
        let (running, address) = start_node(&mut program, &listen).await?;
        nodes.push(Node {
            name: name.to_owned(),
            program,
            running,
            address,
        });
    }
    let haproxy = listener.and_then(|listener| start_haproxy(listener, &nodes).ok());
    if haproxy.is_some() {
        println!("http://{address}/");
    } else {
        if nats.is_some() {
            println!("`haproxy` is not there: each node has an address");
        }
        for node in &nodes {
            println!("http://{}/", node.address);
        }
    }
    let mut kept = JoinSet::new();
    for node in nodes {
        kept.spawn(node.keep());
    }
    stop.await;
    // All processes end before their folder is removed.
    kept.shutdown().await;
    if let Some((mut server, _)) = nats {
        server.kill().await?;
    }
    Ok(())
}

/// A folder for what the processes share, which is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> io::Result<Self> {
        let folder = std::env::temp_dir().join(format!("rooms-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Starts a NATS server with JetStream on a free port. Returns it and its URL, or `None` if it is
/// not installed.
async fn start_nats(folder: &Path) -> Outcome<Option<(Child, String)>> {
    let started = Command::new("nats-server")
        .args(["--addr", "127.0.0.1", "--port", "-1", "--jetstream"])
        .arg("--store_dir")
        .arg(folder)
        .arg("--ports_file_dir")
        .arg(folder)
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    let Ok(server) = started else {
        return Ok(None);
    };
    let id = server.id().unwrap_or_default();
    let ports = folder.join(format!("nats-server_{id}.ports"));
    for _ in 0..200 {
        let ports = fs::read(&ports).unwrap_or_default();
        let ports: serde_json::Value = serde_json::from_slice(&ports).unwrap_or_default();
        if let Some(url) = ports["nats"][0].as_str()
            && Nats::connect(url).await.is_ok()
        {
            return Ok(Some((server, url.to_owned())));
        }
        sleep(Duration::from_millis(50)).await;
    }
    Err("`nats-server` does not listen".into())
}

/// Starts HAProxy, with `listener` as its socket for clients.
#[cfg(unix)]
fn start_haproxy(listener: TcpListener, nodes: &[Node]) -> io::Result<Child> {
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/haproxy.cfg");
    let mut haproxy = Command::new("haproxy");
    haproxy.args(["-db", "-f", config]);
    for node in nodes {
        let variable = format!("NODE_{}", node.name.to_uppercase());
        haproxy.env(variable, node.address.to_string());
    }
    haproxy
        .stdin(std::os::fd::OwnedFd::from(listener))
        .kill_on_drop(true)
        .spawn()
}

#[cfg(not(unix))]
fn start_haproxy(_: TcpListener, _: &[Node]) -> io::Result<Child> {
    Err(io::ErrorKind::Unsupported.into())
}

struct Node {
    name: String,
    program: Command,
    running: Running,
    address: SocketAddr,
}

/// A process, and its standard input: when that ends, the process stops, so that none is left
/// behind.
type Running = (Child, Option<ChildStdin>);

/// Starts a node, and returns it with its address.
async fn start_node(program: &mut Command, listen: &str) -> Outcome<(Running, SocketAddr)> {
    let mut process = program
        .env("LISTEN", listen)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let output = process.stdout.take().ok_or("it has no output")?;
    let line = BufReader::new(output).lines().next_line().await?;
    let address = line.ok_or("a node has ended before it was ready")?;
    let input = process.stdin.take();
    Ok(((process, input), address.parse()?))
}

impl Node {
    /// Starts the node again whenever it has ended.
    async fn keep(mut self) {
        let name = &self.name;
        loop {
            match self.running.0.wait().await {
                Ok(status) => println!("node {name} has ended: {status}"),
                Err(error) => println!("node {name} is lost: {error}"),
            }
            sleep(PAUSE).await;
            // HAProxy expects it where it was.
            let address = self.address.to_string();
            match start_node(&mut self.program, &address).await {
                Ok((running, _)) => {
                    println!("node {name} is back");
                    self.running = running;
                }
                Err(error) => println!("node {name} does not start: {error}"),
            }
        }
    }
}
