//! Benchmarks of long byte strings: an echo of a mebibyte, and streams of 64 KiB chunks, as JSON
//! and as MessagePack.

use std::hint::black_box;

use capnweb::{
    Bytes, Encoding, Limits, Object, Result, Session, SessionOptions, Stub, pair,
    stream::Readable,
    transport::{Connection, FramesTransport, LinesTransport},
    ws,
};
use capnweb_wire::{NoCapabilities, Source, from_expr, message_pack, scan_frame, to_expr};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::net::{TcpListener, TcpStream};

const MIB: usize = 1 << 20;
const CHUNK: usize = 64 * 1024;
const CHUNKS: usize = 256;

/// Returns bytes whose base64 contains every digit.
fn bytes(len: usize) -> Bytes {
    (0..len)
        .map(|at| u8::try_from(at * 31 % 251).unwrap_or(0))
        .collect()
}

fn chunks(chunk: Bytes) -> Readable<Bytes> {
    Readable::from_stream(stream::iter(0..CHUNKS).map(move |_| chunk.clone()))
}

async fn count(chunks: Readable<Bytes>) -> Result<usize> {
    chunks
        .try_fold(0, |sum, chunk| async move { Ok(sum + chunk.len()) })
        .await
}

fn service() -> Stub {
    let chunk = bytes(CHUNK);
    Object::new()
        .sync_method("echo", |bytes: Bytes| Ok(bytes))
        .method("download", move || {
            let chunk = chunk.clone();
            async move { Ok(chunks(chunk)) }
        })
        .method("upload", async |chunks: Readable<Bytes>| {
            count(chunks).await
        })
        .into_stub()
}

/// Creates a connected server and client, whose drivers are polled by the benchmark, and returns
/// them with the client's main stub.
fn session() -> (Connection, Connection, Stub) {
    let (_, mut server) = Session::server(SessionOptions::new());
    server.set_main(service());
    let (session, client) = Session::client(SessionOptions::new());
    (server, client, session.main())
}

async fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let address = listener.local_addr().expect("an address");
    let (left, right) = tokio::join!(listener.accept(), TcpStream::connect(address));
    let (left, right) = (left.expect("a connection").0, right.expect("a connection"));
    left.set_nodelay(true).expect("an option");
    right.set_nodelay(true).expect("an option");
    (left, right)
}

fn in_process() -> Stub {
    let (server, client, main) = session();
    let (left, right) = pair();
    tokio::spawn(server.drive(left));
    tokio::spawn(client.drive(right));
    main
}

async fn lines() -> Stub {
    let (server, client, main) = session();
    let (left, right) = tcp().await;
    let limits = Limits::default();
    tokio::spawn(server.drive(LinesTransport::new(left, &limits)));
    tokio::spawn(client.drive(LinesTransport::new(right, &limits)));
    main
}

async fn frames() -> Stub {
    let (server, client, main) = session();
    let (left, right) = tcp().await;
    let limits = Limits::default();
    let packed = Encoding::MessagePack;
    tokio::spawn(server.drive(FramesTransport::new(left, packed, &limits)));
    tokio::spawn(client.drive(FramesTransport::new(right, packed, &limits)));
    main
}

async fn web_socket(encoding: Encoding) -> Stub {
    let app = axum::Router::new().route(
        "/",
        axum::routing::any(async move |upgrade: ws::Upgrade| {
            let (_session, mut connection) = Session::server(SessionOptions::new());
            connection.set_main(service());
            upgrade.encoding(encoding).serve(connection)
        }),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, app).await });
    ws::Connect::new(format!("ws://{address}/"))
        .encoding(encoding)
        .connect()
        .await
        .expect("a session")
}

fn sessions(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let _entered = runtime.enter();
    let ways = [
        ("local stub", service()),
        ("pair", in_process()),
        ("lines", runtime.block_on(lines())),
        ("frames", runtime.block_on(frames())),
        ("WebSocket", runtime.block_on(web_socket(Encoding::Json))),
        (
            "WebSocket packed",
            runtime.block_on(web_socket(Encoding::MessagePack)),
        ),
    ];

    let mut group = c.benchmark_group("echo 1 MiB");
    group.throughput(Throughput::Bytes(MIB as u64));
    let sent = bytes(MIB);
    for (name, api) in &ways {
        let echo = || async {
            let back: Bytes = api.call("echo", (&sent,)).fetch().await.expect("bytes");
            assert_eq!(back.len(), sent.len());
        };
        group.bench_function(*name, |b| b.iter(|| runtime.block_on(echo())));
    }
    group.finish();

    let total = CHUNKS * CHUNK;
    for (direction, down) in [("down", true), ("up", false)] {
        let mut group = c.benchmark_group(format!("stream {direction}"));
        group.sample_size(20);
        group.throughput(Throughput::Bytes(total as u64));
        for (name, api) in &ways {
            let stream = || async {
                let got = if down {
                    let download = api.call("download", ()).fetch::<Readable<Bytes>>().await;
                    count(download.expect("a stream")).await
                } else {
                    let upload = chunks(bytes(CHUNK));
                    api.call("upload", (upload,)).fetch::<usize>().await
                };
                assert_eq!(got.expect("a count"), total);
            };
            group.bench_function(*name, |b| b.iter(|| runtime.block_on(stream())));
        }
        group.finish();
    }
}

/// Measures the single steps.
fn steps(c: &mut Criterion) {
    let mut group = c.benchmark_group("1 MiB");
    group.throughput(Throughput::Bytes(MIB as u64));
    let value = bytes(MIB);
    let mut expr = Vec::new();
    group.bench_function("write", |b| {
        b.iter(|| {
            expr.clear();
            to_expr(black_box(&value), &mut expr, &mut NoCapabilities).expect("an expression");
        });
    });
    let expr = String::from_utf8(expr).expect("text");
    let message = format!(r#"["resolve",1,{expr}]"#);
    group.bench_function("scan", |b| {
        b.iter(|| {
            let mut holes = Vec::new();
            scan_frame(
                black_box(&message),
                &capnweb_wire::Limits::default(),
                &mut holes,
            )
            .expect("a frame");
        });
    });
    group.bench_function("check UTF-8", |b| {
        b.iter(|| std::str::from_utf8(black_box(message.as_bytes())).expect("text"));
    });
    group.bench_function("read", |b| {
        let source = Source {
            text: &expr,
            holes: &[],
            capabilities: &NoCapabilities,
        };
        b.iter(|| from_expr::<Bytes>(black_box(&source)).expect("bytes"));
    });
    let mut packed = Vec::new();
    group.bench_function("pack", |b| {
        b.iter(|| {
            packed.clear();
            message_pack::from_json(black_box(&message), &mut packed).expect("a message");
        });
    });
    let mut text = Vec::new();
    group.bench_function("unpack", |b| {
        b.iter(|| {
            text.clear();
            let limits = capnweb_wire::Limits::default();
            message_pack::to_json(black_box(&packed), &limits, &mut text).expect("a message");
        });
    });
    group.finish();
}

criterion_group!(benches, steps, sessions);
criterion_main!(benches);
