//! Picking from a text agrees with picking from a tree.

use capnweb_wire::{
    Expr, Index, JsString, Kind, Picked, Span, Step, elements, is_prototype_name, kind, pick,
};
use proptest::prelude::*;

use crate::generate;

#[derive(Debug, PartialEq)]
enum Model<'a> {
    Value(&'a Expr),
    Undefined,
    Through,
}

/// Returns the result of a step in a tree.
fn model<'a>(expr: &'a Expr, step: &Step<'_>) -> Model<'a> {
    let found = match expr {
        Expr::Undefined => return Model::Through,
        Expr::Array(items) => step
            .as_index()
            .and_then(|index| items.get(usize::try_from(index).ok()?)),
        Expr::Object(_) if is_prototype_name(&step.as_key()) => None,
        Expr::Object(_) => expr.get(&step.as_key()),
        _ => None,
    };
    found.map_or(Model::Undefined, Model::Value)
}

/// Returns steps from an expression, some of which lead nowhere.
fn steps_from(expr: &Expr) -> Vec<Step<'static>> {
    let mut steps = vec![
        Step::Key("a".into()),
        Step::Key("".into()),
        Step::Key("toJSON".into()),
        Step::Key("01".into()),
        Step::Index(0),
        Step::Index(1 << 40),
        Step::Number(-1.0),
        Step::Number(0.5),
    ];
    match expr {
        Expr::Array(items) => {
            for place in 0..items.len() {
                steps.push(Step::Index(u64::try_from(place).unwrap()));
                steps.push(Step::Key(place.to_string().into()));
            }
        }
        Expr::Object(members) => {
            let names = members.iter().map(|(key, _)| key.to_str().into_owned());
            steps.extend(names.map(|name| Step::Key(name.into())));
        }
        _ => {}
    }
    steps
}

fn expected_kind(expr: &Expr) -> Kind {
    match expr {
        Expr::Undefined => Kind::Undefined,
        Expr::Null => Kind::Null,
        Expr::Bool(_) => Kind::Bool,
        Expr::Number(_) => Kind::Number,
        Expr::String(_) => Kind::String,
        Expr::Array(_) => Kind::Array,
        Expr::Object(_) => Kind::Object,
        Expr::BigInt(_) => Kind::BigInt,
        Expr::Date(_) => Kind::Date,
        Expr::Bytes(..) => Kind::Bytes,
        Expr::Error(_) => Kind::Error,
        Expr::Url(_) => Kind::Url,
        Expr::Headers(_) => Kind::Headers,
        Expr::Request(_) => Kind::Request,
        Expr::Response(_) => Kind::Response,
        Expr::Blob(..) => Kind::Blob,
        _ => Kind::Capability,
    }
}

/// Picks everything that can be picked, level by level.
fn check(text: &str, at: Span, expr: &Expr, index: Option<&Index>) {
    assert_eq!(kind(text, at), expected_kind(expr));
    let items = elements(text, at).map(Iterator::count);
    let expected = match expr {
        Expr::Array(items) => Some(items.len()),
        _ => None,
    };
    assert_eq!(items, expected);
    for step in steps_from(expr) {
        let found = pick(text, at, &step, index);
        match (found, model(expr, &step)) {
            (Picked::Value(span), Model::Value(value)) => {
                assert_eq!(span.of(text).parse().as_ref(), Ok(value), "{step}");
                check(text, span, value, index);
            }
            (Picked::Undefined, Model::Undefined) | (Picked::Through, Model::Through) => {}
            (found, expected) => panic!("{step} led to {found:?} instead of {expected:?}"),
        }
    }
}

fn whole(text: &str) -> Span {
    Span {
        start: 0,
        end: u32::try_from(text.len()).unwrap(),
    }
}

proptest! {
    #[test]
    fn picks_match_the_model(expr in generate::expr(), spaces in generate::spaces()) {
        let text = generate::loosen(&expr.to_string(), &spaces);
        // White space around an expression does not belong to it.
        let text = text.trim();
        // Reading again drops nothing, but distinguishes raw JSON texts that differ in white space.
        let expr: Expr = text.parse().unwrap();
        check(text, whole(text), &expr, None);
        check(text, whole(text), &expr, Some(&Index::new(text)));
    }
}

proptest! {
    // Each case is a large text.
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn picks_from_long_containers_match_the_model(
        items in prop::collection::vec(generate::expr(), 1..6),
        copies in 50..150_usize,
        object: bool,
        spaces in generate::spaces(),
    ) {
        let items: Vec<_> = items.iter().cycle().take(copies).cloned().collect();
        let key = |place: usize| JsString::from(format!("k{}", place * 7 % 150));
        let expr = if object {
            Expr::Object(items.into_iter().enumerate().map(|(place, item)| (key(place), item)).collect())
        } else {
            Expr::Array(items)
        };
        let text = generate::loosen(&expr.to_string(), &spaces);
        let text = text.trim();
        let expr: Expr = text.parse().unwrap();
        let index = Index::new(text);
        for step in steps_from(&expr).iter().step_by(5) {
            prop_assert_eq!(
                pick(text, whole(text), step, Some(&index)),
                pick(text, whole(text), step, None),
                "{}", step
            );
        }
    }
}
