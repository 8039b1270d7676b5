//! A typed call compared with the same untyped call, in this process and over a session.

use std::hint::black_box;

use capnweb::{Stub, StubType};
use capnweb_benches::{ServiceStub, User, connect, dynamic, typed};
use criterion::{Criterion, criterion_group, criterion_main};

async fn add_typed(api: &ServiceStub) -> f64 {
    api.add(black_box(2.0), black_box(3.0))
        .await
        .expect("a sum")
}

async fn add_dynamic(api: &Stub) -> f64 {
    let sum = api.call("add", (black_box(2.0), black_box(3.0)));
    sum.fetch().await.expect("a sum")
}

async fn rename_typed(api: &ServiceStub, user: &User) -> User {
    api.rename(user, "Grace").await.expect("a user")
}

async fn rename_dynamic(api: &Stub, user: &User) -> User {
    api.call("rename", (user, "Grace"))
        .fetch()
        .await
        .expect("a user")
}

fn calls(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let _entered = runtime.enter();
    let user = User::example();
    for (place, typed, dynamic) in [
        ("local", typed(), dynamic()),
        (
            "session",
            ServiceStub::from_stub(connect(typed())),
            connect(dynamic()),
        ),
    ] {
        let mut group = c.benchmark_group(format!("typed/{place}"));
        group.bench_function("numbers, typed", |b| {
            b.iter(|| runtime.block_on(add_typed(&typed)));
        });
        group.bench_function("numbers, dynamic", |b| {
            b.iter(|| runtime.block_on(add_dynamic(&dynamic)));
        });
        group.bench_function("a value, typed", |b| {
            b.iter(|| runtime.block_on(rename_typed(&typed, &user)));
        });
        group.bench_function("a value, dynamic", |b| {
            b.iter(|| runtime.block_on(rename_dynamic(&dynamic, &user)));
        });
        group.finish();
    }
}

criterion_group!(benches, calls);
criterion_main!(benches);
