//! `capnweb inspect`: what passes through the proxy, and what is known of it.

use std::{net::SocketAddr, path::Path, process::Stdio, time::Duration};

use axum::{
    Router,
    extract::ws::WebSocketUpgrade,
    http::{HeaderMap, StatusCode},
    response::IntoResponse,
    routing::any,
};
use capnweb::{Error, Stub, Value, ws};
use capnweb_inspect::{
    Body, Event, Follower, Recording, Session, Side, TransportKind, assert_no_leaks,
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    process::{Child, ChildStderr},
};

use crate::support::{Server, command, finish, ok, run, temporary};

const LIMIT: Duration = Duration::from_secs(60);

/// The command `inspect`, which is running.
pub(crate) struct Inspector {
    child: Child,
    stderr: BufReader<ChildStderr>,
    pub(crate) address: SocketAddr,
}

impl Inspector {
    pub(crate) async fn start(to: &str, more: &[&str]) -> Self {
        let mut args = vec!["inspect", "--listen", "127.0.0.1:0", "--to", to];
        args.extend(more);
        let mut child = command(&args).stdout(Stdio::null()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let line = next_line(&mut stderr).await;
        let address = line.strip_prefix("listening on ws://").expect(&line);
        let address = address.split('/').next().unwrap().parse().unwrap();
        Self {
            child,
            stderr,
            address,
        }
    }

    pub(crate) fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{}/", self.address)
    }

    pub(crate) async fn line(&mut self) -> String {
        next_line(&mut self.stderr).await
    }

    /// Ends it, as Ctrl-C does.
    #[cfg(unix)]
    pub(crate) async fn stop(mut self) {
        let id = nix::unistd::Pid::from_raw(i32::try_from(self.child.id().unwrap()).unwrap());
        nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGINT).unwrap();
        let status = tokio::time::timeout(LIMIT, self.child.wait())
            .await
            .unwrap()
            .unwrap();
        assert!(status.success(), "{status}");
    }
}

async fn next_line(from: &mut BufReader<ChildStderr>) -> String {
    let mut line = String::new();
    tokio::time::timeout(LIMIT, from.read_line(&mut line))
        .await
        .unwrap()
        .unwrap();
    line.trim_end().to_owned()
}

