//! The program, with clients in Rust.

#![allow(clippy::unwrap_used, reason = "panics are how tests fail")]

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use capnweb::{Error, Stub, http::reqwest, ws};
use tokio::time::timeout;

/// The time limit for anything that a test waits for.
const LIMIT: Duration = Duration::from_secs(60);

/// A folder with the database, which is removed at the end of its test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("capnweb-service-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn database(&self) -> PathBuf {
        self.0.join("notes.db")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn program(database: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_service"));
    command.env("DATABASE", database).env("RUST_LOG", "warn");
    command
}

/// Adds a user with the password `secret`, and returns a token.
fn add_user(database: &Path, name: &str) -> String {
    let mut command = program(database);
    command.args(["add-user", name]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"secret\n").unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success());
    String::from_utf8(done.stdout).unwrap().trim().to_owned()
}

/// The running service. It is killed at the end of its test.
struct Service {
    child: Child,
    listen: String,
    monitor: String,
    // The program may print more.
    _stdout: BufReader<ChildStdout>,
}

impl Service {
    fn start(database: &Path) -> Self {
        let mut command = program(database);
        command.env("LISTEN", "127.0.0.1:0");
        command.env("MONITOR", "127.0.0.1:0");
        command.env("DRAIN_DELAY", "0").env("DRAIN_SPREAD", "0.2");
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let addresses = line.trim().strip_prefix("listening on ").unwrap();
        let (listen, monitor) = addresses.split_once(", monitored on ").unwrap();
        Self {
            child,
            listen: listen.to_owned(),
            monitor: monitor.to_owned(),
            _stdout: stdout,
        }
    }

    async fn connect(&self, token: Option<&str>) -> Result<Stub, Error> {
        let mut connect = ws::Connect::new(format!("ws://{}/api", self.listen));
        if let Some(token) = token {
            connect = connect.header("authorization", format!("Bearer {token}"));
        }
        soon(connect.connect()).await
    }

    async fn metrics(&self) -> String {
        let url = format!("http://{}/metrics", self.monitor);
        let client = reqwest_client();
        let answer: reqwest::Response = soon(client.get(url).send()).await.unwrap();
        soon(answer.text()).await.unwrap()
    }
}

fn reqwest_client() -> reqwest::Client {
    capnweb::http::client_builder().build().unwrap()
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn soon<F: Future>(future: F) -> F::Output {
    timeout(LIMIT, future).await.unwrap()
}

#[tokio::test]
async fn each_user_has_an_object_of_their_own() {
    let folder = Folder::new("users");
    let database = folder.database();
    let [ada, eve] = ["ada", "eve"].map(|name| add_user(&database, name));
    let service = Service::start(&database);
    let of_ada = service.connect(Some(&ada)).await.unwrap();
    let of_eve = service.connect(Some(&eve)).await.unwrap();
    let name = soon(of_ada.call("name", ()).fetch::<String>()).await;
    assert_eq!(name.unwrap(), "ada");
    let id: i64 = soon(of_ada.call("addNote", ("mine",)).fetch())
        .await
        .unwrap();
    // Another user's note does not exist.
    let error = soon(of_eve.call("removeNote", (id,)).fetch::<()>()).await;
    assert_eq!(error.unwrap_err().code().as_deref(), Some("not_found"));
    soon(of_ada.call("removeNote", (id,)).fetch::<()>())
        .await
        .unwrap();
    let long = "x".repeat(5000);
    let error = soon(of_ada.call("addNote", (long,)).fetch::<i64>()).await;
    let code = error.unwrap_err().code();
    assert_eq!(code.as_deref(), Some("invalid_argument"));
}

#[tokio::test]
async fn a_guest_has_to_show_a_token() {
    let folder = Folder::new("guests");
    let token = add_user(&folder.database(), "ada");
    let service = Service::start(&folder.database());
    let guest = service.connect(None).await.unwrap();
    let error = soon(guest.call("notes", ()).fetch::<()>())
        .await
        .unwrap_err();
    assert!(error.is_type_error(), "{error}");
    let error = soon(guest.call("authenticate", ("1234",)).fetch::<()>()).await;
    let code = error.unwrap_err().code();
    assert_eq!(code.as_deref(), Some("unauthenticated"));
    let user = guest.call("authenticate", (token,));
    let name = soon(user.call("name", ()).fetch::<String>()).await;
    assert_eq!(name.unwrap(), "ada");
    let error = service.connect(Some("1234")).await.unwrap_err();
    assert!(error.message().contains("401"), "{error}");
}

#[tokio::test]
async fn calls_are_counted() {
    let folder = Folder::new("metrics");
    let token = add_user(&folder.database(), "ada");
    let service = Service::start(&folder.database());
    let api = service.connect(Some(&token)).await.unwrap();
    soon(api.call("notes", ()).fetch::<Vec<capnweb::Value>>())
        .await
        .unwrap();
    let text = service.metrics().await;
    for line in [
        "capnweb_sessions{transport=\"websocket\",role=\"server\"} 1",
        "capnweb_call_duration_seconds_count{side=\"in\",method=\"notes\",outcome=\"ok\"} 1",
        "capnweb_calls_in_flight{side=\"in\",method=\"notes\"} 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_signal_drains_the_service() {
    let folder = Folder::new("drain");
    let token = add_user(&folder.database(), "ada");
    let mut service = Service::start(&folder.database());
    let api = service.connect(Some(&token)).await.unwrap();
    let closed = api.session().unwrap().closed();
    let running = api.call("addNote", ("at the end", 1000)).cast::<i64>();
    let running = tokio::spawn(running.into_future());
    // Once this is answered, the other call is running.
    soon(api.call("name", ()).fetch::<String>()).await.unwrap();
    let id = service.child.id().to_string();
    assert!(Command::new("kill").arg(id).status().unwrap().success());
    assert!(soon(running).await.unwrap().unwrap() > 0);
    let reason = soon(closed).await;
    let end = reason.session_end().unwrap();
    assert_eq!(end.close_code(), Some(1012));
    let status = tokio::task::spawn_blocking(move || service.child.wait().map(|it| it.success()));
    assert!(soon(status).await.unwrap().unwrap());
}
