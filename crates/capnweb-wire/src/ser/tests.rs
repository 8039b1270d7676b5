use std::collections::{BTreeMap, HashMap};

use serde::{Serialize, Serializer};
use serde_json::json;

use super::*;
use crate::{BIGINT, BigInt, CAPABILITY, DATE, Date, NoCapabilities, RAW, Span, URL, Undefined};

fn expr<T: Serialize + ?Sized>(value: &T) -> String {
    let mut out = Vec::new();
    to_expr(value, &mut out, &mut NoCapabilities).unwrap();
    String::from_utf8(out).unwrap()
}

fn args<T: Serialize + ?Sized>(value: &T) -> String {
    let mut out = Vec::new();
    to_args(value, &mut out, &mut NoCapabilities).unwrap();
    String::from_utf8(out).unwrap()
}

fn refusal<T: Serialize + ?Sized>(value: &T) -> String {
    let mut out = b"before".to_vec();
    let error = to_expr(value, &mut out, &mut NoCapabilities).unwrap_err();
    assert_eq!(out, b"before", "a failure leaves nothing behind");
    error.to_string()
}

/// A newtype of any name around any value.
struct Newtype<T>(&'static str, T);

impl<T: Serialize> Serialize for Newtype<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(self.0, &self.1)
    }
}

#[derive(Serialize)]
struct Unit;

#[derive(Serialize)]
struct Wrapped<T>(T);

#[derive(Serialize)]
struct Pair(u8, u8);

#[derive(Serialize)]
enum Enum {
    Unit,
    Newtype(u8),
    Tuple(u8, u8),
    Struct { a: u8 },
}