/// Waits until a recording holds the ends of this many sessions.
pub(crate) async fn recorded(path: &Path, ended: usize) -> Recording {
    let whole = async {
        loop {
            let recording = Recording::open(path).unwrap();
            let is_end =
                |entry: &&capnweb_inspect::Entry| matches!(entry.event, Event::Close { .. });
            if recording.entries.iter().filter(is_end).count() >= ended {
                return recording;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LIMIT, whole)
        .await
        .expect("the sessions end")
}

fn labels(session: &Session) -> Vec<String> {
    session.calls().map(capnweb_inspect::Call::label).collect()
}

const FRIENDS: &str = "authenticate(\"t\").getFriendIds().map(id => [id, getUserName(id)])";

#[tokio::test]
async fn sessions_and_batches_are_recorded() {
    let server = Server::start().await;
    let file = temporary("inspect-record.jsonl");
    let path = file.to_str().unwrap();
    let inspector = Inspector::start(&server.ws(), &["--record", path]).await;
    for scheme in ["ws", "http"] {
        let out = ok(&["call", &inspector.url(scheme), FRIENDS, "--json"]).await;
        assert_eq!(out, "[[4,\"user 4\"],[5,\"user 5\"],[6,\"user 6\"]]\n");
    }
    let recording = recorded(&file, 2).await;
    #[cfg(unix)]
    inspector.stop().await;
    assert_eq!(recording.header.to.as_deref(), Some(server.ws().as_str()));
    assert!(
        recording
            .header
            .redacted
            .as_ref()
            .unwrap()
            .contains(&"token".to_owned())
    );
    let follower = Follower::of(&recording);
    let kinds: Vec<_> = follower
        .sessions()
        .map(|session| (session.transport(), session.path()))
        .collect();
    assert_eq!(
        kinds,
        [
            (TransportKind::WebSocket, "/api"),
            (TransportKind::Batch, "/api")
        ]
    );
    for session in follower.sessions() {
        let expected = ["authenticate(\"[redacted]\")", "getFriendIds()", "map(…)"];
        assert_eq!(labels(session), expected);
        assert_eq!(session.counts(Side::Client).round_trips, 1);
        assert!(session.faults().is_empty(), "{:?}", session.faults());
    }
    assert_no_leaks(&recording);
}

#[tokio::test]
async fn what_is_asked_of_a_recording_is_printed() {
    let server = Server::start().await;
    let file = temporary("inspect-forms.jsonl");
    let path = file.to_str().unwrap();
    let inspector = Inspector::start(&server.ws(), &["--record", path, "--no-redact"]).await;
    ok(&[
        "call",
        &inspector.url("ws"),
        "let user = await authenticate('t'); user.getFriendIds()",
    ])
    .await;
    recorded(&file, 1).await;

    let calls = ok(&["inspect", path]).await;
    for text in [
        "session 1  WebSocket /api  2 calls, 2 round trips",
        "1   authenticate(\"t\") → stub",
        "2   └ getFriendIds() → [4, 5, 6]",
        "⚑ awaiting call 1 cost a round trip",
    ] {
        assert!(calls.contains(text), "{text} is not in:\n{calls}");
    }
    assert_eq!(ok(&["inspect", path, "--calls"]).await, calls);
    assert_eq!(ok(&["inspect", path, "--leaks"]).await, "");
    assert!(
        ok(&["inspect", path, "--mermaid"])
            .await
            .starts_with("sequenceDiagram\n")
    );
    assert!(ok(&["inspect", path, "--svg"]).await.ends_with("</svg>\n"));
    let json: serde_json::Value =
        serde_json::from_str(&ok(&["inspect", path, "--json"]).await).unwrap();
    assert_eq!(
        json[0]["calls"][1]["advice"],
        serde_json::json!({"is": "pipeline", "call": 1})
    );
    let page = ok(&["inspect", path, "--html"]).await;
    assert!(page.starts_with("<!doctype html>") && page.contains("const DATA = [{\"id\":1,"));

    for (args, text) in [
        (
            &["inspect", path, "--svg", "--session", "7"][..],
            "there is no session 7",
        ),
        (&["inspect", "/nonexistent"], "No such file"),
        (&["inspect", "Cargo.toml"], "this is no recording"),
        (&["inspect"], "there is nothing to inspect"),
        (
            &["inspect", "--listen", "127.0.0.1:0"],
            "--listen needs --to",
        ),
        (
            &["inspect", "--listen", "0.0.0.0:0", "--to", "ws://a"],
            "--allow-remote",
        ),
        (
            &["inspect", "--listen", "127.0.0.1:0", "--to", "tcp://a:1"],
            "passes on WebSockets and HTTP",
        ),
        (&["inspect", path, "--svg", "--json"], "cannot be used with"),
    ] {
        let failed = run(args).await;
        assert_eq!(failed.code, 2, "{args:?}: {failed:?}");
        assert!(failed.err.contains(text), "{args:?}:\n{}", failed.err);
    }
}

#[tokio::test]
async fn planted_leaks_are_found_and_named() {
    let server = Server::start().await;
    let file = temporary("inspect-leaks.jsonl");
    let path = file.to_str().unwrap();
    let inspector = Inspector::start(&server.ws(), &["--record", path]).await;
    let work = async |forgets: bool| {
        let session = ws::Connect::new(inspector.url("ws"))
            .session()
            .await
            .unwrap();
        let main = session.main();
        let user: Stub = main.call("authenticate", ("t",)).fetch().await.unwrap();
        let _: Value = user.call("getId", ()).await.unwrap();
        if !forgets {
            drop(user);
            // Its release is sent before this.
            let _: Value = main.call("add", (1, 2)).await.unwrap();
            session.close(Error::new("done"));
            session.closed().await;
            return;
        }
        let _: Value = main.call("add", (1, 2)).await.unwrap();
        session.close(Error::new("done"));
        session.closed().await;
        drop(user);
    };
    work(false).await;
    work(true).await;
    work(false).await;
    recorded(&file, 3).await;
    let failed = run(&["inspect", path, "--leaks"]).await;
    assert_eq!(failed.code, 1, "{failed:?}");
    let lines: Vec<_> = failed.out.lines().collect();
    let [line] = lines[..] else {
        panic!("{failed:?}")
    };
    assert!(
        line.starts_with("session 2: the client still holds a stub in the result of call 1, authenticate(\"[redacted]\")"),
        "{line}"
    );
    assert_eq!(failed.err, "error: 1 reference leaked\n");
}

/// Reads the head of a request or response.
async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// Writes random bytes in random pieces, and reads what the other side wrote.
async fn exchange(stream: TcpStream, send: Vec<u8>, expect: usize, mut random: StdRng) -> Vec<u8> {
    let (mut reading, mut writing) = stream.into_split();
    let write = async {
        let mut rest = send.as_slice();
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(random.random_range(1..=rest.len().min(70_000)));
            writing.write_all(piece).await.unwrap();
            rest = after;
        }
    };
    let read = async {
        let mut got = vec![0; expect];
        reading.read_exact(&mut got).await.unwrap();
        got
    };
    let ((), got) = tokio::time::timeout(LIMIT, async { tokio::join!(write, read) })
        .await
        .unwrap();
    got
}

#[tokio::test]
async fn bytes_of_a_websocket_pass_unchanged() {
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = format!("ws://{}/api", upstream.local_addr().unwrap());
    let inspector = Inspector::start(&to, &["--quiet"]).await;
    for seed in 0..20 {
        let mut random = StdRng::seed_from_u64(seed);
        // Frames, and from the middle on anything.
        let mut bytes = |mask: bool| {
            let mut out = Vec::new();
            for _ in 0..random.random_range(0..50_u32) {
                let len: u16 = random.random_range(126..3000);
                out.push(if random.random() { 0x81 } else { 0x82 });
                out.push(if mask { 0x80 | 126 } else { 126 });
                out.extend(len.to_be_bytes());
                let body = usize::from(len) + if mask { 4 } else { 0 };
                out.extend((0..body).map(|_| random.random::<u8>()));
            }
            let noise = random.random_range(0..200_000);
            out.extend((0..noise).map(|_| random.random::<u8>()));
            out
        };
        let (there, back) = (bytes(true), bytes(false));
        let mut client = TcpStream::connect(inspector.address).await.unwrap();
        let request = "GET /?x=1 HTTP/1.1\r\nHost: proxy\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Cookie: a=b\r\nOrigin: http://page.example\r\nSec-WebSocket-Protocol: capnweb, x\r\n\
                       Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                       Sec-WebSocket-Version: 13\r\n\r\n";
        client.write_all(request.as_bytes()).await.unwrap();
        let (mut server, _) = upstream.accept().await.unwrap();
        let asked = head(&mut server).await;
        assert!(asked.starts_with("GET /api?x=1 HTTP/1.1\r\n"), "{asked}");
        for line in [
            "Cookie: a=b",
            "Origin: http://page.example",
            "Sec-WebSocket-Protocol: capnweb, x",
        ] {
            assert!(
                asked.contains(&format!("{line}\r\n")),
                "{line} is not in:\n{asked}"
            );
        }
        assert!(
            asked.contains(&format!("Host: {}\r\n", upstream.local_addr().unwrap())),
            "{asked}"
        );
        assert!(
            !asked.to_lowercase().contains("permessage-deflate"),
            "{asked}"
        );
        let response = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: x\r\n\
                        Set-Cookie: c=d\r\n\r\n";
        server.write_all(response.as_bytes()).await.unwrap();
        let told = head(&mut client).await;
        assert!(
            told.contains("Sec-WebSocket-Protocol: x\r\n") && told.contains("Set-Cookie: c=d\r\n"),
            "{told}"
        );
        let pieces = || StdRng::seed_from_u64(seed + 1000);
        let (at_client, at_server) = tokio::join!(
            exchange(client, there.clone(), back.len(), pieces()),
            exchange(server, back.clone(), there.len(), pieces()),
        );
        assert!(
            at_server == there && at_client == back,
            "with the seed {seed}"
        );
    }
}

#[tokio::test]
async fn bodies_of_batches_pass_unchanged() {
    let echo = any(async |headers: HeaderMap, body: axum::body::Bytes| {
        let cookie = headers.get("cookie").cloned();
        let mut response = (StatusCode::CREATED, body).into_response();
        response.headers_mut().insert("x-cookie", cookie.unwrap());
        response
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(echo)).await });
    let inspector = Inspector::start(&to, &["--quiet"]).await;
    let mut random = StdRng::seed_from_u64(7);
    for len in [0, 1, 1000, 300_000] {
        let body: Vec<u8> = (0..len).map(|_| random.random()).collect();
        let mut client = TcpStream::connect(inspector.address).await.unwrap();
        let request = format!(
            "POST /any HTTP/1.1\r\nHost: p\r\nCookie: a=b\r\nContent-Length: {len}\r\n\r\n"
        );
        client.write_all(request.as_bytes()).await.unwrap();
        client.write_all(&body).await.unwrap();
        let told = head(&mut client).await;
        assert!(
            told.starts_with("HTTP/1.1 201") && told.contains("x-cookie: a=b\r\n"),
            "{told}"
        );
        let mut got = vec![0; len];
        tokio::time::timeout(LIMIT, client.read_exact(&mut got))
            .await
            .unwrap()
            .unwrap();
        assert!(got == body, "{len} bytes");
    }
}

