//! Third-party programs, either between client and server or as the server. If a program is not
//! installed, its test says so and passes; `cargo xtask setup` installs them.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use capnweb::{Backoff, Client, Stub};
use tokio::net::TcpStream;

use super::{again, free_address, quick};
use crate::support::{Server, api, soon};

/// A process that is killed at the end of its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A folder that is removed at the end of its test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("capnweb-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Starts a program. Returns `None` if it is not installed.
fn start(command: &mut Command) -> Option<Running> {
    let program = command.get_program().to_owned();
    match command.spawn() {
        Ok(child) => Some(Running(child)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            println!("skipped: {} is not installed", program.display());
            None
        }
        Err(error) => panic!("{}: {error}", program.display()),
    }
}

/// Waits until the address accepts connections.
async fn listens(address: SocketAddr) {
    let connecting = async {
        while TcpStream::connect(address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon(connecting).await;
}

/// Connects through a proxy that cuts connections after a second of silence, with rare pings and
/// with frequent ones.
async fn through_a_proxy_that_cuts(address: SocketAddr) {
    listens(address).await;
    let url = format!("ws://{address}/");
    let client = Client::to([url.clone()]).backoff(quick()).start();
    let api: Stub = client.main();
    for _ in 0..2 {
        again(async || api.call("square", (3,)).fetch::<f64>().await).await;
        soon(client.state().wait_for(|state| !state.is_up())).await;
        again(async || api.call("square", (4,)).fetch::<f64>().await).await;
    }
    assert!(client.attempts() >= 3);

    let pings = Duration::from_millis(250);
    let client = Client::to([url])
        .ping(pings, Duration::from_secs(5))
        .start();
    let api: Stub = client.main();
    again(async || api.call("square", (3,)).fetch::<f64>().await).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    again(async || api.call("square", (3,)).fetch::<f64>().await).await;
    assert_eq!(client.attempts(), 1);
}

#[tokio::test]
async fn nginx_cuts_idle_connections() {
    let server = Server::of(capnweb::axum::rpc(api)).await;
    let (address, folder) = (free_address(), Folder::new("nginx"));
    let config = format!(
        "daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
        events {{}}
        http {{
            access_log off;
            client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
            fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
            server {{
                listen {address};
                location / {{
                    proxy_pass http://{server};
                    proxy_http_version 1.1;
                    proxy_set_header Upgrade $http_upgrade;
                    proxy_set_header Connection upgrade;
                    proxy_read_timeout 1s;
                }}
            }}
        }}",
        folder = folder.0.display(),
        server = server.address(),
    );
    let config = folder.write("nginx.conf", &config);
    let mut command = Command::new("nginx");
    command.arg("-p").arg(&folder.0).arg("-c").arg(config);
    command.stderr(Stdio::null());
    if let Some(_nginx) = start(&mut command) {
        through_a_proxy_that_cuts(address).await;
    }
}

#[tokio::test]
async fn haproxy_cuts_idle_connections() {
    let server = Server::of(capnweb::axum::rpc(api)).await;
    let (address, folder) = (free_address(), Folder::new("haproxy"));
    let config = format!(
        "defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    timeout tunnel 1s
frontend in
    bind {address}
    default_backend out
backend out
    server one {}
",
        server.address(),
    );
    let config = folder.write("haproxy.cfg", &config);
    let mut command = Command::new("haproxy");
    command.arg("-db").arg("-q").arg("-f").arg(config);
    command.stderr(Stdio::null());
    if let Some(_haproxy) = start(&mut command) {
        through_a_proxy_that_cuts(address).await;
    }
}

/// Starts a server of the TypeScript library at `address`.
fn npm(address: SocketAddr) -> Option<Running> {
    let interop = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../interop/node");
    if !interop.join("node_modules/capnweb").exists() {
        println!("skipped: the packages of interop/node are not installed");
        return None;
    }
    let mut command = Command::new("node");
    command.arg(interop.join("server.mjs"));
    command.args(["--listen", &address.to_string()]);
    command.stdout(Stdio::piped());
    let mut running = start(&mut command)?;
    let mut line = String::new();
    let stdout = running.0.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    assert!(line.contains(&address.to_string()), "{line}");
    Some(running)
}

#[tokio::test]
async fn npm_servers_restart() {
    let address = free_address();
    let Some(mut server) = npm(address) else {
        return;
    };
    let client = Client::to([format!("ws://{address}/")])
        .backoff(Backoff::full_jitter(
            Duration::from_millis(20),
            Duration::from_millis(200),
        ))
        .start();
    let api: Stub = client.main();
    let counter: Stub = client.derive(&api, |api: Stub| -> capnweb::Promise<Stub> {
        api.call("makeCounter", (10,)).cast()
    });
    for _ in 0..3 {
        let squared = again(async || api.call("square", (3,)).fetch::<f64>().await);
        assert_eq!(squared.await, 9.0);
        let count = again(async || counter.call("increment", (1,)).fetch::<f64>().await);
        assert!(count.await >= 11.0);
        drop(server);
        soon(client.state().wait_for(|state| !state.is_up())).await;
        server = npm(address).unwrap();
    }
    again(async || counter.call("increment", (1,)).fetch::<f64>().await).await;
}
