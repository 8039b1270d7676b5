//! Benchmarks of the wire format: scanning compared with parsing into `serde_json::Value`, and
//! writing and reading Rust values compared with `serde_json`.

use std::hint::black_box;

use capnweb_wire::{
    Index, Limits, NoCapabilities, Picked, Source, Span, Step, from_args, pick, scan_frame, to_args,
};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

/// Returns the frames of one call, and two larger messages.
fn frames() -> Vec<(&'static str, String)> {
    let user = r#"{"id":17,"name":"Ada Lovelace","email":"ada@example.com","tags":[["a","b"]],"at":["date",1700000000000],"on":["export",-5]}"#;
    let list = vec![user; 200].join(",");
    let text = "All work and no play makes Jack a dull boy.\\n".repeat(1500);
    vec![
        (
            "push",
            r#"["push",["pipeline",0,["add"],[2,3]]]"#.to_owned(),
        ),
        ("pull", r#"["pull",12345]"#.to_owned()),
        ("release", r#"["release",12345,1]"#.to_owned()),
        ("resolve", r#"["resolve",12345,5]"#.to_owned()),
        ("user", format!(r#"["resolve",12345,{user}]"#)),
        ("users", format!(r#"["resolve",12345,[[{list}]]]"#)),
        ("text", format!(r#"["resolve",12345,"{text}"]"#)),
    ]
}

fn scan(c: &mut Criterion) {
    let limits = Limits::default();
    for (name, frame) in frames() {
        let mut group = c.benchmark_group(format!("scan/{name}"));
        group.throughput(Throughput::Bytes(frame.len() as u64));
        let mut holes = Vec::new();
        group.bench_function("capnweb", |b| {
            b.iter(|| scan_frame(black_box(&frame), &limits, &mut holes).is_ok());
        });
        group.bench_function("serde_json", |b| {
            b.iter(|| serde_json::from_str::<serde_json::Value>(black_box(&frame)).is_ok());
        });
        group.finish();
    }
}

/// The arguments of a call, without lists, so that both formats have the same text for them.
type Args<'a> = (u32, f64, &'a str, (), Option<bool>);

const ARGS: Args<'_> = (17, 0.25, "Ada Lovelace, \u{e9}", (), Some(true));

fn values(c: &mut Criterion) {
    let mut out = Vec::new();
    let mut group = c.benchmark_group("write/args");
    group.bench_function("capnweb", |b| {
        b.iter(|| {
            out.clear();
            to_args(black_box(&ARGS), &mut out, &mut NoCapabilities).is_ok()
        });
    });
    group.bench_function("serde_json", |b| {
        b.iter(|| {
            out.clear();
            serde_json::to_writer(&mut out, black_box(&ARGS)).is_ok()
        });
    });
    group.finish();

    let text = r#"[17,0.25,"Ada Lovelace, é",null,true]"#;
    let mut group = c.benchmark_group("read/args");
    group.bench_function("capnweb", |b| {
        b.iter(|| {
            let source = Source {
                text: black_box(text),
                holes: &[],
                capabilities: &NoCapabilities,
            };
            from_args::<Args<'_>>(&source).is_ok()
        });
    });
    group.bench_function("serde_json", |b| {
        b.iter(|| serde_json::from_str::<Args<'_>>(black_box(text)).is_ok());
    });
    group.finish();
}

fn picks(c: &mut Criterion) {
    let items: Vec<_> = (0..20_000).map(|i| format!("{{\"id\":{i}}}")).collect();
    let text = format!("[[{}]]", items.join(","));
    let at = Span {
        start: 0,
        end: u32::try_from(text.len()).unwrap_or(0),
    };
    let last = Step::Index(19_999);
    let mut group = c.benchmark_group("pick/last of 20000");
    group.bench_function("walk", |b| {
        b.iter(|| pick(black_box(&text), at, &last, None));
    });
    let index = Index::new(&text);
    group.bench_function("index", |b| {
        b.iter(|| pick(black_box(&text), at, &last, Some(&index)));
    });
    group.bench_function("index, first", |b| {
        b.iter_batched(
            || Index::new(&text),
            |index| matches!(pick(&text, at, &last, Some(&index)), Picked::Value(_)),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group!(wire, scan, values, picks);
criterion_main!(wire);