#[tokio::test]
async fn a_server_that_is_gone_is_told_of() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = format!("ws://{}/", listener.local_addr().unwrap());
    drop(listener);
    let mut inspector = Inspector::start(&to, &[]).await;
    for scheme in ["ws", "http"] {
        let failed = run(&["call", &inspector.url(scheme), "x"]).await;
        assert_eq!(failed.code, 3, "{failed:?}");
        assert!(failed.err.contains("502"), "{failed:?}");
        assert!(inspector.line().await.contains("refused"));
    }
}

#[tokio::test]
async fn message_pack_is_read() {
    let app = any(async |upgrade: WebSocketUpgrade| {
        upgrade.on_upgrade(async |mut socket| while socket.recv().await.is_some() {})
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = format!("ws://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(app)).await });
    let file = temporary("inspect-pack.jsonl");
    let inspector = Inspector::start(&to, &["--record", file.to_str().unwrap(), "--quiet"]).await;
    let (mut socket, _) = tokio_tungstenite::client_async(
        inspector.url("ws"),
        TcpStream::connect(inspector.address).await.unwrap(),
    )
    .await
    .unwrap();
    let mut packed = Vec::new();
    let text = r#"["push",["pipeline",0,["f"],[["bytes","AQID"]]]]"#;
    capnweb_wire::message_pack::from_json(text, &mut packed).unwrap();
    futures_util::SinkExt::send(&mut socket, packed.into())
        .await
        .unwrap();
    socket.close(None).await.unwrap();
    drop(socket);
    let recording = recorded(&file, 1).await;
    let is_packed = |entry: &capnweb_inspect::Entry| matches!(&entry.event, Event::Message { body: Body::MessagePack(found), .. } if found == text);
    assert!(recording.entries.iter().any(is_packed), "{recording:?}");
}

/// Requests a path of the page.
async fn get(address: SocketAddr, path: &str, host: &str) -> (String, TcpStream) {
    let mut client = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    (head(&mut client).await, client)
}

/// Reads until a text has come.
async fn until(stream: &mut TcpStream, text: &str) -> String {
    let mut all = Vec::new();
    let read = async {
        let mut buffer = [0; 4096];
        while !String::from_utf8_lossy(&all).contains(text) {
            let len = stream.read(&mut buffer).await.unwrap();
            assert!(
                len > 0,
                "{text} does not come: {}",
                String::from_utf8_lossy(&all)
            );
            all.extend_from_slice(&buffer[..len]);
        }
    };
    tokio::time::timeout(LIMIT, read)
        .await
        .expect("the event comes");
    String::from_utf8_lossy(&all).into_owned()
}

#[tokio::test]
async fn the_page_is_told_of_calls_and_served_to_itself_alone() {
    let server = Server::start().await;
    let mut inspector = Inspector::start(&server.ws(), &["--web", "127.0.0.1:0", "--quiet"]).await;
    let line = inspector.line().await;
    let address = line.strip_prefix("the page: http://").expect(&line);
    let address: SocketAddr = address.trim_end_matches('/').parse().unwrap();
    let (told, mut page) = get(address, "/", &address.to_string()).await;
    assert!(
        told.starts_with("HTTP/1.1 200") && told.contains("content-security-policy"),
        "{told}"
    );
    until(&mut page, "</html>").await;
    let (told, mut events) = get(address, "/events", "localhost").await;
    assert!(told.contains("text/event-stream"), "{told}");
    until(&mut events, "event: all").await;
    ok(&["call", &inspector.url("ws"), "add(1, 2)"]).await;
    until(&mut events, "\"label\":\"add(1, 2)\"").await;
    for (path, host, status) in [
        ("/", "evil.example", "403"),
        ("/events", "evil.example:80", "403"),
        ("/x", "127.0.0.1", "404"),
    ] {
        let (told, _) = get(address, path, host).await;
        assert!(
            told.starts_with(&format!("HTTP/1.1 {status}")),
            "{host}{path}: {told}"
        );
    }
}

#[tokio::test]
async fn a_recording_is_replayed() {
    let server = Server::start().await;
    let file = temporary("inspect-replay.jsonl");
    let path = file.to_str().unwrap();
    let inspector = Inspector::start(&server.ws(), &["--record", path, "--quiet"]).await;
    let url = inspector.url("ws");
    ok(&[
        "call",
        &url,
        "let u = await authenticate('t'); [u.getId(), u.name, getUserName(3)]",
    ])
    .await;
    ok(&["call", &url, "countDown(3, n => console.log(n))"]).await;
    ok(&["call", &url, "count(3)"]).await;
    ok(&["call", &inspector.url("http"), FRIENDS]).await;
    run(&["call", &url, "fail()"]).await;
    recorded(&file, 5).await;

    let replayed = run(&["replay", path, "--to", &server.ws()]).await;
    assert_eq!(replayed.code, 0, "{replayed:?}");
    assert!(
        replayed.out.ends_with(" answers are as recorded\n"),
        "{replayed:?}"
    );
    let over_http = run(&["replay", path, "--to", &server.http(), "--session", "4"]).await;
    assert_eq!(
        (over_http.code, over_http.out.as_str()),
        (0, "1 answer is as recorded\n"),
        "{over_http:?}"
    );
    let needs_session = run(&["replay", path, "--to", &server.http(), "--session", "1"]).await;
    assert_eq!(needs_session.code, 2, "{needs_session:?}");
    assert!(
        needs_session.err.contains("replay it to ws://"),
        "{needs_session:?}"
    );

    let other = Server::of(|| {
        capnweb::Object::new()
            .method("getUserName", |id: u32| async move {
                Ok(format!("person {id}"))
            })
            .method("authenticate", |_: Value| async move {
                let user = capnweb::Object::new().property("name", "bob");
                Ok(user.method("getId", async || Ok(7)).into_stub())
            })
            .into_stub()
    })
    .await;
    let differs = run(&["replay", path, "--to", &other.ws(), "--session", "1"]).await;
    assert_eq!(differs.code, 1, "{differs:?}");
    // Answers are compared in the order in which the recording has them, which is the server's.
    let mut lines: Vec<_> = differs.out.lines().collect();
    lines.sort_unstable();
    let expected = [
        "session 1, call 3, getUserName(3): recorded \"user 3\", now \"person 3\"",
        "session 1, call 4, name: recorded \"ada\", now \"bob\"",
    ];
    assert_eq!(lines, expected);
    let mut command = command(&["replay", path, "--to", &other.ws(), "--session", "5"]);
    command.stdin(Stdio::null());
    let differs = finish(command).await;
    assert!(differs.out.contains("call 1, fail()"), "{differs:?}");
    for (args, text) in [
        (
            &["replay", path, "--to", &server.ws(), "--session", "99"][..],
            "there is no such session",
        ),
        (
            &["replay", "Cargo.toml", "--to", "ws://a"],
            "this is no recording",
        ),
    ] {
        let failed = run(args).await;
        assert_eq!(failed.code, 2, "{failed:?}");
        assert!(failed.err.contains(text), "{failed:?}");
    }
}
