//! Clients that outlive their sessions, over real sockets.

mod others;

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    http::{HeaderMap, StatusCode, header},
};
use capnweb::{
    Backoff, BatchClient, Callback, Client, Object, Result, Resume, Retry, Stub, StubType,
    WhileDown,
    axum::Peer,
    client::{Ending, Event, Reaction, State},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    runtime::Runtime,
};

use crate::support::{Server, api, soon};

#[capnweb::interface]
trait Api {
    async fn hello(&self, version: u32) -> Result<()>;
    async fn authenticate(&self, token: String) -> Result<UserStub>;
}

#[capnweb::interface]
trait User {
    async fn join(&self, room: String, after: u64, on_message: Callback<u64>) -> Result<RoomStub>;
}

#[capnweb::interface]
trait Room {
    async fn post(&self, text: String) -> Result<u64>;
}

/// State that survives the restart of a server.
#[derive(Clone, Default)]
struct Store {
    posts: Arc<Mutex<Vec<String>>>,
    hellos: Arc<AtomicU32>,
}

impl Api for Store {
    async fn hello(&self, version: u32) -> Result<()> {
        assert_eq!(version, 3);
        self.hellos.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    async fn authenticate(&self, token: String) -> Result<UserStub> {
        assert_eq!(token, "token");
        Ok(UserStub::new(self.clone()))
    }
}

impl User for Store {
    async fn join(&self, room: String, after: u64, on_message: Callback<u64>) -> Result<RoomStub> {
        assert_eq!(room, "lobby");
        let posts = self.posts.lock().unwrap().len() as u64;
        for id in after + 1..=posts {
            on_message.call(id).await?;
        }
        Ok(RoomStub::new(Joined {
            store: self.clone(),
            on_message,
        }))
    }
}

struct Joined {
    store: Store,
    on_message: Callback<u64>,
}

impl Room for Joined {
    async fn post(&self, text: String) -> Result<u64> {
        let id = {
            let mut posts = self.store.posts.lock().unwrap();
            posts.push(text);
            posts.len() as u64
        };
        self.on_message.call(id).await?;
        Ok(id)
    }
}

/// A server in a separate runtime. Dropping the runtime drops everything at once.
struct Process(Option<Runtime>);

impl Process {
    fn start(address: SocketAddr, main: impl Fn() -> Stub + Clone + Send + Sync + 'static) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        // The listener is bound when this function returns.
        let listener = std::net::TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            let app = Router::new().route("/", capnweb::axum::rpc(main));
            capnweb::axum::serve(listener, app).await.unwrap();
        });
        Self(Some(runtime))
    }

    /// Kills the server, and returns once its port is free.
    fn kill(mut self) {
        let runtime = self.0.take().unwrap();
        let ended = std::thread::spawn(move || runtime.shutdown_timeout(Duration::from_secs(5)));
        ended.join().unwrap();
    }
}

fn free_address() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

fn quick() -> Backoff {
    Backoff::full_jitter(Duration::from_millis(5), Duration::from_millis(50))
}

/// Repeats an idempotent call until it succeeds.
async fn again<T>(call: impl AsyncFn() -> Result<T>) -> T {
    loop {
        match soon(call()).await {
            Ok(value) => return value,
            Err(error) => assert!(error.is_disconnected(), "{error}"),
        }
    }
}

