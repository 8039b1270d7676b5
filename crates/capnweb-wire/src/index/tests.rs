use super::*;
use crate::{Picked, Step, pick};

fn whole(text: &str) -> Span {
    span(0, text.len()).unwrap()
}

/// Picks with and without an index and checks that both find the same.
fn check(text: &str, at: Span, step: &Step<'_>, index: &Index) -> Picked {
    let found = pick(text, at, step, Some(index));
    assert_eq!(found, pick(text, at, step, None), "{step}");
    found
}

fn value(text: &str, at: Span, step: &Step<'_>, index: &Index) -> Span {
    match check(text, at, step, index) {
        Picked::Value(span) => span,
        other => panic!("{step} led to {other:?}"),
    }
}

#[test]
fn long_arrays() {
    let items: Vec<_> = (0..5000)
        .map(|i| match i % 50 {
            7 => format!("[[{}]]", vec!["1"; 3000].join(",")),
            8 => format!("\"{}\"", "x".repeat(5000)),
            9 => format!("{}{i}", " ".repeat(100)),
            _ => i.to_string(),
        })
        .collect();
    let text = format!("[[{}]]", items.join(","));
    let index = Index::new(&text);
    for place in (0..5000).step_by(7).chain([7, 8, 9, 4957, 4999]) {
        let found = value(&text, whole(&text), &Step::Index(place), &index);
        let item = items[usize::try_from(place).unwrap()].trim();
        assert_eq!(found.of(&text), item, "{place}");
    }
    let beyond = check(&text, whole(&text), &Step::Index(5000), &index);
    assert_eq!(beyond, Picked::Undefined);
    // Also into a large element.
    let inner = value(&text, whole(&text), &Step::Index(7), &index);
    let leaf = value(&text, inner, &Step::Index(2999), &index);
    assert_eq!(leaf.of(&text), "1");
}

#[test]
fn large_objects() {
    let members: Vec<_> = (0..5000)
        .map(|i| match i % 100 {
            3 => format!("\"dup\":{i}"),
            4 => format!("\"k\\u{:04x}{i}\" : [[{i}]]", u32::from('é')),
            5 => format!("\"k{i}\":\"{}\"", "y".repeat(3000)),
            6 => format!("\"{}\":{i}", "z".repeat(i)),
            _ => format!("\"k{i}\":{i}"),
        })
        .collect();
    let text = format!("{{{}}}", members.join(" ,"));
    let index = Index::new(&text);
    let find = |key: &str| value(&text, whole(&text), &Step::Key(key.into()), &index).of(&text);
    assert_eq!(find("dup"), "4903");
    assert_eq!(find("k0"), "0");
    assert_eq!(find("k4999"), "4999");
    assert_eq!(find("ké4904"), "[[4904]]");
    assert_eq!(find("k4905").len(), 3002);
    assert_eq!(find(&"z".repeat(4906)), "4906");
    for key in ["", "k", "k5000", "zz", "__proto__"] {
        let missing = check(&text, whole(&text), &Step::Key(key.into()), &index);
        assert_eq!(missing, Picked::Undefined, "{key}");
    }
}

#[test]
fn an_object_of_one_key_over_and_over() {
    let text = format!("{{{}\"a\":2}}", "\"a\":1,".repeat(10_000));
    let index = Index::new(&text);
    let found = value(&text, whole(&text), &Step::Key("a".into()), &index);
    assert_eq!(found.of(&text), "2");
}

#[test]
fn deep_chains_need_no_listings() {
    let core = "x".repeat(4096);
    let mut text = format!("\"{core}\"");
    for _ in 0..200 {
        text = format!("{{\"n\":{text},\"z\":[[{{}}]]}}");
    }
    let index = Index::new(&text);
    let mut at = whole(&text);
    for _ in 0..200 {
        at = value(&text, at, &Step::Key("n".into()), &index);
    }
    assert_eq!(at.len(), 4098);
    assert_eq!(index.listings().len(), 0);
    assert_eq!(index.outline.get().unwrap().large.len(), 201);
}

#[test]
fn memory_stays_below_the_text() {
    let text = format!("{{{}\"\":1}}", "\"\":1,".repeat(100_000));
    let index = Index::new(&text);
    value(&text, whole(&text), &Step::Key("".into()), &index);
    let listings = index.listings();
    let bytes: usize = listings
        .values()
        .map(|listing| {
            let keys = listing.keys.as_ref().unwrap();
            listing.marks.len() * size_of::<Mark>()
                + keys.buckets.len() * size_of::<u32>()
                + keys.starts.len() * size_of::<u32>()
        })
        .sum();
    assert!(bytes > 0);
    assert!(bytes < text.len(), "{bytes} for {}", text.len());
}

#[test]
fn shared_between_threads() {
    let text = format!(
        "[[{}]]",
        (0..10_000)
            .map(|i| i.to_string())
            .collect::<Vec<_>>()
            .join(",")
    );
    let index = Index::new(&text);
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let (text, index) = (&text, &index);
            scope.spawn(move || {
                for place in (thread..10_000).step_by(997) {
                    let found = value(text, whole(text), &Step::Index(place), index);
                    assert_eq!(found.of(text), place.to_string());
                }
            });
        }
    });
}

#[test]
fn nonsense_does_no_harm() {
    let garbage = ["[[", "{\"a\":", "]", "\"", "{\"a\":[[1,]}", "[[\\", ","];
    for seed in garbage {
        let text = format!("{}{}", "[[", seed.repeat(2000));
        let index = Index::new(&text);
        for step in [Step::Index(0), Step::Index(900), Step::Key("a".into())] {
            // It only matters that this returns.
            let _ = pick(&text, whole(&text), &step, Some(&index));
        }
    }
}
