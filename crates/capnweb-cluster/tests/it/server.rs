//! NATS servers of this machine.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use capnweb_cluster::Nats;

/// The folder for programs that are not installed.
const TOOLS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/tools/");

/// A server, which ends with the value.
pub(crate) struct Server {
    process: Child,
    folder: PathBuf,
    /// The port, once it is known.
    port: Option<u16>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn spawn(folder: &PathBuf, port: Option<u16>) -> Option<Child> {
    let port = port.map_or("-1".to_owned(), |port| port.to_string());
    let unpacked = ["nats-venv/bin/nats-server", "nats/usr/sbin/nats-server"];
    let unpacked = unpacked.map(|program| PathBuf::from(TOOLS).join(program));
    let installed = [PathBuf::from("nats-server")];
    installed.into_iter().chain(unpacked).find_map(|program| {
        Command::new(program)
            .args(["--addr", "127.0.0.1", "--port", &port, "--jetstream"])
            .arg("--store_dir")
            .arg(folder)
            .arg("--ports_file_dir")
            .arg(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()
    })
}

impl Server {
    /// Starts a server on a free port. Returns `None` if there is no `nats-server`.
    pub(crate) async fn start() -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("capnweb-nats-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let Some(process) = spawn(&folder, None) else {
            println!("skipped: there is no `nats-server`; `cargo xtask setup` installs it");
            return None;
        };
        let ports = folder.join(format!("nats-server_{}.ports", process.id()));
        let mut server = Self {
            process,
            folder,
            port: None,
        };
        let start = Instant::now();
        loop {
            let ports: Option<serde_json::Value> = std::fs::read(&ports)
                .ok()
                .and_then(|ports| serde_json::from_slice(&ports).ok());
            let url = ports.as_ref().and_then(|ports| ports["nats"][0].as_str());
            if let Some((_, port)) = url.and_then(|url| url.rsplit_once(':')) {
                server.port = Some(port.parse().unwrap());
                return Some(server);
            }
            assert!(start.elapsed() < Duration::from_secs(30), "no server");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port.unwrap())
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://{}", self.address())
    }

    /// Connects to the server.
    pub(crate) async fn nats(&self) -> Nats {
        let start = Instant::now();
        loop {
            match Nats::connect(&self.url()).await {
                Ok(nats) => return nats,
                // JetStream may still be starting.
                Err(error) => assert!(start.elapsed() < Duration::from_secs(30), "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Kills the server.
    pub(crate) fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Starts the server again that was killed, on its port and with its store.
    pub(crate) fn restart(&mut self) {
        self.process = spawn(&self.folder, self.port).unwrap();
    }
}