#[tokio::test]
async fn typed_stubs_go_on_after_restarts() {
    let (address, store) = (free_address(), Store::default());
    let main = {
        let store = store.clone();
        move || ApiStub::new(store.clone()).into_stub()
    };
    let mut process = Process::start(address, main.clone());
    let client = Client::to([format!("ws://{address}/")])
        .prepare(|connect| async move { Ok(connect.header("authorization", "Bearer 1")) })
        .on_connect(|main: ApiStub| async move { main.hello(3).await })
        .backoff(quick())
        .while_down(WhileDown::Queue {
            calls: 1024,
            bytes: 1 << 20,
            wait: Duration::from_secs(5),
        })
        .start();
    let api: ApiStub = client.main();
    let user: UserStub = client.derive(&api, |api| api.authenticate("token"));
    let (seen, heard) = (Resume::new(0), Arc::new(Mutex::new(Vec::new())));
    let room: RoomStub = client.derive(&user, {
        let (seen, heard) = (seen.clone(), heard.clone());
        move |user| {
            let (seen, heard) = (seen.clone(), heard.clone());
            user.join("lobby", seen.get(), move |message: u64| {
                if seen.advance(message) {
                    heard.lock().unwrap().push(message);
                }
            })
        }
    });
    for round in 0..5 {
        again(async || room.post(format!("post {round}")).await).await;
        process.kill();
        let waiting = room.post(format!("second post {round}"));
        process = Process::start(address, main.clone());
        // The call either was in progress when the server was killed, or is still waiting.
        match soon(waiting).await {
            Ok(_) => {}
            Err(error) => assert!(error.is_disconnected(), "{error}"),
        }
    }
    again(async || room.post("last").await).await;
    let posts = store.posts.lock().unwrap().len() as u64;
    let all_heard = async {
        while seen.get() < posts {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    soon(all_heard).await;
    assert_eq!(*heard.lock().unwrap(), (1..=posts).collect::<Vec<_>>());
    assert!(store.hellos.load(Ordering::SeqCst) >= 6);
    client.close();
    soon(client.closed()).await;
    process.kill();
}

#[capnweb::interface]
trait Slow {
    #[rpc(idempotent)]
    async fn read(&self) -> Result<u32>;
    async fn write(&self) -> Result<u32>;
}

/// Counts the calls that start, and takes a while for each.
#[derive(Clone, Default)]
struct Begun(Arc<AtomicU32>);

impl Begun {
    async fn begin(&self) -> Result<u32> {
        let begun = self.0.fetch_add(1, Ordering::SeqCst) + 1;
        if begun <= 2 {
            std::future::pending::<()>().await;
        }
        Ok(begun)
    }
}

impl Slow for Begun {
    async fn read(&self) -> Result<u32> {
        self.begin().await
    }

    async fn write(&self) -> Result<u32> {
        self.begin().await
    }
}

#[tokio::test]
async fn methods_that_are_marked_are_run_again() {
    let (address, begun) = (free_address(), Begun::default());
    let main = {
        let begun = begun.clone();
        move || SlowStub::new(begun.clone()).into_stub()
    };
    let process = Process::start(address, main.clone());
    let client = Client::to([format!("ws://{address}/")])
        .backoff(quick())
        .start();
    let api: SlowStub = client.main();
    let (read, write) = (api.read().into_future(), api.write().into_future());
    let both_begun = async {
        while begun.0.load(Ordering::SeqCst) < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    soon(both_begun).await;
    process.kill();
    let error = soon(write).await.unwrap_err();
    assert!(error.is_disconnected() && error.may_have_run(), "{error}");
    let process = Process::start(address, main);
    assert_eq!(soon(read).await.unwrap(), 3);
    process.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_answer_after_a_restart_comes_soon() {
    const ROUNDS: usize = 12;
    const CLIENTS: usize = 10;
    let address = free_address();
    let mut process = Process::start(address, api);
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| Client::to([format!("ws://{address}/")]).start())
            .collect();
        for client in &clients {
            soon(client.connected()).await.unwrap();
        }
        process.kill();
        process = Process::start(address, api);
        let start = Instant::now();
        let answers = clients.iter().map(|client| async {
            let api: Stub = client.main();
            again(async || api.call("square", (3,)).fetch::<f64>().await).await;
            start.elapsed()
        });
        times.extend(futures_util::future::join_all(answers).await);
    }
    times.sort_unstable();
    let (median, p99) = (times[times.len() / 2], times[times.len() * 99 / 100]);
    println!("restart to first answer: median {median:?}, p99 {p99:?}");
    assert!(p99 < Duration::from_millis(500), "{times:?}");
    process.kill();
}

#[tokio::test]
async fn sessions_at_a_gateway_go_on_while_the_server_behind_restarts() {
    let (address, counter) = (free_address(), Arc::new(AtomicU32::new(0)));
    let main = move || {
        let counter = counter.clone();
        Object::new()
            .sync_method("count", move || {
                Ok(counter.fetch_add(1, Ordering::SeqCst) + 1)
            })
            .method("callBack", |f: Stub, n: u32| async move {
                f.invoke((n,)).fetch::<u32>().await
            })
            .into_stub()
    };
    let mut process = Process::start(address, main.clone());
    let behind = Client::to([format!("ws://{address}/")])
        .backoff(quick())
        .start();
    let handed_out: Stub = behind.main();
    let gateway = Server::of(capnweb::axum::rpc(move || handed_out.clone())).await;
    // Connect the browsers.
    let browsers = [gateway.connect().await, gateway.connect().await];
    let mut counted = 0;
    for _ in 0..4 {
        for browser in &browsers {
            let count = again(async || browser.call("count", ()).fetch::<u32>().await);
            let count = count.await;
            assert!(count > counted);
            counted = count;
            let double = Stub::function(|n: u32| async move { Ok(n * 2) });
            let called_back = again(async || {
                browser
                    .call("callBack", (double.clone(), 21))
                    .fetch::<u32>()
                    .await
            });
            assert_eq!(called_back.await, 42);
        }
        process.kill();
        soon(behind.state().wait_for(|state| !state.is_up())).await;
        // Calls made meanwhile wait.
        let waiting = browsers[0].call("count", ()).fetch::<u32>();
        process = Process::start(address, main.clone());
        let count = soon(waiting).await.unwrap();
        assert!(count > counted);
        counted = count;
    }
    for browser in &browsers {
        assert!(browser.session().unwrap().end_reason().is_none());
    }
    process.kill();
}

#[tokio::test]
async fn the_url_decides_the_transport() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let tcp = format!("tcp://{}", listener.local_addr().unwrap());
    tokio::spawn(capnweb::tcp::serve(listener, |_| api()));
    let path = std::env::temp_dir().join(format!("capnweb-reconnect-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let unix = format!("unix:{}", path.display());
    tokio::spawn(capnweb::unix::serve(listener, |_| api()));
    let web_socket = Server::of(capnweb::axum::rpc(api)).await;
    for url in [tcp, unix, web_socket.ws(), web_socket.http()] {
        let client = Client::to([url.clone()]).start();
        let square = client.main::<Stub>().call("square", (3,)).fetch::<f64>();
        assert_eq!(soon(square).await.unwrap(), 9.0, "{url}");
    }
    std::fs::remove_file(path).unwrap();
    let client = Client::to(["gopher://a/"]).start();
    assert!(soon(client.connected()).await.unwrap_err().is_type_error());
}

#[cfg(feature = "webtransport")]
#[tokio::test]
async fn web_transport_sessions_are_made_again() {
    use capnweb::{
        client::Transports,
        webtransport::{Identity, Server},
    };

    let identity = Identity::self_signed(["127.0.0.1"]).unwrap();
    let hash = identity.certificate_hash();
    let transports =
        Transports::new().webtransport(move |connect| connect.certificate_hashes([hash]));
    let listener = Server::new(&identity)
        .route("/api", |_| api())
        .bind("127.0.0.1:0")
        .unwrap();
    let url = format!("webtransport://{}/api", listener.local_addr());
    tokio::spawn(listener.serve());
    let client = Client::to([url])
        .connector(transports)
        .backoff(quick())
        .start();
    let api: Stub = client.main();
    for _ in 0..3 {
        let squared = again(async || api.call("square", (3,)).fetch::<f64>().await);
        assert_eq!(squared.await, 9.0);
        let session = client.session().unwrap();
        session.close(capnweb::Error::new("it is ended for a test"));
        soon(client.state().wait_for(|state| !state.is_up())).await;
    }
}

#[tokio::test]
async fn a_web_socket_that_is_refused_gets_another_token() {
    let server = Server::of(capnweb::axum::rpc(|headers: HeaderMap| async move {
        match headers.get(header::AUTHORIZATION) {
            Some(token) if token == "Bearer 1" => Ok(api()),
            _ => Err(StatusCode::UNAUTHORIZED),
        }
    }))
    .await;
    for (step, is_refused) in [(1, false), (0, true)] {
        let token = Arc::new(AtomicU32::new(0));
        let client = Client::to([server.ws()])
            .backoff(quick())
            .prepare(move |connect| {
                let token = token.fetch_add(step, Ordering::SeqCst);
                async move { Ok(connect.header("authorization", format!("Bearer {token}"))) }
            })
            .start();
        let connected = soon(client.connected()).await;
        assert_eq!(connected.is_err(), is_refused);
        assert_eq!(client.attempts(), 2);
        assert_eq!(
            matches!(client.state().get(), State::Refused { .. }),
            is_refused
        );
    }
}

/// Starts a server that ends each session with this code at its first call.
async fn closing(code: u16) -> Server {
    let main = move |Peer(peer): Peer| {
        let session = peer.session();
        Object::new()
            .method("leave", move || {
                if let Some(session) = &session {
                    session.close_with(code, capnweb::Error::new("leave"));
                }
                std::future::pending::<Result<()>>()
            })
            .into_stub()
    };
    Server::of(capnweb::axum::rpc(main)).await
}

/// Makes the server end the client's session. Returns the client's view of it.
async fn leave(client: &Client) -> Ending {
    let mut events = client.events();
    soon(client.connected()).await.unwrap();
    let api: Stub = client.main();
    let error = soon(api.call("leave", ()).fetch::<()>()).await.unwrap_err();
    // The peer's reason, and the code.
    assert_eq!(error.message(), "leave");
    loop {
        if let Some(Event::Ended(ending)) = soon(events.next()).await {
            assert_eq!(ending.error().message(), "leave");
            return ending;
        }
    }
}

#[tokio::test]
async fn a_server_that_ends_a_session_with_a_code_is_understood() {
    for (code, reaction) in [
        (1001, Reaction::Move),
        (1012, Reaction::Move),
        (1013, Reaction::Wait(None)),
        (4401, Reaction::Renew),
        (4999, Reaction::Backoff),
    ] {
        let server = closing(code).await;
        let client = Client::to([server.ws()]).backoff(quick()).start();
        let ending = leave(&client).await;
        assert_eq!(ending.close_code(), Some(code));
        assert_eq!(ending.reaction(), reaction, "{code}");
    }
}

#[tokio::test]
async fn a_client_that_is_sent_away_twice_is_refused() {
    let server = closing(4403).await;
    let client = Client::to([server.ws()]).backoff(quick()).start();
    assert_eq!(leave(&client).await.reaction(), Reaction::Renew);
    assert_eq!(leave(&client).await.reaction(), Reaction::Refuse);
    let refused = |state: &State| matches!(state, State::Refused { .. });
    let state = soon(client.state().wait_for(refused)).await.unwrap();
    let State::Refused { error, .. } = state else {
        panic!("the client is not refused");
    };
    assert_eq!(error.session_end().unwrap().close_code(), Some(4403));
    // The application signs in, and asks for another attempt.
    client.retry_now();
    soon(client.connected()).await.unwrap();
}

/// Starts a server that reads and counts requests but never answers.
async fn deaf() -> (String, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let requests = Arc::new(AtomicU32::new(0));
    let counted = requests.clone();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = [0; 4096];
            if stream.read(&mut buffer).await.unwrap_or_default() > 0 {
                counted.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    (url, requests)
}

async fn square(client: &BatchClient) -> Result<f64> {
    let batch = |api: Stub| async move { api.call("square", (3,)).fetch::<f64>().await };
    soon(client.run(batch)).await
}

#[tokio::test]
async fn a_batch_goes_to_the_next_server_if_none_has_run_it() {
    let server = Server::of(capnweb::axum::rpc(api)).await;
    let nobody = format!("http://{}/", free_address());
    let client = BatchClient::to([nobody, server.http()]).backoff(quick());
    assert_eq!(square(&client).await.unwrap(), 9.0);
    // From then on, the server that answered comes first.
    assert_eq!(square(&client).await.unwrap(), 9.0);

    // If a server may have run the batch, no other one is tried, unless the batch may run twice.
    let (url, requests) = deaf().await;
    let client = BatchClient::to([url.clone(), server.http()]).backoff(quick());
    let error = square(&client).await.unwrap_err();
    assert!(error.is_disconnected() && error.may_have_run(), "{error}");
    assert_eq!(requests.load(Ordering::SeqCst), 1);
    let client = BatchClient::to([url, server.http()]).backoff(quick());
    let batch = |api: Stub| async move { api.call("square", (3,)).fetch::<f64>().await };
    assert_eq!(soon(client.run_idempotent(batch)).await.unwrap(), 9.0);
}

#[tokio::test]
async fn a_batch_is_bounded_by_attempts_and_prepared_again() {
    let nobody = format!("http://{}/", free_address());
    let client = BatchClient::to([nobody])
        .backoff(quick())
        .retry(Retry::idempotent().attempts(3));
    let error = square(&client).await.unwrap_err();
    assert!(error.is_disconnected() && !error.may_have_run(), "{error}");

    let server = Server::of(capnweb::axum::rpc(|headers: HeaderMap| async move {
        match headers.get(header::AUTHORIZATION) {
            Some(token) if token == "Bearer 1" => Ok(api()),
            _ => Err(StatusCode::UNAUTHORIZED),
        }
    }))
    .await;
    let token = AtomicU32::new(0);
    let client = BatchClient::to([server.http()])
        .backoff(quick())
        .prepare(move |batch| {
            let token = token.fetch_add(1, Ordering::SeqCst);
            async move { Ok(batch.header("authorization", format!("Bearer {token}"))) }
        });
    assert_eq!(square(&client).await.unwrap(), 9.0);
    // From now on the client is refused.
    let error = square(&client).await.unwrap_err();
    assert!(error.connect_failure().is_some());
}

#[tokio::test]
async fn a_batch_waits_as_long_as_it_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let server = Server::of(capnweb::axum::rpc(api)).await;
    tokio::spawn(async move {
        let answer =
            "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 3600\r\nContent-Length: 0\r\n\r\n";
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    let client = BatchClient::to([url, server.http()]).backoff(quick());
    for _ in 0..3 {
        assert_eq!(square(&client).await.unwrap(), 9.0);
    }
}
