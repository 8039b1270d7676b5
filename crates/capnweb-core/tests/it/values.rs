//! Every kind of value: forwarded undecoded, decoded, and as serde types.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
};

use capnweb_core::{
    BigInt, Binary, Bytes, Call, Container, Date, Error, Object, OrInternal, Payload, PeerVersion,
    Promise, Result, Session, SessionOptions, Stub, TypedArray, Undefined, Value, pair,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::json;

use crate::support::{ScriptedPeer, connect, connect_with, counter, idle, within};

/// Returns an object with methods that return their argument: `pass(x)` undecoded, `decode(x)`
/// decoded and encoded again, and `first(x)` the first element of an array, undecoded.
fn api() -> Stub {
    Object::new()
        .method("pass", async |value: Payload| Ok(value))
        .method("decode", async |value: Value| Ok(value))
        .method("first", |mut values: Vec<Payload>| async move {
            Ok(values.swap_remove(0))
        })
        .into_stub()
}

/// Returns a method's encoded result for an argument.
fn answer(method: &str, argument: &str) -> String {
    let mut peer = ScriptedPeer::server(api());
    peer.send(&format!(
        r#"["push",["pipeline",0,["{method}"],[{argument}]]]"#
    ));
    peer.send(r#"["pull",1]"#);
    let said = peer.next().unwrap();
    peer.send(r#"["release",1,1]"#);
    peer.expect_empty();
    let start = r#"["resolve",1,"#;
    assert!(said.starts_with(start), "{argument}: {said}");
    said[start.len()..said.len() - 1].to_owned()
}

/// Expressions, and the text after decoding and encoding them, or `None` if it is the same.
const VALUES: &[(&str, Option<&str>)] = &[
    ("null", None),
    (r#"["undefined"]"#, None),
    ("true", None),
    ("false", None),
    ("0", None),
    ("-0", Some("0")),
    ("1.5", None),
    ("1.0", Some("1")),
    ("1e3", Some("1000")),
    ("123456789012345680000", None),
    ("1e21", Some("1e+21")),
    ("1E-7", Some("1e-7")),
    ("5e-324", None),
    ("1.7976931348623157e308", Some("1.7976931348623157e+308")),
    ("9007199254740993", Some("9007199254740992")),
    ("1e400", Some(r#"["inf"]"#)),
    ("-1e400", Some(r#"["-inf"]"#)),
    ("1e-400", Some("0")),
    (r#"["inf"]"#, None),
    (r#"["-inf"]"#, None),
    (r#"["nan"]"#, None),
    (r#""""#, None),
    (r#""plain""#, None),
    (r#""quote \" slash \\ \n \u0001""#, None),
    (r#""\u0041\/\ud83d\ude00""#, Some("\"A/😀\"")),
    ("\"\u{2028}\u{7f}é\"", None),
    (r#""\ud800""#, Some("\"\u{fffd}\"")),
    (r#""a\udc00\ud800b""#, Some("\"a\u{fffd}\u{fffd}b\"")),
    (r#"["bigint","0"]"#, None),
    (r#"["bigint","-123456789012345678901234567890"]"#, None),
    (r#"["bigint","9007199254740993"]"#, None),
    (r#"["date",0]"#, None),
    (r#"["date",1749342170815]"#, None),
    (r#"["date",-1]"#, None),
    (r#"["date",null]"#, None),
    (r#"["bytes",""]"#, None),
    (r#"["bytes","aGVsbG8"]"#, None),
    (r#"["bytes","aGVsbG8="]"#, Some(r#"["bytes","aGVsbG8"]"#)),
    (r#"["bytes","-_-_"]"#, Some(r#"["bytes","+/+/"]"#)),
    (
        r#"["bytes","AQIDBA","Uint8Array"]"#,
        Some(r#"["bytes","AQIDBA"]"#),
    ),
    (r#"["bytes","AQIDBA","ArrayBuffer"]"#, None),
    (r#"["bytes","AQIDBA","DataView"]"#, None),
    (r#"["bytes","AQID","Int8Array"]"#, None),
    (r#"["bytes","AQID","Uint8ClampedArray"]"#, None),
    (r#"["bytes","AQIDBA","Int16Array"]"#, None),
    (r#"["bytes","AQIDBA","Uint16Array"]"#, None),
    (r#"["bytes","AQIDBA","Int32Array"]"#, None),
    (r#"["bytes","AQIDBA","Uint32Array"]"#, None),
    (r#"["bytes","AQIDBA","Float32Array"]"#, None),
    (r#"["bytes","AAAAAAAAAAA","BigInt64Array"]"#, None),
    (r#"["bytes","AAAAAAAAAAA","BigUint64Array"]"#, None),
    (r#"["bytes","AAAAAAAAAAA","Float64Array"]"#, None),
    (r#"["error","Error","m"]"#, None),
    (r#"["error","AnyName","\"m\""]"#, None),
    (
        r#"["error","Error","m",null]"#,
        Some(r#"["error","Error","m"]"#),
    ),
    (
        r#"["error","Error","m","at x:1"]"#,
        Some(r#"["error","Error","m"]"#),
    ),
    (
        r#"["error","Error","m",null,{}]"#,
        Some(r#"["error","Error","m"]"#),
    ),
    (
        r#"["error","RangeError","m",null,{"code":7,"at":["date",5]}]"#,
        None,
    ),
    (
        r#"["error","TypeError","m","stack",{"cause":["error","Error","inner","stack",{"x":[[1]]}]}]"#,
        Some(
            r#"["error","TypeError","m",null,{"cause":["error","Error","inner",null,{"x":[[1]]}]}]"#,
        ),
    ),
    (
        r#"["error","AggregateError","many",null,{"errors":[[["error","Error","a"],["error","RangeError","b"]]]}]"#,
        None,
    ),
    // The properties of an error do not change its name.
    (
        r#"["error","Error","m",null,{"name":"n","message":"x","stack":"s","code":1}]"#,
        Some(r#"["error","Error","m",null,{"code":1}]"#),
    ),
    (
        r#"["error","Error","m",null,{"code":1,"__proto__":{"a":1},"toString":2}]"#,
        Some(r#"["error","Error","m",null,{"code":1}]"#),
    ),
    (r#"["url","https://example.com/a?b#c"]"#, None),
    ("[[]]", None),
    (r#"[[1,"a",null,["undefined"],[[]]]]"#, None),
    ("{}", None),
    (r#"{"b":1,"a":2,"0":3,"":4}"#, None),
    (r#"{"a":{"b":{"c":[[{"d":["nan"]}]]}}}"#, None),
    (r#"{"a":1,"b":2,"a":3}"#, Some(r#"{"b":2,"a":3}"#)),
    (r#"{"\u0061":1,"a":2}"#, Some(r#"{"a":2}"#)),
    (
        r#"{"x":1,"__proto__":{"y":1},"constructor":2,"toJSON":3,"valueOf":4,"hasOwnProperty":5}"#,
        Some(r#"{"x":1}"#),
    ),
    (
        r#"{"\u005f_proto__":1,"then":2,"length":3}"#,
        Some(r#"{"then":2,"length":3}"#),
    ),
    (r#"{"$capnweb::Capability":"AAAA","$capnweb::Raw":1}"#, None),
    (r#"{ "a" : [ [ 1 , 2 ] ] }"#, Some(r#"{"a":[[1,2]]}"#)),
];

#[tokio::test]
async fn undecoded_values_are_echoed_unchanged() {
    for (value, _) in VALUES {
        assert_eq!(answer("pass", value), *value);
        // As a part of another value.
        assert_eq!(answer("first", &format!(r"[[{value},{value}]]")), *value);
    }
}

#[tokio::test]
async fn decoded_values_are_written_as_javascript_does() {
    for (value, written) in VALUES {
        let written = written.unwrap_or(value);
        assert_eq!(answer("decode", value), written, "{value}");
        let (value, written) = (
            format!(r#"{{"a":[[{value}]]}}"#),
            format!(r#"{{"a":[[{written}]]}}"#),
        );
        assert_eq!(answer("decode", &value), written, "{value}");
    }
}

#[tokio::test]
async fn values_of_all_kinds_round_trip() {
    let connected = connect(api());
    let object = |pairs: &[(&str, Value)]| {
        Value::Object(
            pairs
                .iter()
                .map(|(key, value)| ((*key).to_owned(), value.clone()))
                .collect(),
        )
    };
    let values = [
        Value::Undefined,
        Value::Null,
        true.into(),
        1.5.into(),
        f64::INFINITY.into(),
        f64::NEG_INFINITY.into(),
        f64::MIN_POSITIVE.into(),
        "é😀\u{0}\u{2028}\"\\".into(),
        Value::BigInt(BigInt::from(i128::MAX)),
        Value::BigInt(BigInt::from(-5)),
        Date::from_millis(1_749_342_170_815).into(),
        Bytes::from_static(&[0, 255, 128]).into(),
        Value::Array(vec![Value::Undefined, Value::Null, Value::Array(vec![])]),
        object(&[("b", 1.0.into()), ("a", Value::Undefined), ("", "x".into())]),
        Value::Error(Error::range_error("m")),
        Value::Url("https://example.com/".parse().unwrap()),
    ];
    for value in &values {
        for method in ["pass", "decode"] {
            let echoed: Value = connected.api.call(method, (value,)).await.unwrap();
            assert_eq!(echoed, *value, "{method}");
        }
    }
    let nan: Value = connected.api.call("decode", (f64::NAN,)).await.unwrap();
    assert!(nan.as_f64().unwrap().is_nan());
    let negative: Value = connected.api.call("pass", (-0.0,)).await.unwrap();
    assert_eq!(negative.as_f64(), Some(0.0));
    let all: Value = connected.api.call("decode", (&values[..],)).await.unwrap();
    assert_eq!(all, Value::Array(values.to_vec()));
    connected.settle().await;
}

#[tokio::test]
async fn properties_of_results_are_read() {
    let mut peer = ScriptedPeer::server(api());
    let value = concat!(
        r#"{"a":[[10,{"b":"x"},[[1]]]],"a":[[20,{"b":"y","b":"z"}]],"\ud800":1,"toString":2,"#,
        r#""__proto__":{"c":3},"s":"text","n":null,"u":["undefined"],"e":["error","Error","m",null,{"p":1}],"#,
        r#""d":["date",0],"by":["bytes","AAAA"],"toJSON":4,"0":"zero","":"empty"}"#
    );
    peer.send(&format!(r#"["push",["pipeline",0,["pass"],[{value}]]]"#));
    let undefined = r#"["undefined"]"#;
    let through = r#"["error","TypeError","Cannot read properties of undefined (reading 'x')"]"#;
    let mut id = 1;
    for (path, expected) in [
        (r#"["a",0]"#, "20"),
        (r#"["a","0"]"#, "20"),
        (r#"["a",1,"b"]"#, r#""z""#),
        (r#"["a",2]"#, undefined),
        (r#"["a",-1]"#, undefined),
        (r#"["a",0.5]"#, undefined),
        (r#"["a",1e400]"#, undefined),
        (r#"["a","length"]"#, undefined),
        (r#"["a","00"]"#, undefined),
        (r#"["a","map"]"#, undefined),
        (r#"["\u0061",0]"#, "20"),
        (r#"[0]"#, r#""zero""#),
        (r#"["0"]"#, r#""zero""#),
        (r#"[""]"#, r#""empty""#),
        (r#"["toString"]"#, undefined),
        (r#"["__proto__"]"#, undefined),
        (r#"["__proto__","c"]"#, through),
        (r#"["constructor"]"#, undefined),
        (r#"["toJSON"]"#, undefined),
        (r#"["s"]"#, r#""text""#),
        (r#"["s",0]"#, undefined),
        (r#"["s","length"]"#, undefined),
        (r#"["n"]"#, "null"),
        (r#"["n","x"]"#, undefined),
        (r#"["n","x","x"]"#, through),
        (r#"["u"]"#, undefined),
        (r#"["u","x"]"#, through),
        (r#"["e","p"]"#, undefined),
        (r#"["e","message"]"#, undefined),
        (r#"["d","x"]"#, undefined),
        (r#"["by",0]"#, undefined),
        (r#"["nothing"]"#, undefined),
        (r#"["nothing","x"]"#, through),
    ] {
        id += 1;
        peer.send(&format!(r#"["push",["pipeline",1,{path}]]"#));
        peer.send(&format!(r#"["pull",{id}]"#));
        let expected = match path {
            "[\"__proto__\",\"c\"]" => through.replace("'x'", "'c'"),
            _ => expected.to_owned(),
        };
        let verb = if expected.starts_with(r#"["error""#) {
            "reject"
        } else {
            "resolve"
        };
        assert_eq!(
            peer.next().unwrap(),
            format!(r#"["{verb}",{id},{expected}]"#),
            "{path}"
        );
        peer.send(&format!(r#"["release",{id},1]"#));
    }
    // None of these can be called.
    for path in [
        r#"["a"]"#,
        r#"["s","x"]"#,
        r#"["e"]"#,
        r#"["toString"]"#,
        r#"["nothing"]"#,
    ] {
        id += 1;
        peer.send(&format!(r#"["push",["pipeline",1,{path},[1]]]"#));
        peer.send(&format!(r#"["pull",{id}]"#));
        let said = peer.next().unwrap();
        assert!(said.contains("is not a function."), "{path}: {said}");
        peer.send(&format!(r#"["release",{id},1]"#));
    }
    peer.send(r#"["release",1,1]"#);
    peer.expect_empty();
}

#[tokio::test]
async fn capabilities_in_dropped_values_are_released() {
    // Under names that receivers drop, and under duplicate names.
    for value in [
        r#"{"__proto__":["export",-1]}"#,
        r#"{"toString":{"x":["export",-1]}}"#,
        r#"{"a":["export",-1],"a":1}"#,
        r#"["error","Error","m",null,{"constructor":["export",-1]}]"#,
    ] {
        let mut peer = ScriptedPeer::server(api());
        peer.send(&format!(r#"["push",["pipeline",0,["decode"],[{value}]]]"#));
        peer.send(r#"["pull",1]"#);
        let said: Vec<_> = peer.said();
        assert!(
            said.contains(&r#"["release",-1,1]"#.to_owned()),
            "{value}: {said:?}"
        );
        peer.send(r#"["release",1,1]"#);
        peer.expect_empty();
    }
}

#[tokio::test]
async fn error_values_may_hold_stubs() {
    // A server can send such values in a result.
    let mut peer = ScriptedPeer::client();
    let result = peer.session.main().call("x", ()).fetch::<Value>();
    peer.next();
    peer.next();
    peer.send(
        r#"["resolve",1,{"e":["error","TypeError","m","at x",{"s":["export",-1],"cause":["error","Error","c",null,{"s":["export",-2]}]}]}]"#,
    );
    peer.expect(r#"["release",1,1]"#);
    let Value::Object(result) = within(result).await.unwrap() else {
        panic!()
    };
    let Value::Error(error) = &result["e"] else {
        panic!()
    };
    assert_eq!(
        (error.name(), error.message(), error.stack()),
        ("TypeError", "m", Some("at x"))
    );
    let stub: Stub = error.prop("s").unwrap();
    drop(stub.call("y", ()));
    peer.expect(r#"["push",["pipeline",-1,["y"],[]]]"#);
    peer.expect(r#"["release",2,1]"#);
    let cause = error.cause().unwrap();
    assert_eq!(cause.message(), "c");
    let inner: Stub = cause.prop("s").unwrap();
    drop(inner.call("z", ()));
    peer.expect(r#"["push",["pipeline",-2,["z"],[]]]"#);
    peer.expect(r#"["release",3,1]"#);
    drop((stub, inner, cause, result));
    peer.expect_unordered([r#"["release",-1,1]"#, r#"["release",-2,1]"#]);
    peer.expect_empty();
}

#[tokio::test]
async fn thrown_values_of_all_kinds_are_sent() {
    let thrower = Object::new()
        .sync_method("stub", || {
            Err::<(), _>(
                Error::new("m")
                    .with_prop("s", counter(0.0))
                    .with_prop("code", 7),
            )
        })
        .sync_method("deep", || {
            let inner = Error::range_error("inner")
                .with_stack("secret")
                .with_prop("n", [1]);
            Err::<(), _>(
                Error::named("Custom", "outer")
                    .with_stack("secret")
                    .with_cause(inner),
            )
        })
        .sync_method("many", || {
            let errors = [Error::new("a"), Error::type_error("b").with_stack("secret")];
            Err::<(), _>(Error::named("AggregateError", "many").with_prop("errors", errors))
        })
        .into_stub();
    let mut peer = ScriptedPeer::server(thrower);
    for (id, (method, reason)) in [
        // Stubs are not allowed in a thrown error.
        ("stub", r#"["error","Error","m",null,{"s":["undefined"],"code":7}]"#),
        (
            "deep",
            r#"["error","Custom","outer",null,{"cause":["error","RangeError","inner",null,{"n":[[1]]}]}]"#,
        ),
        (
            "many",
            r#"["error","AggregateError","many",null,{"errors":[[["error","Error","a"],["error","TypeError","b"]]]}]"#,
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let id = id + 1;
        peer.send(&format!(r#"["push",["pipeline",0,["{method}"],[]]]"#));
        peer.send(&format!(r#"["pull",{id}]"#));
        peer.expect(&format!(r#"["reject",{id},{reason}]"#));
        peer.send(&format!(r#"["release",{id},1]"#));
    }
    peer.expect_empty();

    // Anything can be thrown.
    let mut peer = ScriptedPeer::client();
    for (id, (thrown, message)) in [
        (r#""plain""#, "plain"),
        (r#"["undefined"]"#, "undefined"),
        ("7", "7"),
        (r#"{"code":1}"#, r#"{"code":1}"#),
        (r#"["error","X","m",null,{"a":["export",-1]}]"#, "m"),
        (r#"[[["export",-2]]]"#, r#"[[["export",-2]]]"#),
    ]
    .into_iter()
    .enumerate()
    {
        let id = id + 1;
        let result = peer.session.main().call("x", ()).into_future();
        peer.next();
        peer.next();
        peer.send(&format!(r#"["reject",{id},{thrown}]"#));
        let error = within(result).await.unwrap_err();
        assert_eq!(error.message(), message);
        let said: Vec<_> = peer.said();
        assert_eq!(
            said.len(),
            1 + usize::from(thrown.contains("export")),
            "{said:?}"
        );
        peer.expect_empty();
        // When it is thrown again, it is unchanged.
        if !thrown.contains("export") {
            assert_eq!(
                error.thrown_value().map_or(thrown, Payload::as_expression),
                thrown
            );
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Everything {
    stub: Stub,
    promise: Promise<u32>,
    payload: Payload,
    value: Value,
    error: Error,
    date: Date,
    big: BigInt,
    #[serde(with = "serde_bytes")]
    raw_bytes: Vec<u8>,
    bytes: Bytes,
    undefined: Undefined,
    option: Option<Box<Everything>>,
    list: Vec<Stub>,
    map: BTreeMap<String, Option<Stub>>,
    tuple: (u8, String, [bool; 2]),
    unit: (),
}

fn everything(inner: Option<Everything>) -> Everything {
    Everything {
        stub: counter(1.0),
        promise: Promise::ready(7),
        payload: Payload::encode(&json!({"a": [1, null]})).unwrap(),
        value: Value::Array(vec![counter(2.0).into(), Value::Undefined]),
        error: Error::range_error("m").with_prop("stub", counter(3.0)),
        date: Date::from_millis(5),
        big: BigInt::from(u64::MAX),
        raw_bytes: vec![1, 2],
        bytes: Bytes::from_static(&[3]),
        undefined: Undefined,
        option: inner.map(Box::new),
        list: vec![counter(4.0), counter(5.0)],
        map: [("x".to_owned(), Some(counter(6.0))), ("y".to_owned(), None)].into(),
        tuple: (8, "t".to_owned(), [true, false]),
        unit: (),
    }
}

async fn check(everything: Everything) {
    async fn value(stub: Stub) -> f64 {
        stub.get("value").fetch().await.unwrap()
    }
    assert_eq!(value(everything.stub).await, 1.0);
    assert_eq!(everything.promise.await.unwrap(), 7);
    assert_eq!(everything.payload.as_expression(), r#"{"a":[[1,null]]}"#);
    assert_eq!(
        value(everything.value[0].as_stub().unwrap().clone()).await,
        2.0
    );
    assert_eq!(everything.value[1], Value::Undefined);
    assert_eq!(everything.error.message(), "m");
    assert_eq!(value(everything.error.prop("stub").unwrap()).await, 3.0);
    assert_eq!(everything.date, Date::from_millis(5));
    assert_eq!(everything.big, BigInt::from(u64::MAX));
    assert_eq!(
        (everything.raw_bytes, &everything.bytes[..]),
        (vec![1, 2], &[3][..])
    );
    let [four, five]: [Stub; 2] = everything.list.try_into().unwrap();
    assert_eq!((value(four).await, value(five).await), (4.0, 5.0));
    assert_eq!(value(everything.map["x"].clone().unwrap()).await, 6.0);
    assert!(everything.map["y"].is_none());
    assert_eq!(everything.tuple, (8, "t".to_owned(), [true, false]));
}

#[tokio::test]
async fn serde_types_hold_values_of_all_kinds() {
    let api = Object::new()
        .method("take", |mut given: Everything| async move {
            let inner = given.option.take();
            check(given).await;
            check(*inner.unwrap()).await;
            Ok(())
        })
        .method("give", async || Ok(everything(Some(everything(None)))))
        .method("pass", |given: Everything| async move { Ok(given) })
        .into_stub();
    let connected = connect(api.clone());
    for api in [&connected.api, &api] {
        let give = || everything(Some(everything(None)));
        within(api.call("take", (give(),)).fetch::<()>())
            .await
            .unwrap();
        for method in ["give", "pass"] {
            let given = api.call(method, (give(),));
            let mut given: Everything = within(given.fetch()).await.unwrap();
            let inner = given.option.take();
            within(check(given)).await;
            within(check(*inner.unwrap())).await;
        }
        // A result is used as an argument, and so are parts of it.
        let given = api.call("give", ());
        within(api.call("take", (&given,)).fetch::<()>())
            .await
            .unwrap();
        let stub = given.get("option").get("list").get(1u64);
        assert_eq!(within(stub.get("value").fetch::<f64>()).await.unwrap(), 5.0);
    }
    connected.settle().await;
}

#[derive(Debug, Serialize, Deserialize)]
struct Flat {
    id: u32,
    #[serde(flatten)]
    named: Named,
    #[serde(flatten)]
    rest: HashMap<String, Value>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Named {
    stub: Stub,
    payload: Payload,
    error: Error,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Pair { stub: Stub, other: Stub },
    Counted { stub: Stub, count: u32 },
    Single { stub: Stub },
    Bare(Stub),
    Value(Value),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
enum Tagged {
    Open { stub: Stub, note: Option<String> },
    Closed,
}

#[tokio::test]
async fn stubs_survive_serde_buffering() {
    let api = Object::new()
        .method("flat", |flat: Flat| async move { Ok(flat) })
        .method("untagged", |value: Untagged| async move { Ok(value) })
        .method("tagged", |value: Tagged| async move { Ok(value) })
        .into_stub();
    let connected = connect(api);
    let api = &connected.api;
    let value = async |stub: &Stub| stub.get("value").fetch::<f64>().await.unwrap();

    let flat = Flat {
        id: 7,
        named: Named {
            stub: counter(1.0),
            payload: Payload::encode(&(1, "a", counter(2.0))).unwrap(),
            error: Error::new("m"),
        },
        rest: [
            ("stub2".to_owned(), counter(3.0).into()),
            ("undefined".to_owned(), Value::Undefined),
            ("date".to_owned(), Date::from_millis(5).into()),
            ("bytes".to_owned(), Bytes::from_static(&[1]).into()),
            ("big".to_owned(), BigInt::from(1u64 << 60).into()),
            (
                "list".to_owned(),
                Value::Array(vec![1.0.into(), Value::Null]),
            ),
            ("number".to_owned(), 1.5.into()),
        ]
        .into(),
    };
    let back: Flat = within(api.call("flat", (&flat,)).fetch()).await.unwrap();
    assert_eq!(back.id, 7);
    assert_eq!(value(&back.named.stub).await, 1.0);
    let (_, _, stub): (u32, String, Stub) = back.named.payload.decode().unwrap();
    assert_eq!(value(&stub).await, 2.0);
    assert_eq!(back.named.error.message(), "m");
    assert_eq!(value(back.rest["stub2"].as_stub().unwrap()).await, 3.0);
    assert_eq!(back.rest["number"], Value::Number(1.5));
    assert_eq!(back.rest["list"], flat.rest["list"]);
    assert_eq!(back.rest.len(), flat.rest.len());
    drop((back, flat, stub));

    // Each variant is tried in turn, with the same stub.
    {
        let single = Untagged::Single { stub: counter(1.0) };
        let back: Untagged = within(api.call("untagged", (single,)).fetch())
            .await
            .unwrap();
        let Untagged::Single { stub } = &back else {
            panic!("{back:?}")
        };
        assert_eq!(value(stub).await, 1.0);
        let counted = Untagged::Counted {
            stub: counter(2.0),
            count: 5,
        };
        let back: Untagged = within(api.call("untagged", (counted,)).fetch())
            .await
            .unwrap();
        let Untagged::Counted { stub, count: 5 } = &back else {
            panic!("{back:?}")
        };
        assert_eq!(value(stub).await, 2.0);
        let back: Untagged = within(api.call("untagged", (counter(3.0),)).fetch())
            .await
            .unwrap();
        let Untagged::Bare(stub) = &back else {
            panic!("{back:?}")
        };
        assert_eq!(value(stub).await, 3.0);
        let back: Untagged = within(api.call("untagged", ([1, 2],)).fetch())
            .await
            .unwrap();
        let Untagged::Value(Value::Array(list)) = &back else {
            panic!("{back:?}")
        };
        assert_eq!(list.len(), 2);
    }

    {
        let open = Tagged::Open {
            stub: counter(4.0),
            note: None,
        };
        let back: Tagged = within(api.call("tagged", (open,)).fetch()).await.unwrap();
        let Tagged::Open { stub, note: None } = &back else {
            panic!("{back:?}")
        };
        assert_eq!(value(stub).await, 4.0);
        let back: Tagged = within(api.call("tagged", (Tagged::Closed,)).fetch())
            .await
            .unwrap();
        assert!(matches!(back, Tagged::Closed));
    }
    connected.settle().await;
}

/// Bytes that claim to be a stub.
struct Forged(Vec<u8>);

impl Serialize for Forged {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer
            .serialize_newtype_struct("$capnweb::Capability", serde_bytes::Bytes::new(&self.0))
    }
}

/// The token that a deserializer receives instead of a stub.
struct Token(Vec<u8>);

impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde_bytes::ByteBuf::deserialize(deserializer).map(|bytes| Self(bytes.into_vec()))
    }
}

#[tokio::test]
async fn capabilities_cannot_be_forged() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let api = {
        let seen = seen.clone();
        Object::new()
            .method("stub", |stub: Stub| async move { Ok(stub) })
            .method("value", |value: Value| async move { Ok(value) })
            .method("untagged", |value: Untagged| async move { Ok(value) })
            .method("payload", |value: Payload| async move {
                value.decode::<Value>()
            })
            .sync_method("bytes", move |token: Token| {
                seen.lock().unwrap().push(token.0);
                Ok(())
            })
            .into_stub()
    };
    let connected = connect(api);
    let api = &connected.api;
    let bytes: Vec<_> = [0, 16, 23, 24, 25, 64]
        .map(|len| Bytes::from(vec![0u8; len]))
        .into();
    for bytes in bytes {
        // Bytes of the right length are still bytes.
        let error = within(api.call("stub", (&bytes,))).await.unwrap_err();
        assert!(error.is_type_error(), "{error}");
        for method in ["value", "payload", "untagged"] {
            let back: Value = within(api.call(method, (&bytes,))).await.unwrap();
            assert_eq!(back, Value::Bytes(bytes.clone()), "{method}");
        }
        let error = within(api.call("value", (Forged(bytes.to_vec()),)))
            .await
            .unwrap_err();
        assert!(error.is_type_error(), "{error}");
    }
    // No type of the application can see the token of a stub.
    let error = within(api.call("bytes", (counter(1.0),)))
        .await
        .unwrap_err();
    assert!(error.is_type_error(), "{error}");
    assert!(seen.lock().unwrap().is_empty());
    connected.settle().await;

    // Outside a message, a stub cannot be serialized.
    assert!(serde_json::to_string(&counter(1.0)).is_err());
    assert!(serde_json::to_string(&Promise::<u32>::ready(1)).is_err());
    assert!(serde_json::from_str::<Stub>("[1,2]").is_err());
}

/// Returns the answer to a call with these arguments, by a handler with these parameters.
async fn call<A: DeserializeOwned + Serialize + Send + 'static>(arguments: &str) -> String {
    let api = Object::new()
        .sync_method("f", |value: A| Ok(value))
        .into_stub();
    let mut peer = ScriptedPeer::server(api);
    peer.send(&format!(r#"["push",["pipeline",0,["f"],{arguments}]]"#));
    peer.send(r#"["pull",1]"#);
    idle().await;
    let said = peer.next().unwrap();
    match said.strip_prefix(r#"["resolve",1,"#) {
        Some(rest) => rest[..rest.len() - 1].to_owned(),
        None => {
            let said: serde_json::Value = serde_json::from_str(&said).unwrap();
            format!(
                "{}: {}",
                said[2][1].as_str().unwrap(),
                said[2][2].as_str().unwrap()
            )
        }
    }
}

#[tokio::test]
async fn integers_are_decoded_exactly_or_refused() {
    for (argument, expected) in [
        ("7", "7"),
        ("7.0", "7"),
        ("7e0", "7"),
        ("0.7e1", "7"),
        ("-0", "0"),
        (r#"["bigint","7"]"#, "7"),
        ("255", "255"),
    ] {
        assert_eq!(
            call::<u8>(&format!("[{argument}]")).await,
            expected,
            "{argument}"
        );
    }
    for argument in [
        "256",
        "-1",
        "1.5",
        r#"["bigint","256"]"#,
        "1e400",
        r#"["nan"]"#,
        r#""7""#,
        "null",
    ] {
        let answer = call::<u8>(&format!("[{argument}]")).await;
        assert!(
            answer.starts_with("TypeError: f: argument 1: expected "),
            "{argument}: {answer}"
        );
    }
    // Integers are never rounded: those that a double cannot represent become big integers.
    for (integer, expected) in [
        (i64::MAX, r#"["bigint","9223372036854775807"]"#),
        (i64::MIN, r#"["bigint","-9223372036854775808"]"#),
        ((1 << 53) - 1, "9007199254740991"),
        (1 - (1 << 53), "-9007199254740991"),
        (1 << 53, r#"["bigint","9007199254740992"]"#),
    ] {
        let api = Object::new()
            .sync_method("f", move || Ok(integer))
            .into_stub();
        assert_eq!(api.call("f", ()).fetch::<i64>().await.unwrap(), integer);
        let mut peer = ScriptedPeer::server(api);
        peer.send(r#"["push",["pipeline",0,["f"],[]]]"#);
        peer.send(r#"["pull",1]"#);
        assert_eq!(peer.next().unwrap(), format!(r#"["resolve",1,{expected}]"#));
    }
    let wide = r#"["bigint","170141183460469231731687303715884105727"]"#;
    assert_eq!(call::<i128>(&format!("[{wide}]")).await, wide);
    assert_eq!(call::<u128>(&format!("[{wide}]")).await, wide);
    assert!(
        call::<i64>(&format!("[{wide}]"))
            .await
            .starts_with("TypeError")
    );
    // A double only accepts numbers.
    assert_eq!(call::<f64>("[1e400]").await, r#"["inf"]"#);
    assert!(
        call::<f64>(r#"[["bigint","1"]]"#)
            .await
            .starts_with("TypeError")
    );
}

#[tokio::test]
async fn missing_arguments_decode_as_none_or_undefined() {
    assert_eq!(call::<Option<u32>>("[]").await, "null");
    assert_eq!(call::<Option<u32>>("[null]").await, "null");
    assert_eq!(call::<Option<u32>>(r#"[["undefined"]]"#).await, "null");
    assert_eq!(call::<Option<u32>>("[7]").await, "7");
    assert_eq!(call::<Option<u32>>("[7,8,9]").await, "7");
    assert_eq!(call::<Undefined>("[]").await, r#"["undefined"]"#);
    assert_eq!(call::<Value>("[]").await, r#"["undefined"]"#);
    assert_eq!(call::<Payload>("[]").await, r#"["undefined"]"#);
    assert_eq!(call::<()>("[]").await, r#"["undefined"]"#);
    assert_eq!(call::<()>("[null]").await, r#"["undefined"]"#);
    assert_eq!(call::<Vec<()>>("[[[null]]]").await, "[[null]]");
    for answer in [
        call::<u32>("[]").await,
        call::<String>("[]").await,
        call::<Vec<u8>>("[]").await,
    ] {
        assert!(answer.starts_with("TypeError: f: argument 1: "), "{answer}");
    }
    #[derive(Serialize, Deserialize)]
    struct Fields {
        a: Option<u32>,
        b: Option<u32>,
        c: Option<u32>,
        #[serde(default)]
        d: u32,
    }
    assert_eq!(
        call::<Fields>(r#"[{"a":["undefined"],"b":null}]"#).await,
        r#"{"a":null,"b":null,"c":null,"d":0}"#
    );
    let answer = call::<Everything>(r#"[{"stub":7}]"#).await;
    assert!(
        answer.starts_with("TypeError: f: argument 1.stub: "),
        "{answer}"
    );

    // A handler that reads its arguments itself.
    let api = Object::new()
        .sync_method("two", |a: Option<u32>, b: u32| Ok((a, b)))
        .into_stub();
    let error = api.call("two", (1,)).await.unwrap_err();
    assert!(error.message().starts_with("two: argument 2: "), "{error}");
    assert_eq!(
        api.call("two", (Undefined, 2))
            .fetch::<(Option<u32>, u32)>()
            .await
            .unwrap(),
        (None, 2)
    );
    struct All;
    impl capnweb_core::Target for All {
        fn call(self: Arc<Self>, mut call: Call<'_>) -> capnweb_core::Answer {
            let first: Option<u32> = call.arg().unwrap();
            let rest: Value = call.arg().unwrap();
            let missing: Value = call.arg().unwrap();
            capnweb_core::Answer::ready((first, rest, missing, call.into_args()))
        }
    }
    let all: Value = Stub::new(All).call("x", (1, "b")).await.unwrap();
    assert_eq!(all[0].as_f64(), Some(1.0));
    assert_eq!(all[1].as_str(), Some("b"));
    assert_eq!(all[2], Value::Undefined);
    assert_eq!(all[3], Value::Array(vec![1.0.into(), "b".into()]));
}

#[tokio::test]
async fn promises_inside_decoded_values_have_settled() {
    let main = Object::new()
        .method("nested", async || {
            let later: Promise<Value> = Promise::from_future(async {
                tokio::task::yield_now().await;
                Ok((1, Promise::<u32>::ready(2)))
            });
            Ok(vec![(later, counter(3.0))])
        })
        .method("broken", async || {
            Ok([
                Promise::<u32>::ready(1),
                Promise::rejected(Error::range_error("inside")),
            ])
        })
        .into_stub();
    let mine = Object::new().method("three", async || Ok(3)).into_stub();
    let connected = connect_with(Default::default(), main.clone(), Some(mine));
    for api in [&connected.api, &main] {
        let nested = api.call("nested", ());
        let got: Vec<((u32, u32), Stub)> = within(nested.fetch()).await.unwrap();
        assert_eq!(got[0].0, (1, 2));
        assert_eq!(got[0].1.get("value").fetch::<f64>().await.unwrap(), 3.0);
        let got: Promise<u32> = within(nested.get(0u64).get(0u64).get(1u64).fetch())
            .await
            .unwrap();
        assert_eq!(got.await.unwrap(), 2);
        // The rejection of a part rejects the whole, but no other part.
        let broken = api.call("broken", ());
        assert_eq!(
            within(broken.clone()).await.unwrap_err().message(),
            "inside"
        );
        assert_eq!(within(broken.get(0u64).fetch::<u32>()).await.unwrap(), 1);
        assert!(within(broken.get(1u64)).await.unwrap_err().is_range_error());
    }
    connected.settle().await;
}

#[tokio::test]
async fn fetch_forms_decode_as_values() {
    let api = Object::new()
        .method("decode", |value: Value| async move { Ok(value) })
        .into_stub();
    let mut peer = ScriptedPeer::server(api);
    let forms = [
        (r#"["headers",[["a","b"]]]"#, r#"[[[["a","b"]]]]"#),
        (
            r#"["request","http://a/",{"method":"PUT","headers":[["a","b"]]}]"#,
            r#""url":"http://a/""#,
        ),
        (r#"["response","text",{"status":201}]"#, r#""status":201"#),
    ];
    for (id, (form, expected)) in (1..).zip(forms) {
        for text in [form.to_owned(), format!(r#"{{"nested":[[{form}]]}}"#)] {
            peer.send(&format!(r#"["push",["pipeline",0,["decode"],[{text}]]]"#));
            let id = 2 * id - i64::from(text == form);
            peer.send(&format!(r#"["pull",{id}]"#));
            let answer = peer.next().unwrap();
            assert!(answer.contains(expected), "{form}: {answer}");
        }
    }
}

/// A value inside this number of nested arrays.
struct Nested<T>(usize, T);

impl<T: Serialize> Serialize for Nested<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Around<'a, T>(usize, &'a T);
        impl<T: Serialize> Serialize for Around<'_, T> {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self.0.checked_sub(1) {
                    Some(rest) => [Around(rest, self.1)].serialize(serializer),
                    None => self.1.serialize(serializer),
                }
            }
        }
        Around(self.0, &self.1).serialize(serializer)
    }
}

#[tokio::test]
async fn a_too_deeply_nested_value_fails_alone() {
    let connected = connect(
        Object::new()
            .method("echo", async |value: Payload| Ok(value))
            .method("decode", async |value: Value| Ok(value))
            .method("nested", async |depth: usize, more: usize| {
                Ok(Nested(depth, Promise::<Value>::ready(Nested(more, 1))))
            })
            .into_stub(),
    );
    let api = &connected.api;
    let mut sent = 0;
    for depth in 240..270 {
        let nested = Nested(depth, 1);
        let in_promise = Nested(depth - 100, Promise::<Value>::ready(Nested(100, 1)));
        let in_call = Nested(depth - 100, api.call("echo", (Nested(100, 1),)));
        for result in [
            api.call("echo", (&nested,)),
            api.call("echo", (in_promise,)),
            api.call("decode", (in_call,)),
            api.call("nested", (depth, 0)),
            api.call("nested", (depth - 100, 100)),
            api.call("nested", (depth - 100, 50)).get(0u64).get("0"),
        ] {
            match within(result.fetch::<Payload>()).await {
                Ok(_) => sent += 1,
                Err(error) => {
                    let said = error.message();
                    assert!(
                        said.contains("deep") || said.contains("depth"),
                        "{depth}: {error}"
                    );
                }
            }
        }
        assert!(connected.client.end_reason().is_none(), "{depth}");
        assert!(connected.server.end_reason().is_none(), "{depth}");
    }
    assert!((60..150).contains(&sent), "{sent}");
    connected.settle().await;
}

#[tokio::test]
async fn depth_counts_the_values_of_promises() {
    // White space between the two brackets of an array does not hide them.
    for (open, close) in [
        ("[[", "]]"),
        ("[ [", "] ]"),
        (r#"{"a":"#, "}"),
        ("[\n\t[ ", "]\n]"),
    ] {
        let mut peer = ScriptedPeer::server(api());
        let (open, close) = (open.repeat(200), close.repeat(200));
        peer.send(&format!(
            r#"["push",["pipeline",0,["pass"],[{open}1{close}]]]"#
        ));
        for id in 1..100 {
            peer.send(&format!(
                r#"["push",["pipeline",0,["pass"],[{open}["pipeline",{id}]{close}]]]"#
            ));
        }
        peer.send(r#"["push",["pipeline",0,["decode"],[["pipeline",100]]]]"#);
        peer.send(r#"["pull",101]"#);
        let said = peer.next().unwrap();
        assert!(
            said.starts_with(r#"["reject",101,["error","RangeError""#),
            "{said}"
        );
        assert!(said.contains("depth"), "{said}");
    }
}

#[tokio::test]
async fn typed_arrays_keep_their_type() {
    let main = Object::new()
        .method("sum", async |samples: TypedArray<f32>| {
            Ok(samples.iter().sum::<f32>())
        })
        .method("double", async |mut numbers: TypedArray<i64>| {
            numbers.iter_mut().for_each(|number| *number *= 2);
            Ok(numbers)
        })
        .method("view", async |bytes: Binary| {
            Binary::new(Container::DataView, bytes.into_bytes()).or_internal()
        })
        .into_stub();
    let connected = connect(main);
    let api = &connected.api;
    let sum = api.call("sum", (TypedArray(vec![0.5_f32, 2.0]),));
    assert_eq!(within(sum.fetch::<f32>()).await.unwrap(), 2.5);
    // A list works too.
    let sum = api.call("sum", ([1, 2],));
    assert_eq!(within(sum.fetch::<f32>()).await.unwrap(), 3.0);
    let double = api.call("double", (TypedArray(vec![i64::MAX / 2, -1]),));
    let double: Value = within(double.fetch()).await.unwrap();
    assert_eq!(double, Value::from(TypedArray(vec![i64::MAX - 1, -2])));
    let view = api.call("view", (Bytes::from_static(b"abc"),));
    let view: Binary = within(view.fetch()).await.unwrap();
    assert_eq!(
        (view.container(), view.as_bytes()),
        (Container::DataView, &b"abc"[..])
    );
    let error = within(api.call("sum", (TypedArray(vec![1.0_f64]),)).fetch::<f32>()).await;
    assert_eq!(
        error.unwrap_err().message(),
        "sum: argument 1: expected Float32Array, got Float64Array"
    );
    connected.settle().await;
}

#[tokio::test]
async fn old_peers_are_sent_only_forms_they_know() {
    let options = SessionOptions::new().with_peer_version(PeerVersion::V0_7);
    let mut peer = ScriptedPeer::with(options, api());
    for (id, (value, sent)) in [
        (
            r#"["url","https://example.com/"]"#,
            r#""https://example.com/""#,
        ),
        (
            r#"["bytes","AQIDBA","Float32Array"]"#,
            r#"["bytes","AQIDBA"]"#,
        ),
        (r#"["bytes","AQ"]"#, r#"["bytes","AQ"]"#),
        (r#"["date",null]"#, "null"),
    ]
    .into_iter()
    .enumerate()
    {
        let id = id + 1;
        peer.send(&format!(
            r#"["push",["pipeline",0,["pass"],[{{"x":{value}}}]]]"#
        ));
        peer.send(&format!(r#"["pull",{id}]"#));
        peer.expect(&format!(r#"["resolve",{id},{{"x":{sent}}}]"#));
        peer.send(&format!(r#"["release",{id},1]"#));
    }
    peer.expect_empty();

    // The same for a message that a driver sends.
    let (left, right) = pair();
    let (_server, mut server) = Session::server(SessionOptions::new());
    server.set_main(api());
    tokio::spawn(server.drive(left));
    let options = SessionOptions::new().with_peer_version(PeerVersion::V0_7);
    let (client, connection) = Session::client(options);
    tokio::spawn(connection.drive(right));
    let array = client.main().call("pass", (TypedArray(vec![1_u16]),));
    assert_eq!(
        within(array).await.unwrap(),
        Value::Bytes(vec![1, 0].into())
    );
}
