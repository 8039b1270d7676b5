//! Servers for the tests, and helpers that run the program.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::{Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::Router;
use capnweb::{
    Callback, Error, Object, Payload, Result, Stub, Value,
    describe::Description,
    stream::{ByteStream, Readable},
};
use tokio::{io::AsyncReadExt, io::AsyncWriteExt, net::TcpListener, process::Command};

/// The time limit for running the program.
const LIMIT: Duration = Duration::from_secs(30);

#[capnweb::interface]
pub(crate) trait Api {
    /// Returns the API for a user.
    async fn authenticate(&self, token: String) -> Result<UserStub>;
    async fn get_user_name(&self, id: u32) -> Result<String>;
    async fn add(&self, a: f64, b: f64) -> Result<f64>;
    async fn hang(&self) -> Result<()>;
}

#[capnweb::interface]
pub(crate) trait User {
    async fn get_id(&self) -> Result<u32>;
    async fn get_friend_ids(&self) -> Result<Vec<u32>>;
}

/// Returns the main object. It has `$interface`, like a server with introspection.
pub(crate) fn api() -> Stub {
    let described = Description::of::<ApiStub>().to_json();
    let described: Value = serde_json::from_str(&described).unwrap();
    let user = || {
        Object::new()
            .property("name", "ada")
            .method("getId", async || Ok(7))
            .method("getFriendIds", async || Ok([4, 5, 6]))
            .into_stub()
    };
    Object::new()
        .property("$interface", described)
        .method("authenticate", move |_: String| async move { Ok(user()) })
        .method(
            "getUserName",
            |id: u32| async move { Ok(format!("user {id}")) },
        )
        .method("add", |a: f64, b: f64| async move { Ok(a + b) })
        .method("echo", |value: Payload| async move { Ok(value) })
        .method("fail", async || {
            Err::<(), _>(Error::range_error("too far").with_code("far"))
        })
        .method("hang", async || std::future::pending::<Result<()>>().await)
        .method("countDown", |from: u32, tick: Callback<u32>| async move {
            for n in (1..=from).rev() {
                tick.call(n).await?;
            }
            Ok("lift-off")
        })
        .method("count", |to: u32| async move {
            Ok(Readable::from_stream(futures_util::stream::iter(0..to)))
        })
        .method("bytes", |len: usize| async move {
            Ok(ByteStream::from_reader(std::io::Cursor::new(vec![
                b'x';
                len
            ])))
        })
        .method("length", |mut stream: ByteStream| async move {
            let mut all = Vec::new();
            let read = stream.read_to_end(&mut all).await;
            read.map_err(|error| Error::new(error.to_string()))
        })
        .into_stub()
}

/// Returns the main object of a server with types.
pub(crate) fn typed() -> ApiStub {
    ApiStub::new(Typed)
}

struct Typed;

impl Api for Typed {
    async fn authenticate(&self, _: String) -> Result<UserStub> {
        Ok(UserStub::new(Typed))
    }

    async fn get_user_name(&self, id: u32) -> Result<String> {
        Ok(format!("user {id}"))
    }

    async fn add(&self, a: f64, b: f64) -> Result<f64> {
        Ok(a + b)
    }

    async fn hang(&self) -> Result<()> {
        std::future::pending().await
    }
}

impl User for Typed {
    async fn get_id(&self) -> Result<u32> {
        Ok(7)
    }

    async fn get_friend_ids(&self) -> Result<Vec<u32>> {
        Ok(vec![4, 5, 6])
    }
}

/// A server for WebSockets and HTTP batches.
pub(crate) struct Server {
    address: String,
    /// The number of requests so far. A WebSocket takes one.
    requests: Arc<AtomicUsize>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::of(api).await
    }

    pub(crate) async fn of(main: impl Fn() -> Stub + Send + Sync + Clone + 'static) -> Self {
        let requests = Arc::<AtomicUsize>::default();
        let counter = requests.clone();
        let route = capnweb::axum::rpc(move || {
            counter.fetch_add(1, Ordering::Relaxed);
            main()
        });
        Self {
            requests,
            ..Self::on(route).await
        }
    }

    /// Serves a route.
    pub(crate) async fn on(route: axum::routing::MethodRouter) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let app = Router::new().route("/api", route);
        tokio::spawn(capnweb::axum::serve(listener, app));
        Self {
            address,
            requests: Arc::default(),
        }
    }

    pub(crate) fn ws(&self) -> String {
        format!("ws://{}/api", self.address)
    }

    pub(crate) fn http(&self) -> String {
        format!("http://{}/api", self.address)
    }

    /// Returns the addresses of both transports.
    pub(crate) fn both(&self) -> [String; 2] {
        [self.ws(), self.http()]
    }

    pub(crate) fn take_requests(&self) -> usize {
        self.requests.swap(0, Ordering::Relaxed)
    }
}

/// The output and the exit code of a run.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Returns a command that runs the program, without the environment of the user who runs the tests.
pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_capnweb"));
    command
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    for name in [
        "NO_COLOR",
        "HTTP_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "all_proxy",
    ] {
        command.env_remove(name);
    }
    command
}

pub(crate) async fn run(args: &[&str]) -> Run {
    finish(command(args)).await
}

pub(crate) async fn finish(mut command: Command) -> Run {
    let output = tokio::time::timeout(LIMIT, command.output());
    output
        .await
        .expect("the program ends in time")
        .unwrap()
        .into()
}

/// Runs the program with input on standard input.
pub(crate) async fn run_with_input(args: &[&str], input: &str) -> Run {
    let mut command = command(args);
    command.stdin(Stdio::piped());
    let run = async {
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).await.unwrap();
        drop(stdin);
        child.wait_with_output().await.unwrap()
    };
    let output = tokio::time::timeout(LIMIT, run).await;
    output.expect("the program ends in time").into()
}

/// Runs the program, checks that it succeeds, and returns its output.
pub(crate) async fn ok(args: &[&str]) -> String {
    let run = run(args).await;
    assert_eq!(run.code, 0, "{args:?}: {run:?}");
    run.out
}

/// Returns the counts printed by `--stats --json`.
pub(crate) fn stats(run: &Run) -> BTreeMap<String, u64> {
    let line = run
        .err
        .lines()
        .find(|line| line.starts_with("{\"stats\""))
        .expect(&run.err);
    let mut read: BTreeMap<String, BTreeMap<String, u64>> = serde_json::from_str(line).unwrap();
    read.remove("stats").unwrap()
}

/// Returns the path of a temporary file for one test.
pub(crate) fn temporary(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("capnweb-cli");
    std::fs::create_dir_all(&folder).unwrap();
    folder.join(format!("{}-{name}", std::process::id()))
}
