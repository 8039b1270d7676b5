//! Feeds arbitrary text to the scanner, and accepted text to everything that reads scanned text.

#![no_main]

use capnweb_wire::{
    Expr, Hole, Index, Kind, Limits, Message, NoCapabilities, Picked, Source, Span, Step, elements,
    from_expr, kind, pick, scan_expr, scan_frame, scan_list, steps,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let text = String::from_utf8_lossy(input);
    let limits = Limits {
        max_depth: 64,
        ..Limits::default()
    };
    let mut holes = Vec::new();
    let Ok(frame) = scan_frame(&text, &limits, &mut holes) else {
        assert!(Message::parse(&text, &limits).is_err());
        return;
    };
    check_tree(&text, &limits);
    let Some(expr) = frame.expression() else {
        assert!(holes.is_empty());
        return;
    };
    let mut again = Vec::new();
    assert_eq!(scan_expr(expr, &limits, &mut again), Ok(()));
    assert_eq!(again, holes);
    check_holes(expr, whole(expr), &holes, &limits);
    decode(expr, &holes);
    if let Ok(tree) = Expr::parse(expr, &limits) {
        let index = Index::new(expr);
        check_picks(expr, whole(expr), &tree, &index);
    }
});

fn whole(text: &str) -> Span {
    Span {
        start: 0,
        end: text.len() as u32,
    }
}

/// Checks that accepted text can be read as a tree, and that the tree is written as equivalent
/// text.
fn check_tree(text: &str, limits: &Limits) {
    let message = Message::parse(text, limits).expect("scanned");
    let written = message.to_string();
    let again = Message::parse(&written, limits).expect("written");
    assert_eq!(again.to_string(), written);
}

/// Checks that holes follow one another, and that the holes inside a hole come next in the list.
fn check_holes(text: &str, around: Span, holes: &[Hole], limits: &Limits) {
    let mut rest = holes;
    let mut before = around.start;
    while let Some((hole, after)) = rest.split_first() {
        let (inner, after) = after.split_at(hole.inner as usize);
        assert!(before <= hole.span.start && hole.span.end <= around.end);
        before = hole.span.end;
        assert!(hole.span.of(text).ends_with(']'));
        if let Some(path) = hole.path {
            steps(path.of(text)).for_each(drop);
        }
        if let Some(args) = hole.args {
            // The instructions of a map may be anything, but the arguments of a call are
            // expressions.
            let scanned = scan_list(args.of(text), limits, &mut Vec::new(), &mut Vec::new());
            assert!(scanned.is_ok() || hole.form == capnweb_wire::Form::Remap);
        }
        check_holes(text, hole.span, inner, limits);
        rest = after;
    }
}

/// Checks that decoding either succeeds or fails with an error, for example at a hole.
fn decode(text: &str, holes: &[Hole]) {
    let mut outer = Vec::new();
    let mut rest = holes;
    while let Some((hole, after)) = rest.split_first() {
        outer.push(hole.span);
        rest = &after[hole.inner as usize..];
    }
    let source = Source {
        text,
        holes: &outer,
        capabilities: &NoCapabilities,
    };
    let _ = from_expr::<serde_json::Value>(&source);
}

/// Checks that everything in the tree can be picked, with an index and without.
fn check_picks(text: &str, at: Span, tree: &Expr, index: &Index) {
    assert_eq!(
        kind(text, at) == Kind::Array,
        matches!(tree, Expr::Array(_))
    );
    match tree {
        Expr::Array(items) => {
            let spans: Vec<_> = elements(text, at).expect("an array").collect();
            assert_eq!(spans.len(), items.len());
            for (place, (span, item)) in spans.into_iter().zip(items).enumerate() {
                let picked = pick(text, at, &Step::Index(place as u64), Some(index));
                assert_eq!(picked, Picked::Value(span));
                check_picks(text, span, item, index);
            }
        }
        Expr::Object(members) => {
            for (key, _) in members {
                let step = Step::Key(key.to_str());
                let picked = pick(text, at, &step, Some(index));
                assert_eq!(picked, pick(text, at, &step, None));
                if let (Picked::Value(span), Some(value)) = (picked, tree.get(&key.to_str())) {
                    check_picks(text, span, value, index);
                }
            }
        }
        _ => {}
    }
}