#[test]
fn scalars() {
    assert_eq!(expr(&true), "true");
    assert_eq!(expr(&false), "false");
    assert_eq!(expr(&7_u8), "7");
    assert_eq!(expr(&-7_i16), "-7");
    assert_eq!(expr(&'é'), r#""é""#);
    assert_eq!(expr("a\"b"), r#""a\"b""#);
    assert_eq!(expr(&1.5_f64), "1.5");
    assert_eq!(expr(&0.1_f32), "0.1");
    assert_eq!(expr(&-0.0), "0");
}

#[test]
fn numbers_that_json_lacks() {
    assert_eq!(expr(&f64::INFINITY), r#"["inf"]"#);
    assert_eq!(expr(&f32::NEG_INFINITY), r#"["-inf"]"#);
    assert_eq!(expr(&f64::NAN), r#"["nan"]"#);
}

#[test]
fn integers_are_never_rounded() {
    assert_eq!(expr(&((1_i64 << 53) - 1)), "9007199254740991");
    assert_eq!(expr(&(1_i64 << 53)), r#"["bigint","9007199254740992"]"#);
    assert_eq!(expr(&-((1_i64 << 53) - 1)), "-9007199254740991");
    assert_eq!(expr(&-(1_i64 << 53)), r#"["bigint","-9007199254740992"]"#);
    assert_eq!(expr(&u64::MAX), r#"["bigint","18446744073709551615"]"#);
    assert_eq!(expr(&5_i128), "5");
    assert_eq!(
        expr(&u128::MAX),
        r#"["bigint","340282366920938463463374607431768211455"]"#
    );
    assert_eq!(expr(&u32::MAX), "4294967295");
}

#[test]
fn a_unit_is_undefined_only_as_a_whole() {
    assert_eq!(expr(&()), r#"["undefined"]"#);
    assert_eq!(expr(&Unit), r#"["undefined"]"#);
    assert_eq!(expr(&Wrapped(())), r#"["undefined"]"#);
    assert_eq!(expr(&Some(())), r#"["undefined"]"#);
    assert_eq!(expr(&vec![()]), "[[null]]");
    assert_eq!(expr(&BTreeMap::from([("a", ())])), r#"{"a":null}"#);
    assert_eq!(expr(&(Unit, Wrapped(()))), "[[null,null]]");
    assert_eq!(
        expr(&json!({"a": null, "b": [null]})),
        r#"{"a":null,"b":[[null]]}"#
    );
    assert_eq!(args(&((), 1, [()])), r#"[["undefined"],1,[[null]]]"#);
    assert_eq!(expr(&[Undefined]), r#"[[["undefined"]]]"#);
}

#[test]
fn options() {
    assert_eq!(expr(&None::<u8>), "null");
    assert_eq!(expr(&Some(3)), "3");
    assert_eq!(expr(&[Some(3), None]), "[[3,null]]");
    assert_eq!(args(&(None::<u8>,)), "[null]");
}

#[test]
fn options_that_can_be_left_out() {
    struct Optional<T>(T);
    impl<T: Serialize> Serialize for Optional<T> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_newtype_struct(crate::OPTIONAL, &self.0)
        }
    }
    let none = None::<u8>;
    assert_eq!(
        args(&(Optional(none), Optional(Some(3)), none)),
        r#"[["undefined"],3,null]"#
    );
    // This applies only to the argument itself, not to its content.
    assert_eq!(args(&(Optional(Some([none])),)), "[[[null]]]");
    assert_eq!(args(&(Optional(Some(none)),)), r#"[["undefined"]]"#);
    assert_eq!(args(&(Optional([Optional(none)]),)), "[[[null]]]");
}

#[test]
fn containers() {
    assert_eq!(expr(&Vec::<u8>::new()), "[[]]");
    assert_eq!(expr(&[1, 2]), "[[1,2]]");
    assert_eq!(expr(&(1, "a", [[true]])), r#"[[1,"a",[[[[true]]]]]]"#);
    assert_eq!(expr(&Pair(1, 2)), "[[1,2]]");
    assert_eq!(expr(&Wrapped([1])), "[[1]]");
    assert_eq!(expr(&HashMap::<u8, u8>::new()), "{}");
    assert_eq!(
        expr(&BTreeMap::from([("a", vec![1]), ("b", vec![])])),
        r#"{"a":[[1]],"b":[[]]}"#
    );
}

#[test]
fn bytes() {
    assert_eq!(expr(serde_bytes::Bytes::new(&[1])), r#"["bytes","AQ"]"#);
    assert_eq!(
        expr(&(serde_bytes::Bytes::new(&[0xff, 0xef, 0xfe]),)),
        r#"[[["bytes","/+/+"]]]"#
    );
    assert_eq!(expr(serde_bytes::Bytes::new(&[])), r#"["bytes",""]"#);
}

#[test]
fn structs_and_their_attributes() {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct User {
        user_name: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        nick: Option<&'static str>,
        #[serde(flatten)]
        rest: BTreeMap<&'static str, u64>,
    }
    let user = User {
        user_name: "Ann",
        nick: None,
        rest: BTreeMap::from([("a", 1), ("b", u64::MAX)]),
    };
    assert_eq!(
        expr(&user),
        r#"{"userName":"Ann","a":1,"b":["bigint","18446744073709551615"]}"#
    );
}

#[test]
fn enums() {
    assert_eq!(expr(&Enum::Unit), r#""Unit""#);
    assert_eq!(expr(&Enum::Newtype(1)), r#"{"Newtype":1}"#);
    assert_eq!(expr(&Enum::Tuple(1, 2)), r#"{"Tuple":[[1,2]]}"#);
    assert_eq!(expr(&Enum::Struct { a: 1 }), r#"{"Struct":{"a":1}}"#);
    assert_eq!(
        expr(&[Enum::Tuple(1, 2), Enum::Newtype(3), Enum::Unit]),
        r#"[[{"Tuple":[[1,2]]},{"Newtype":3},"Unit"]]"#
    );
}

#[test]
fn map_keys() {
    #[derive(Serialize, PartialEq, Eq, PartialOrd, Ord)]
    enum Color {
        Red,
    }
    assert_eq!(
        expr(&BTreeMap::from([(-1_i64, 1), (u8::MAX.into(), 2)])),
        r#"{"-1":1,"255":2}"#
    );
    assert_eq!(
        expr(&BTreeMap::from([(u128::MAX, 1)])),
        format!("{{\"{}\":1}}", u128::MAX)
    );
    assert_eq!(expr(&BTreeMap::from([(true, 1)])), r#"{"true":1}"#);
    assert_eq!(expr(&BTreeMap::from([('"', 1)])), r#"{"\"":1}"#);
    assert_eq!(expr(&BTreeMap::from([(Color::Red, 1)])), r#"{"Red":1}"#);
    assert_eq!(
        expr(&BTreeMap::from([(Some(Newtype("Id", "x").1), 1)])),
        r#"{"x":1}"#
    );
    for message in [
        refusal(&BTreeMap::from([((1, 2), 1)])),
        refusal(&BTreeMap::from([((), 1)])),
        refusal(&BTreeMap::from([(None::<u8>, 1)])),
        refusal(&BTreeMap::from([(BTreeMap::from([(1, 1)]), 1)])),
    ] {
        assert!(
            message.starts_with("a map's key must be a string"),
            "{message}"
        );
    }
}

#[test]
fn display_is_written_without_detour() {
    assert_eq!(expr(&std::net::Ipv4Addr::LOCALHOST), r#""127.0.0.1""#);
    struct Shown;
    impl Serialize for Shown {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(&format_args!("{}\"{}", 1, '\n'))
        }
    }
    assert_eq!(expr(&Shown), r#""1\"\n""#);
}

#[test]
fn special_values() {
    assert_eq!(expr(&Date::from_millis(-5)), r#"["date",-5]"#);
    assert_eq!(expr(&Date::INVALID), r#"["date",null]"#);
    assert_eq!(expr(&BigInt::from(5)), r#"["bigint","5"]"#);
    assert_eq!(
        expr(&[BigInt::from(i128::MIN)]),
        format!(r#"[[["bigint","{}"]]]"#, i128::MIN)
    );
    assert_eq!(
        expr(&Newtype(URL, "https://a/\"")),
        r#"["url","https://a/\""]"#
    );
    assert_eq!(expr(&Newtype(BIGINT, 7_u8)), r#"["bigint","7"]"#);
    assert_eq!(expr(&Newtype("$other", 7_u8)), "7");
}

#[test]
fn reserved_names_hold_only_what_they_should() {
    for message in [
        refusal(&Newtype(BIGINT, "1.5")),
        refusal(&Newtype(BIGINT, "-")),
        refusal(&Newtype(DATE, "1")),
        refusal(&Newtype(DATE, 1.5)),
        refusal(&Newtype(URL, 1)),
        refusal(&Newtype(CAPABILITY, [1, 2])),
        refusal(&Newtype(RAW, "[[]]")),
        refusal(&Newtype(RAW, BTreeMap::from([(1, 1)]))),
        refusal(&Newtype(URL, Enum::Unit)),
    ] {
        assert!(message.contains("reserved name"), "{message}");
    }
}

#[test]
fn arguments() {
    assert_eq!(args(&()), "[]");
    assert_eq!(args(&(2, 3)), "[2,3]");
    assert_eq!(args(&([2, 3],)), "[[[2,3]]]");
    assert_eq!(args(&vec!["a"]), r#"["a"]"#);
    assert_eq!(args(&Pair(1, 2)), "[1,2]");
    assert_eq!(args(&Some((1,))), "[1]");
    assert_eq!(args(&Wrapped((1,))), "[1]");
    assert_eq!(args(&json!([1, [2]])), "[1,[[2]]]");
    let mut out = Vec::new();
    for (found, error) in [
        ("a string", to_args("a", &mut out, &mut NoCapabilities)),
        ("an integer", to_args(&1, &mut out, &mut NoCapabilities)),
        ("a boolean", to_args(&true, &mut out, &mut NoCapabilities)),
        ("a float", to_args(&1.5, &mut out, &mut NoCapabilities)),
        (
            "a map",
            to_args(&json!({"a": 1}), &mut out, &mut NoCapabilities),
        ),
        (
            "a struct",
            to_args(&Undefinable { a: 1 }, &mut out, &mut NoCapabilities),
        ),
        (
            "an enum",
            to_args(&Enum::Tuple(1, 2), &mut out, &mut NoCapabilities),
        ),
        (
            "an option",
            to_args(&None::<()>, &mut out, &mut NoCapabilities),
        ),
    ] {
        let message = error.unwrap_err().to_string();
        assert!(
            message.contains("such as `(2, 3)`") && message.ends_with(found),
            "{message}"
        );
    }
    assert!(out.is_empty());
}

#[derive(Serialize)]
struct Undefinable {
    a: u8,
}

/// A list in a list in a list …
fn nested(levels: usize) -> serde_json::Value {
    (1..levels).fold(json!([]), |inner, _| json!([inner]))
}

#[test]
fn depth_is_bounded_where_peers_bound_it() {
    // The innermost list is at depth 255.
    let deepest = expr(&nested(256));
    assert_eq!(deepest.len(), 4 * 256);
    assert!(refusal(&nested(257)).contains("cycle"));
    let objects = (0..256).fold(json!(1), |inner, _| json!({"a": inner}));
    assert!(refusal(&objects).contains("cycle"));
    expr(&objects["a"]);
    // Siblings do not add up.
    expr(&vec![nested(255); 300]);
    expr(&(0..300).map(|_| Enum::Struct { a: 1 }).collect::<Vec<_>>());

    #[derive(Serialize)]
    enum Chain {
        End,
        Link(Box<Chain>),
        Pair(Box<Chain>, u8),
        Field { a: Box<Chain> },
    }
    let chain = |links: usize| (0..links).fold(Chain::End, |inner, _| Chain::Link(Box::new(inner)));
    expr(&chain(255));
    assert!(refusal(&chain(256)).contains("cycle"));
    // Each link takes two levels.
    let chain = |links: usize| {
        (0..links).fold(Chain::End, |inner, link| {
            let inner = Box::new(inner);
            if link % 2 == 0 {
                Chain::Pair(inner, 0)
            } else {
                Chain::Field { a: inner }
            }
        })
    };
    expr(&chain(127));
    assert!(refusal(&chain(128)).contains("cycle"));
    // Arguments are nested one level deep in the call.
    let mut out = Vec::new();
    to_args(&(nested(255),), &mut out, &mut NoCapabilities).unwrap();
    to_args(&(nested(256),), &mut out, &mut NoCapabilities).unwrap_err();
}

#[test]
fn an_endless_value_ends() {
    struct Cycle;
    impl Serialize for Cycle {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq([Self])
        }
    }
    assert!(refusal(&Cycle).contains("cycle"));
}

/// Accepts the tokens `cap…`, notes where they go, and splices the tokens `raw…`.
#[derive(Default)]
struct Sink {
    noted: Vec<(String, Span)>,
}

impl CapabilitySink for Sink {
    fn capability(&mut self, token: &[u8], span: Span) -> Result<(), SerError> {
        let token = str::from_utf8(token)
            .ok()
            .filter(|token| token.starts_with("cap"));
        let token = token.ok_or_else(|| SerError::custom("no such capability"))?;
        self.noted.push((token.to_owned(), span));
        Ok(())
    }

    fn raw(&mut self, token: &[u8], out: &mut Vec<u8>) -> Result<(), SerError> {
        if !token.starts_with(b"raw") {
            return Err(SerError::custom("no such content"));
        }
        out.extend_from_slice(b"[[0,1]]");
        let start = u32::try_from(out.len() - 5).unwrap();
        self.noted.push((
            "spliced".into(),
            Span {
                start,
                end: start + 1,
            },
        ));
        Ok(())
    }
}

#[derive(Clone)]
struct Token(&'static str, &'static str);

impl Serialize for Token {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Newtype(self.0, serde_bytes::Bytes::new(self.1.as_bytes())).serialize(serializer)
    }
}

#[test]
fn capabilities_leave_a_placeholder() {
    #[derive(Serialize)]
    struct Inner {
        stub: Token,
    }
    #[derive(Serialize)]
    #[serde(untagged)]
    enum Either {
        Stub(Token),
    }
    #[derive(Serialize)]
    struct Outer {
        direct: Option<Token>,
        nested: Vec<Inner>,
        either: Either,
        raw: Token,
        #[serde(flatten)]
        flat: Inner,
    }
    let cap = |name| Token(CAPABILITY, name);
    let value = Outer {
        direct: Some(cap("cap1")),
        nested: vec![Inner { stub: cap("cap2") }],
        either: Either::Stub(cap("cap3")),
        raw: Token(RAW, "raw"),
        flat: Inner { stub: cap("cap4") },
    };
    let mut sink = Sink::default();
    let mut out = b"before".to_vec();
    to_expr(&value, &mut out, &mut sink).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert_eq!(
        text,
        r#"before{"direct":0,"nested":[[{"stub":0}]],"either":0,"raw":[[0,1]],"stub":0}"#
    );
    let names: Vec<_> = sink.noted.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["cap1", "cap2", "cap3", "spliced", "cap4"]);
    assert!(
        sink.noted.iter().all(|(_, span)| span.of(&text) == "0"),
        "{:?}",
        sink.noted
    );
    assert!(
        sink.noted
            .windows(2)
            .all(|pair| pair[0].1.end <= pair[1].1.start)
    );
}

#[test]
fn forged_tokens_are_refused() {
    let mut out = Vec::new();
    for value in [
        Token(CAPABILITY, "forged"),
        Token(RAW, "cap1"),
        Token(CAPABILITY, ""),
    ] {
        let error = to_expr(&value, &mut out, &mut Sink::default()).unwrap_err();
        assert!(error.to_string().starts_with("no such"), "{error}");
        to_args(&[value], &mut out, &mut NoCapabilities).unwrap_err();
    }
    assert!(out.is_empty());
}

#[test]
fn everything_written_passes_the_scanner() {
    let value = (
        json!({"a": [1, {"b": [[]]}], "c": 1.5e300, "d": "\u{0}\"\\"}),
        (Date::INVALID, BigInt::from(u128::MAX), Undefined),
        (f64::NAN, f64::INFINITY, u64::MAX),
        (
            serde_bytes::Bytes::new(&[1, 2, 3, 4]),
            Enum::Struct { a: 1 },
        ),
        Newtype(URL, "https://example.com/"),
    );
    let (mut holes, mut items) = (Vec::new(), Vec::new());
    let limits = crate::Limits::default();
    crate::scan_expr(&expr(&value), &limits, &mut holes).unwrap();
    crate::scan_list(&args(&value), &limits, &mut holes, &mut items).unwrap();
    assert_eq!((holes.len(), items.len()), (0, 5));
    crate::scan_expr(&expr(&nested(256)), &limits, &mut holes).unwrap();
}
