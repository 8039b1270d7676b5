//! Each side of a call alone, and both together, without sockets.

use capnweb_benches::parts::{ClientOnly, GROUP, InSession, Local, Part, ServerOnly, Way};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

fn parts(c: &mut Criterion) {
    let parts: [(&str, Box<dyn Part>); 6] = [
        ("server only", Box::<ServerOnly>::default()),
        ("client only", Box::<ClientOnly>::default()),
        ("client only, lasting", Box::new(ClientOnly::lasting())),
        ("session, grouped", Box::new(InSession::new(Way::Grouped))),
        (
            "session, one by one",
            Box::new(InSession::new(Way::OneByOne)),
        ),
        ("local", Box::<Local>::default()),
    ];
    let mut group = c.benchmark_group("parts");
    group.throughput(Throughput::Elements(GROUP as u64));
    for (name, part) in parts {
        let part = std::cell::RefCell::new(part);
        group.bench_function(name, |b| {
            b.iter_batched(
                || part.borrow_mut().prepare(GROUP),
                |()| part.borrow_mut().run(),
                // Each run uses what was prepared for it.
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, parts);
criterion_main!(benches);
