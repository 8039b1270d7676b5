//! Benchmarks of whole calls, without sockets.

use std::hint::black_box;

use capnweb::{Object, Session, SessionOptions, Stub, pair};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tokio::runtime::Runtime;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

fn adder() -> Stub {
    Object::new()
        .sync_method("add", |a: f64, b: f64| Ok(a + b))
        .into_stub()
}

/// Returns the main stub of a client, connected to a server in the same process.
fn connect() -> Stub {
    let (left, right) = pair();
    let (_, mut server) = Session::server(SessionOptions::new());
    server.set_main(adder());
    tokio::spawn(server.drive(left));
    let (session, client) = Session::client(SessionOptions::new());
    tokio::spawn(client.drive(right));
    session.main()
}

async fn add(api: &Stub) -> f64 {
    api.call("add", (black_box(2), black_box(3)))
        .fetch()
        .await
        .expect("a sum")
}

fn calls(c: &mut Criterion) {
    let runtime = runtime();
    let _entered = runtime.enter();
    let mut group = c.benchmark_group("call");

    let api = connect();
    group.throughput(Throughput::Elements(1));
    group.bench_function("in process, one at a time", |b| {
        b.iter(|| runtime.block_on(add(&api)));
    });

    const MANY: u64 = 256;
    group.throughput(Throughput::Elements(MANY));
    group.bench_function("in process, 256 in flight", |b| {
        b.iter(|| {
            runtime.block_on(async {
                let calls: Vec<_> = (0..MANY)
                    .map(|_| api.call("add", (2, 3)).fetch::<f64>())
                    .collect();
                for call in calls {
                    black_box(call.await.expect("a sum"));
                }
            });
        });
    });

    let local = adder();
    group.throughput(Throughput::Elements(1));
    group.bench_function("local stub", |b| {
        b.iter(|| runtime.block_on(add(&local)));
    });
    group.finish();
}

criterion_group!(benches, calls);
criterion_main!(benches);
