//! Benchmarks of writing and reading Rust values, compared with serde_json on the same values.

use std::{collections::HashMap, hint::black_box};

use capnweb_wire::{
    ArgsReader, NoCapabilities, Source, from_args, from_expr, to_args, to_expr, write_string,
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct User {
    id: u32,
    user_name: String,
    email: Option<String>,
    tags: Vec<String>,
    score: f64,
}

fn user() -> User {
    User {
        id: 17,
        user_name: "Ada Lovelace".into(),
        email: Some("ada@example.com".into()),
        tags: vec!["a".into(), "b".into()],
        score: 0.75,
    }
}

/// Measures writing `value` in both formats into a reused buffer.
fn write_both<T: Serialize>(c: &mut Criterion, name: &str, value: &T) {
    let mut group = c.benchmark_group(format!("write/{name}"));
    let mut out = Vec::with_capacity(1 << 20);
    group.bench_function("capnweb", |b| {
        b.iter(|| {
            out.clear();
            to_expr(black_box(value), &mut out, &mut NoCapabilities).is_ok()
        });
    });
    group.throughput(Throughput::Bytes(out.len() as u64));
    group.bench_function("serde_json", |b| {
        b.iter(|| {
            out.clear();
            serde_json::to_writer(&mut out, black_box(value)).is_ok()
        });
    });
    group.finish();
}

fn write(c: &mut Criterion) {
    let mut out = Vec::with_capacity(64);
    c.bench_function("write/args (2, 3)/capnweb", |b| {
        b.iter(|| {
            out.clear();
            to_args(black_box(&(2, 3)), &mut out, &mut NoCapabilities).is_ok()
        });
    });
    write_both(c, "number", &2.5);
    write_both(c, "user", &user());
    write_both(c, "users", &vec![user(); 200]);
    let text = "All work and no play makes Jack a dull boy.\n".repeat(1500);
    let mut group = c.benchmark_group("write/text");
    group.throughput(Throughput::Bytes(text.len() as u64));
    let mut out = Vec::with_capacity(2 * text.len());
    group.bench_function("capnweb", |b| {
        b.iter(|| {
            out.clear();
            write_string(&mut out, black_box(&text));
        });
    });
    group.bench_function("serde_json", |b| {
        b.iter(|| {
            out.clear();
            serde_json::to_writer(&mut out, black_box(&text)).is_ok()
        });
    });
    group.finish();
}

/// Measures reading `value` from its expression and from its JSON.
fn read_both<T: Serialize + for<'de> Deserialize<'de>>(c: &mut Criterion, name: &str, value: &T) {
    let mut expr = Vec::new();
    let written = to_expr(value, &mut expr, &mut NoCapabilities);
    let expr = written.ok().and_then(|()| String::from_utf8(expr).ok());
    let (Some(expr), Ok(json)) = (expr, serde_json::to_string(value)) else {
        return;
    };
    let mut group = c.benchmark_group(format!("read/{name}"));
    group.throughput(Throughput::Bytes(expr.len() as u64));
    group.bench_function("capnweb", |b| {
        b.iter(|| from_expr::<T>(&source(black_box(&expr))).is_ok());
    });
    group.bench_function("serde_json", |b| {
        b.iter(|| serde_json::from_str::<T>(black_box(&json)).is_ok());
    });
    group.finish();
}

fn source(text: &str) -> Source<'_> {
    Source {
        text,
        holes: &[],
        capabilities: &NoCapabilities,
    }
}

fn read(c: &mut Criterion) {
    let mut group = c.benchmark_group("read/args [2,3]");
    group.bench_function("capnweb, integers", |b| {
        b.iter(|| from_args::<(u32, u32)>(&source(black_box("[2,3]"))).ok());
    });
    group.bench_function("capnweb, floats", |b| {
        b.iter(|| from_args::<(f64, f64)>(&source(black_box("[2,3]"))).ok());
    });
    group.bench_function("capnweb, one by one", |b| {
        b.iter(|| {
            let mut args = ArgsReader::new(black_box("[2,3]"), &[]);
            let first = args.next::<f64>(&NoCapabilities).ok();
            (first, args.next::<f64>(&NoCapabilities).ok())
        });
    });
    group.bench_function("serde_json, floats", |b| {
        b.iter(|| serde_json::from_str::<(f64, f64)>(black_box("[2,3]")).ok());
    });
    group.finish();
    read_both(c, "number", &2.5);
    read_both(c, "user", &user());
    read_both(c, "users", &vec![user(); 200]);
    let map: HashMap<_, _> = (0..100).map(|key| (format!("key{key}"), key)).collect();
    read_both(c, "map of 100", &map);
    if let Ok(value) = serde_json::to_value(vec![user(); 200]) {
        read_both(c, "users as any value", &value);
    }
}

criterion_group!(serde, write, read);
criterion_main!(serde);
