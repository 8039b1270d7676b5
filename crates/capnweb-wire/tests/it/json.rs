//! The scanner accepts the same JSON as an independent parser.

use capnweb_wire::{Expr, Limits, scan_expr};
use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 80, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::hash_map(any::<String>(), inner, 0..8)
                .prop_map(|members| Value::from(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// Returns the same value as an expression: every array is wrapped in another one.
fn escaped(value: &Value) -> Value {
    match value {
        Value::Array(items) => vec![items.iter().map(escaped).collect::<Value>()].into(),
        Value::Object(members) => members
            .iter()
            .map(|(key, value)| (key.clone(), escaped(value)))
            .collect(),
        plain => plain.clone(),
    }
}

/// Returns whether a tree equals a value.
fn same(expr: &Expr, value: &Value) -> bool {
    match (expr, value) {
        (Expr::Null, Value::Null) => true,
        (Expr::Bool(a), Value::Bool(b)) => a == b,
        (Expr::Number(a), Value::Number(b)) => Some(*a) == b.as_f64(),
        (Expr::String(a), Value::String(b)) => a.to_str() == *b,
        (Expr::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Expr::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && b.iter()
                    .all(|(key, b)| expr.get(key).is_some_and(|a| same(a, b)))
        }
        _ => false,
    }
}

/// Returns whether the scanner accepts `text` as JSON that it does not interpret.
fn is_json(text: &str) -> bool {
    scan_expr(
        &format!("[\"nan\",{text}]"),
        &Limits::default(),
        &mut Vec::new(),
    )
    .is_ok()
}

fn serde_agrees(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(&format!("[\"nan\",{text}]")).is_ok()
}

proptest! {
    #[test]
    fn json_values_round_trip(value in value(), pretty: bool) {
        let wrapped = escaped(&value);
        let text = if pretty {
            serde_json::to_string_pretty(&wrapped).unwrap()
        } else {
            wrapped.to_string()
        };
        let mut holes = Vec::new();
        scan_expr(&text, &Limits::default(), &mut holes).unwrap();
        prop_assert!(holes.is_empty());
        let expr: Expr = text.parse().unwrap();
        prop_assert!(same(&expr, &value), "{} became {}", text, expr);
        let again: Expr = expr.to_string().parse().unwrap();
        prop_assert_eq!(again, expr);
    }

    #[test]
    fn tokens_are_judged_as_serde_json_does(text in r#"([\[\]{},:]|"[a\\"]?"|-?[01]|\.5|e[+-]?2|true|null| ){0,12}"#) {
        prop_assert_eq!(is_json(&text), serde_agrees(&text), "{}", text);
    }

    #[test]
    fn strings_are_judged_as_serde_json_does(text in r#"(\\["\\/bfnrtux]|[0-9a-fA-F]{1,4}|[ -~]|é|😀|\t|"){0,20}"#) {
        let text = format!("\"{text}\"");
        prop_assert_eq!(is_json(&text), serde_agrees(&text), "{}", text);
    }

    #[test]
    fn numbers_are_judged_as_serde_json_does(text in r"-?[0-9]{0,3}(\.[0-9]{0,2})?([eE][+-]?[0-9]{0,3})?") {
        prop_assert_eq!(is_json(&text), serde_agrees(&text), "{}", text);
    }
}
