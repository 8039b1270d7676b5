//! Requests: what the application sees of them, and how it refuses them.

use std::{
    future::pending,
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use capnweb_core::{ConnectFailure, Object, Result, Stub};
use capnweb_transport_webtransport::{Connect, Request, Server, ServerLimits, http::StatusCode};
use tokio::{net::UdpSocket, sync::mpsc::unbounded_channel};

use crate::support::{Raw, Served, api, failure, identity, serve_with, soon};

async fn refusal(served: &Served, path: &str) -> String {
    let (kind, cause) = failure(served.at(path), &served.url(path)).await;
    assert_eq!(kind, ConnectFailure::Rejected, "{cause}");
    cause
}

#[tokio::test]
async fn the_factory_sees_the_request() {
    let served = serve_with(|server| {
        server.route("/api", |request: Request| {
            let header = |name| {
                let value = request.headers().get(name);
                value.map(|value| value.to_str().unwrap().to_owned())
            };
            Object::new()
                .property("path", request.path())
                .property("query", request.query())
                .property("authority", request.authority())
                .property("token", header("authorization"))
                .property("twice", header("x-twice"))
                .property("origin", request.origin())
                .property("ip", request.remote_address().ip().to_string())
                .into_stub()
        })
    });
    let connect = served
        .at("/api?a=1&b")
        .header("Authorization", "Bearer 1234")
        .header("Origin", "https://example.com")
        .header("x-twice", "one")
        .header("X-Twice", "two");
    let api: Stub = soon(connect.connect()).await.unwrap();
    let get = async |name: &str| soon(api.get(name).fetch::<String>()).await.unwrap();
    assert_eq!(get("path").await, "/api");
    assert_eq!(get("query").await, "a=1&b");
    assert_eq!(get("authority").await, served.addr.to_string());
    assert_eq!(get("token").await, "Bearer 1234");
    assert_eq!(get("twice").await, "one, two");
    assert_eq!(get("origin").await, "https://example.com");
    assert_eq!(get("ip").await, "127.0.0.1");
}

#[tokio::test]
async fn each_path_has_its_own() {
    let named = |name: &'static str| move |_| Object::new().property("name", name).into_stub();
    let served = serve_with(|server| {
        server
            .route("/", named("root"))
            .route("/api", named("api"))
            .fallback(|request: Request| Object::new().property("name", request.path()).into_stub())
    });
    for (path, name) in [
        ("", "root"),
        ("/", "root"),
        ("/api", "api"),
        ("/api?x", "api"),
        ("/api/", "/api/"),
        ("/rooms/7", "/rooms/7"),
    ] {
        let main: Stub = soon(served.at(path).connect()).await.unwrap();
        let found = soon(main.get("name").fetch::<String>()).await.unwrap();
        assert_eq!(found, name, "{path}");
    }
}

#[tokio::test]
async fn a_path_that_is_not_served() {
    let served = serve_with(|server| server.route("/api", |_| api()));
    assert!(refusal(&served, "/other").await.contains("this path"));
    // The server still works afterwards.
    let _api = served.api().await;
}

#[tokio::test]
async fn the_factory_may_be_async_and_refuse() {
    async fn factory(request: Request) -> Result<Stub, StatusCode> {
        tokio::task::yield_now().await;
        match request.query() {
            Some("yes") => Ok(api()),
            // If this status were sent unchanged, the client would not be refused.
            Some("ok") => Err(StatusCode::OK),
            _ => Err(StatusCode::UNAUTHORIZED),
        }
    }
    let served = serve_with(|server| server.route("/api", factory));
    refusal(&served, "/api").await;
    refusal(&served, "/api?ok").await;
    let _api: Stub = soon(served.at("/api?yes").connect()).await.unwrap();
}

#[tokio::test]
async fn pages_of_other_origins() {
    let served = serve_with(|server| {
        server
            .route("/api", |_| api())
            .only_from_origins(["https://example.com"])
    });
    let from = |origin: &str| served.at("/api").header("origin", origin);
    let (kind, _) = failure(from("https://example.org"), &served.url("/api")).await;
    assert_eq!(kind, ConnectFailure::Rejected);
    let _api: Stub = soon(from("https://example.com").connect()).await.unwrap();
    let _api = served.api().await;
}

#[tokio::test]
async fn sessions_are_bounded() {
    let served = serve_with(|server| {
        server
            .route("/api", |_| api())
            .server_limits(&ServerLimits::new().with_max_sessions(1))
    });
    let first = soon(served.at("/api").session()).await.unwrap();
    refusal(&served, "/api").await;
    first.close(capnweb_core::Error::new("bye"));
    drop(first);
    // The permit is released once the server notices.
    for attempt in 0.. {
        if soon(served.at("/api").session()).await.is_ok() {
            break;
        }
        assert!(attempt < 100, "the place was never free");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn handshakes_are_bounded() {
    let served = serve_with(|server| {
        server
            .route("/api", |_| api())
            .server_limits(&ServerLimits::new().with_max_handshakes(0))
    });
    let (kind, cause) = failure(served.at("/api"), &served.url("/api")).await;
    assert_eq!(kind, ConnectFailure::Refused, "{cause}");
    assert_eq!(cause, "the server takes no more connections now");
}

/// A connection between one client and a server. It counts the server's Retry packets, each of
/// which asks the client to prove its address.
struct Watched {
    addr: SocketAddr,
    retries: Arc<AtomicUsize>,
}

impl Watched {
    async fn new(server: SocketAddr) -> Self {
        let near = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let far = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        far.connect(server).await.unwrap();
        let (addr, retries) = (near.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let counted = retries.clone();
        tokio::spawn(async move {
            let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
            let mut client = None;
            loop {
                tokio::select! {
                    received = near.recv_from(&mut asked) => {
                        let (len, from) = received.unwrap();
                        client = Some(from);
                        far.send(&asked[..len]).await.unwrap();
                    }
                    // Packets from the server after the client's end are dropped.
                    Ok(len) = far.recv(&mut answered) => {
                        // This is a Retry packet, which has a long header.
                        if answered[0] & 0b1011_0000 == 0b1011_0000 {
                            counted.fetch_add(1, Ordering::Relaxed);
                        }
                        near.send_to(&answered[..len], client.unwrap()).await.unwrap();
                    }
                }
            }
        });
        Self { addr, retries }
    }

    async fn api(&self, served: &Served) -> Stub {
        let url = format!("https://{}/api", self.addr);
        let connect = Connect::new(url).certificate_hashes([served.hash]);
        soon(connect.connect()).await.unwrap()
    }

    fn retries(&self) -> usize {
        self.retries.load(Ordering::Relaxed)
    }
}

#[tokio::test]
async fn clients_have_to_prove_their_address_while_half_of_the_handshakes_are_taken() {
    let (arrive, mut arrived) = unbounded_channel();
    let served = serve_with(|server| {
        server
            .route("/api", |_| api())
            .route("/slow", move |_| {
                arrive.send(()).unwrap();
                pending::<Stub>()
            })
            .server_limits(&ServerLimits::new().with_max_handshakes(4))
    });
    let early = Watched::new(served.addr).await;
    let _early = early.api(&served).await;
    assert_eq!(early.retries(), 0);
    let mut slow = Vec::new();
    for _ in 0..2 {
        slow.push(tokio::spawn(served.at("/slow").session()));
        soon(arrived.recv()).await.unwrap();
    }
    let late = Watched::new(served.addr).await;
    let api = late.api(&served).await;
    assert!(late.retries() > 0);
    let square = soon(api.call("square", (3,)).fetch::<f64>()).await;
    assert_eq!(square.unwrap(), 9.0);
    slow.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn clients_that_do_not_open_a_session_are_given_up() {
    let served = serve_with(|server| {
        server
            .route("/api", |_| api())
            .route("/slow", |_| pending::<Stub>())
            .open_timeout(Duration::from_millis(300))
    });
    // The application does not respond in time.
    let (kind, cause) = failure(served.at("/slow"), &served.url("/slow")).await;
    assert_eq!(kind, ConnectFailure::Rejected, "{cause}");
    // The client does not open a stream.
    let (_endpoint, connection) = Raw::without_stream(&served).await;
    soon(connection.closed()).await;
}

#[tokio::test]
async fn a_factory_that_panics() {
    let served = serve_with(|server| {
        server
            .route("/api", |_| api())
            .route("/bad", |_| -> Stub { panic!("on purpose") })
    });
    let (kind, cause) = failure(served.at("/bad"), &served.url("/bad")).await;
    assert_eq!(kind, ConnectFailure::Rejected, "{cause}");
    let _api = served.api().await;
}

#[test]
fn a_setting_that_can_never_match_is_a_mistake() {
    for path in ["api", "", "/api?x=1", "https://example.com/api"] {
        let server = Server::new(&identity());
        let routed = catch_unwind(AssertUnwindSafe(|| server.route(path, |_| api())));
        assert!(routed.is_err(), "{path}");
    }
    let server = Server::new(&identity());
    let limited = catch_unwind(AssertUnwindSafe(|| {
        server.only_from_origins(["example.org"])
    }));
    assert!(limited.is_err());
}

#[tokio::test]
async fn origins_may_be_all_subdomains() {
    let served = serve_with(|server| {
        server
            .route("/api", |_| api())
            .only_from_origins(["https://*.example.com", "https://EXAMPLE.org/"])
    });
    let from = |origin: &str| served.at("/api").header("origin", origin);
    for allowed in ["https://a.example.com", "https://example.org"] {
        soon(from(allowed).session()).await.unwrap();
    }
    for refused in ["https://example.com", "http://example.org"] {
        let (kind, _) = failure(from(refused), &served.url("/api")).await;
        assert_eq!(kind, ConnectFailure::Rejected, "{refused}");
    }
}
