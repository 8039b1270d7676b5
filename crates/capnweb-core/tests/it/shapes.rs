//! Types that serde reads into its own buffer first, which must not change the contents of their
//! fields.

use std::fmt::Debug;

use bytes::Bytes;
use capnweb_core::{
    BigInt, Binary, Container, Date, Error, Object, Payload, Readable, Result, Stub, TypedArray,
    Url, Value,
};
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::support::{connect, within};

#[derive(Debug, Serialize, Deserialize)]
struct Plain<T> {
    key: String,
    value: T,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type")]
enum Tagged<T> {
    Changed { key: String, value: T },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum Adjacent<T> {
    Changed { key: String, value: T },
}

/// [`Adjacent`] with the members in the other order, as other senders may write it.
#[derive(Debug, Serialize)]
struct ContentFirst<T> {
    data: Plain<T>,
    r#type: &'static str,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged<T> {
    Changed { key: String, value: T },
}

#[derive(Debug, Serialize, Deserialize)]
struct Flattened<T> {
    key: String,
    #[serde(flatten)]
    rest: Rest<T>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Rest<T> {
    value: T,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type")]
enum FlattenedInTagged<T> {
    Changed {
        #[serde(flatten)]
        plain: Plain<T>,
    },
}

fn read<W: Serialize, R: DeserializeOwned>(written: &W) -> Result<R> {
    Payload::encode(written)?.decode()
}

/// Writes a value as a field, and reads it as each shape does.
fn in_each_shape<T: DeserializeOwned>(written: &impl Serialize) -> Vec<(&'static str, Result<T>)> {
    let value = Payload::encode(written).unwrap();
    let key = || "k".to_owned();
    let plain = || Plain {
        key: key(),
        value: value.clone(),
    };
    let tagged = Tagged::Changed {
        key: key(),
        value: value.clone(),
    };
    let adjacent = Adjacent::Changed {
        key: key(),
        value: value.clone(),
    };
    let content_first = ContentFirst {
        data: plain(),
        r#type: "Changed",
    };
    let nested = Tagged::Changed {
        key: key(),
        value: vec![ContentFirst {
            data: Plain {
                key: key(),
                value: plain(),
            },
            r#type: "Changed",
        }],
    };
    vec![
        ("plain", read(&plain()).map(|it: Plain<T>| it.value)),
        (
            "tagged",
            read(&tagged).map(|Tagged::Changed { value, .. }| value),
        ),
        (
            "adjacent",
            read(&adjacent).map(|Adjacent::Changed { value, .. }| value),
        ),
        (
            "content first",
            read(&content_first).map(|Adjacent::Changed { value, .. }| value),
        ),
        (
            "untagged",
            read(&plain()).map(|Untagged::Changed { value, .. }| value),
        ),
        (
            "flattened",
            read(&plain()).map(|it: Flattened<T>| it.rest.value),
        ),
        (
            "flattened in tagged",
            read(&tagged).map(|FlattenedInTagged::Changed { plain, .. }| plain.value),
        ),
        (
            "nested",
            read(&nested).map(
                |Tagged::Changed { value, .. }: Tagged<Vec<Adjacent<Untagged<T>>>>| {
                    let mut value = value;
                    let Adjacent::Changed { value, .. } = value.pop().unwrap();
                    let Untagged::Changed { value, .. } = value;
                    value
                },
            ),
        ),
    ]
}

#[track_caller]
fn survives<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: T) {
    for (shape, read) in in_each_shape::<T>(&value) {
        assert_eq!(read.unwrap(), value, "{shape}");
    }
}

#[test]
fn scalars_survive() {
    survives(Date::from_millis(5));
    survives(Date::INVALID);
    survives(BigInt::from(7));
    survives(BigInt::from((1_u64 << 53) + 1));
    survives("1267650600228229401496703205376".parse::<BigInt>().unwrap());
    survives(Bytes::from_static(b"\x00\xff"));
    survives(Bytes::from(vec![7; 5000]));
    survives(TypedArray(vec![0.5_f32, -2.0]));
    survives(Binary::new(Container::ArrayBuffer, [1, 2]).unwrap());
    survives(Binary::new(Container::DataView, vec![1; 5000]).unwrap());
    survives("https://example.com/a?b".parse::<Url>().unwrap());
    survives("https://example.com/?a\\b".parse::<Url>().unwrap());
    survives("an \"escape\" \\ and\nmore".to_owned());
    survives(u64::MAX);
    survives(i64::MIN);
    survives(f64::NEG_INFINITY);
}

#[test]
fn values_survive() {
    let error = Error::type_error("no")
        .with_prop("code", BigInt::from(7))
        .with_prop("at", Date::from_millis(1));
    let leaves = [
        Value::Undefined,
        Value::Null,
        Value::Bool(true),
        Value::Number(-5_000_000_000.0),
        Value::Number(2_f64.powi(60)),
        Value::Number(-(2_f64.powi(60))),
        Value::Number(f64::INFINITY),
        Value::BigInt(BigInt::from(0)),
        Value::BigInt(BigInt::from(-5_000_000_000_i64)),
        Value::BigInt(BigInt::from(i64::MIN)),
        Value::BigInt(BigInt::from(i128::MIN)),
        Value::from("text"),
        Value::from("https://example.com/"),
        Value::Date(Date::from_millis(1)),
        Value::Date(Date::INVALID),
        Value::Bytes(Bytes::from_static(b"ab")),
        Value::Binary(Binary::new(Container::ArrayBuffer, []).unwrap()),
        Value::from(TypedArray(vec![1.5_f64])),
        Value::Url("https://example.com/".parse().unwrap()),
        Value::Url("https://example.com/?a\\b".parse().unwrap()),
        Value::Error(error),
    ];
    for value in &leaves {
        survives(value.clone());
    }
    let list = Value::Array(leaves.to_vec());
    let object: indexmap::IndexMap<String, Value> = [
        ("name".to_owned(), list.clone()),
        ("message".to_owned(), list),
    ]
    .into_iter()
    .collect();
    survives(Value::Object(object));
}

#[test]
fn errors_keep_their_properties() {
    let error = Error::type_error("no").with_prop("at", Date::from_millis(1));
    for (shape, read) in in_each_shape::<Error>(&error) {
        let read = read.unwrap();
        assert_eq!(
            (read.name(), read.message()),
            ("TypeError", "no"),
            "{shape}"
        );
        let at: Option<Date> = read.prop("at");
        assert_eq!(at, Some(Date::from_millis(1)), "{shape}");
    }
}

#[test]
fn payloads_survive() {
    for text in [
        r#"["date",5]"#,
        r#"["undefined"]"#,
        r#"["bigint","5"]"#,
        r#"["bigint","-5000000000"]"#,
        r#"["bytes","AQI"]"#,
        r#"["bytes","AQI","ArrayBuffer"]"#,
        r#"["url","https://example.com/"]"#,
        r#"{"a":[[["date",1],["bigint","1"],["undefined"],null]]}"#,
        r#"["inf"]"#,
        "1152921504606847000",
    ] {
        let value: Value = payload(text).decode().unwrap();
        assert_eq!(Payload::encode(&value).unwrap().as_expression(), text);
        for (shape, read) in in_each_shape::<Payload>(&value) {
            assert_eq!(read.unwrap().as_expression(), text, "{shape}");
        }
    }
}

/// Returns a payload with this text.
fn payload(text: &str) -> Payload {
    let mut holes = Vec::new();
    capnweb_wire::scan_expr(text, &capnweb_wire::Limits::default(), &mut holes).unwrap();
    assert!(holes.is_empty(), "{text}");
    let source = capnweb_wire::Source {
        text,
        holes: &[],
        capabilities: &capnweb_wire::NoCapabilities,
    };
    let value: Value = capnweb_wire::from_expr(&source).unwrap();
    Payload::encode(&value).unwrap()
}

#[tokio::test]
async fn capabilities_survive() {
    let api = Object::new()
        .method("tagged", async |x: Tagged<Stub>| Ok(x))
        .method("value", async |x: FlattenedInTagged<Value>| Ok(x))
        .method("stream", async |x: Untagged<Readable<u32>>| Ok(x))
        .into_stub();
    let connected = connect(api);
    let api = &connected.api;
    let five = || Object::new().method("five", async || Ok(5)).into_stub();
    let key = || "k".to_owned();

    let sent = Tagged::Changed {
        key: key(),
        value: five(),
    };
    let Tagged::Changed { value, .. } = within(api.call("tagged", (sent,)).fetch()).await.unwrap();
    let value: Stub = value;
    let answer: u32 = within(value.call("five", ()).fetch()).await.unwrap();
    assert_eq!(answer, 5);
    drop(value);

    let sent = Tagged::Changed {
        key: key(),
        value: vec![Value::Stub(five()), Value::Date(Date::from_millis(3))],
    };
    let FlattenedInTagged::Changed { plain } =
        within(api.call("value", (sent,)).fetch()).await.unwrap();
    let value: Value = plain.value;
    assert_eq!(value[1], Value::Date(Date::from_millis(3)));
    let stub = value[0].as_stub().unwrap();
    let answer: u32 = within(stub.call("five", ()).fetch()).await.unwrap();
    assert_eq!(answer, 5);
    drop(value);

    let sent = Untagged::Changed {
        key: key(),
        value: Readable::from_stream(stream::iter([1_u32, 2, 3])),
    };
    let Untagged::Changed { value, .. } =
        within(api.call("stream", (sent,)).fetch()).await.unwrap();
    let mut stream: Readable<u32> = value;
    let mut chunks = Vec::new();
    while let Some(chunk) = within(stream.next()).await {
        chunks.push(chunk.unwrap());
    }
    assert_eq!(chunks, [1, 2, 3]);
    drop(stream);
    connected.settle().await;
}
