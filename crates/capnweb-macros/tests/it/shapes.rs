//! Enums and structs that serde buffers: their fields accept the same values as plain ones.

use std::collections::BTreeMap;

use capnweb::{
    BigInt, Bytes, Date, Object, Payload, Result, Stub, Undefined, Url, Value, interface,
    typed::{Binary, Container, TypedArray},
    value,
};

use capnweb::macro_support::serde::{Serialize, de::DeserializeOwned};

use crate::support::here_and_there;

#[value]
#[derive(Clone, Debug, PartialEq)]
struct Plain<T> {
    key: String,
    value: T,
}

#[value]
#[serde(tag = "type")]
#[derive(Clone, Debug, PartialEq)]
enum Tagged<T> {
    Changed {
        key: String,
        #[serde(rename = "value")]
        new_value: T,
    },
    Plain(Plain<T>),
    Keyed(BTreeMap<i64, T>),
    Nothing(()),
    Gone,
}

#[value]
#[serde(tag = "type", content = "data")]
#[derive(Clone, Debug, PartialEq)]
enum Adjacent<T> {
    Changed { key: String, value: T },
    Alone(T),
}

#[value]
#[serde(untagged)]
#[derive(Clone, Debug, PartialEq)]
enum Untagged<T> {
    Changed { key: String, value: T },
    Pair(Box<Self>, T),
}

#[value]
#[derive(Clone, Debug, PartialEq)]
struct Flattened<T> {
    key: String,
    #[serde(flatten)]
    rest: Rest<T>,
}

#[value]
#[derive(Clone, Debug, PartialEq)]
struct Rest<T> {
    value: T,
}

/// The first variant is the one that a plain field accepts.
#[value]
#[serde(untagged)]
#[derive(Clone, Debug, PartialEq)]
enum Scalar {
    Bytes(Bytes),
    Text(String),
    Date(Date),
    Small(u32),
    Large(i128),
    BigInt(BigInt),
    Number(f64),
    Array(TypedArray<f32>),
}

fn round_trip<T>(value: &T) -> T
where
    T: Serialize + DeserializeOwned,
{
    Payload::encode(value).unwrap().decode().unwrap()
}

/// Reads `written` as a `T` in each of the shapes.
fn in_each_shape<T>(written: &impl Serialize) -> Vec<(&'static str, Result<T>)>
where
    T: DeserializeOwned,
{
    let payload = Payload::encode(written).unwrap();
    let value = || payload.clone();
    let key = "k".to_owned();
    let plain = Payload::encode(&Plain {
        key: key.clone(),
        value: value(),
    })
    .unwrap();
    let tagged = Payload::encode(&Tagged::Changed {
        key: key.clone(),
        new_value: value(),
    })
    .unwrap();
    let newtype = Payload::encode(&Tagged::Plain(Plain {
        key: key.clone(),
        value: value(),
    }))
    .unwrap();
    let keyed = Payload::encode(&Tagged::Keyed(BTreeMap::from([(-7, value())]))).unwrap();
    let adjacent = Payload::encode(&Adjacent::Changed {
        key: key.clone(),
        value: value(),
    })
    .unwrap();
    let pair = Payload::encode(&Untagged::Pair(
        Box::new(Untagged::Changed {
            key,
            value: value(),
        }),
        value(),
    ))
    .unwrap();
    vec![
        ("plain", plain.decode().map(|it: Plain<T>| it.value)),
        (
            "tagged",
            tagged.decode().map(|it| match it {
                Tagged::Changed { new_value, .. } => new_value,
                _ => unreachable!(),
            }),
        ),
        (
            "newtype",
            newtype.decode().map(|it| match it {
                Tagged::Plain(plain) => plain.value,
                _ => unreachable!(),
            }),
        ),
        (
            "keyed",
            keyed.decode().map(|it| match it {
                Tagged::Keyed(mut map) => map.remove(&-7).unwrap(),
                _ => unreachable!(),
            }),
        ),
        (
            "adjacent",
            adjacent.decode().map(|it| match it {
                Adjacent::Changed { value, .. } => value,
                Adjacent::Alone(_) => unreachable!(),
            }),
        ),
        (
            "untagged",
            plain.decode().map(|it| match it {
                Untagged::Changed { value, .. } => value,
                Untagged::Pair(..) => unreachable!(),
            }),
        ),
        (
            "recursive",
            pair.decode().map(|it| match it {
                Untagged::Pair(_, value) => value,
                Untagged::Changed { .. } => unreachable!(),
            }),
        ),
        (
            "flattened",
            plain.decode().map(|it: Flattened<T>| it.rest.value),
        ),
    ]
}

#[track_caller]
fn survives<T>(value: T)
where
    T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
{
    for (shape, read) in in_each_shape::<T>(&value) {
        assert_eq!(read.unwrap(), value, "{shape}");
    }
}

#[test]
fn every_scalar_survives_every_shape() {
    survives(Date::from_millis(5));
    survives(Date::INVALID);
    survives("9007199254740993".parse::<BigInt>().unwrap());
    survives(BigInt::from(7));
    survives(Undefined);
    survives(Bytes::from_static(b"\x00\xff"));
    survives(Bytes::from(vec![7; 5000]));
    survives(TypedArray(vec![0.5_f32, -2.0]));
    survives(Binary::new(Container::ArrayBuffer, [1, 2]).unwrap());
    survives("https://example.com/?a\\b".parse::<Url>().unwrap());
    survives("an \"escape\"".to_owned());
    survives(u64::MAX);
    survives(i64::MIN);
    survives(f64::INFINITY);
    survives(vec![Some(1.5), None]);
    survives(BTreeMap::from([("a".to_owned(), Date::from_millis(1))]));
    for value in [
        Value::Undefined,
        Value::Null,
        Value::Number(2_f64.powi(60)),
        Value::Number(-(2_f64.powi(60))),
        Value::BigInt(BigInt::from(7)),
        Value::BigInt(BigInt::from(-5_000_000_000_i64)),
        Value::BigInt(BigInt::from((1_u64 << 53) + 1)),
        Value::Date(Date::from_millis(1)),
        Value::Bytes(Bytes::from_static(b"ab")),
        Value::from(TypedArray(vec![1.5_f64])),
        Value::Url("https://example.com/".parse().unwrap()),
        Value::Array(vec![Value::Undefined, Value::Date(Date::INVALID)]),
    ] {
        survives(value);
    }
}

/// Without serde's buffer, all values can be represented.
#[test]
fn what_serde_cannot_keep_survives_in_enums() {
    for (shape, read) in in_each_shape::<u128>(&u128::MAX) {
        assert_eq!(read.unwrap(), u128::MAX, "{shape}");
    }
    let buffer = Binary::new(Container::ArrayBuffer, *b"ab").unwrap();
    for (shape, read) in in_each_shape::<Bytes>(&buffer) {
        assert_eq!(read.unwrap(), Bytes::from_static(b"ab"), "{shape}");
    }
    survives(BTreeMap::from([(1_u8, true)]));
    survives(BTreeMap::from([(false, i128::MIN)]));
    survives(BTreeMap::from([(Keys::FirstOne, 1)]));
}

#[value]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Keys {
    FirstOne,
}

#[value]
#[derive(Clone, Debug, PartialEq)]
struct Several {
    a: u8,
    #[serde(flatten)]
    first: Rest<Date>,
    #[serde(flatten)]
    either: Either,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

#[value]
#[derive(Clone, Debug, PartialEq)]
enum Either {
    Left(u128),
    Right { x: Date },
}

#[value]
#[serde(tag = "type")]
#[derive(Clone, Debug, PartialEq)]
enum Event {
    Tick {
        at: Date,
        #[serde(flatten)]
        more: BTreeMap<u32, Date>,
    },
    Nested {
        #[serde(flatten)]
        rest: Box<Rest<Date>>,
    },
}

/// Each struct takes its own fields, as with serde alone.
#[test]
fn several_fields_are_flattened_into_one_object() {
    for either in [
        Either::Left(u128::MAX),
        Either::Right {
            x: Date::from_millis(3),
        },
    ] {
        let several = Several {
            a: 1,
            first: Rest {
                value: Date::from_millis(2),
            },
            either,
            others: BTreeMap::from([
                ("others".to_owned(), Value::BigInt(BigInt::from(7))),
                ("first".to_owned(), Value::Date(Date::from_millis(4))),
            ]),
        };
        assert_eq!(round_trip(&several), several);
        assert_eq!(round_trip(&vec![several.clone()]), [several]);
    }
    let missing = Payload::encode(&BTreeMap::from([("a", 1)])).unwrap();
    let error = missing.decode::<Several>().unwrap_err();
    assert!(error.message().contains("missing field `value`"), "{error}");
}

#[test]
fn variants_have_flattened_fields() {
    for event in [
        Event::Tick {
            at: Date::from_millis(1),
            more: BTreeMap::from([(5, Date::from_millis(2)), (70, Date::INVALID)]),
        },
        Event::Nested {
            rest: Box::new(Rest {
                value: Date::from_millis(2),
            }),
        },
    ] {
        assert_eq!(round_trip(&event), event);
    }
}

#[test]
fn payloads_are_passed_on_as_they_came() {
    let date = Payload::encode(&Date::from_millis(5)).unwrap();
    for (shape, read) in in_each_shape::<Payload>(&date) {
        assert_eq!(read.unwrap().as_expression(), r#"["date",5]"#, "{shape}");
    }
}

#[test]
fn the_first_variant_that_a_plain_field_would_take_is_taken() {
    for scalar in [
        Scalar::Bytes(Bytes::from_static(b"text")),
        Scalar::Text("text".to_owned()),
        Scalar::Date(Date::from_millis(5)),
        Scalar::Small(7),
        Scalar::Large(-1),
        Scalar::Large(i128::MIN),
        Scalar::BigInt(
            "1000000000000000000000000000000000000000000"
                .parse()
                .unwrap(),
        ),
        Scalar::Number(1.5),
    ] {
        assert_eq!(round_trip(&scalar), scalar);
        let nested = Tagged::Changed {
            key: "k".to_owned(),
            new_value: vec![scalar],
        };
        assert_eq!(round_trip(&nested), nested);
    }
}

#[test]
fn variants_without_content_need_none() {
    for value in [Tagged::<u8>::Nothing(()), Tagged::Gone] {
        assert_eq!(round_trip(&value), value);
    }
}

#[test]
fn other_formats_are_read_as_serde_reads_them() {
    use capnweb::macro_support::serde::{Deserialize, de::value::MapDeserializer};

    type Error = capnweb::macro_support::serde::de::value::Error;
    let entries = [("type", "changed"), ("key", "k"), ("value", "v")];
    let deserializer = MapDeserializer::<_, Error>::new(entries.into_iter());
    assert_eq!(
        Tagged::deserialize(deserializer).unwrap(),
        Tagged::Changed {
            key: "k".to_owned(),
            new_value: "v".to_owned()
        }
    );
    let deserializer = MapDeserializer::<_, Error>::new(entries.into_iter());
    assert_eq!(
        Untagged::deserialize(deserializer).unwrap(),
        Untagged::Changed {
            key: "k".to_owned(),
            value: "v".to_owned()
        }
    );
}

#[interface]
trait Shapes {
    async fn tagged(&self, x: Tagged<Stub>) -> Result<Tagged<Stub>>;
    async fn untagged(&self, x: Untagged<Stub>) -> Result<Untagged<Stub>>;
    async fn flattened(&self, x: Flattened<Stub>) -> Result<Flattened<Stub>>;
}

struct Echo;

impl Shapes for Echo {
    async fn tagged(&self, x: Tagged<Stub>) -> Result<Tagged<Stub>> {
        Ok(x)
    }

    async fn untagged(&self, x: Untagged<Stub>) -> Result<Untagged<Stub>> {
        Ok(x)
    }

    async fn flattened(&self, x: Flattened<Stub>) -> Result<Flattened<Stub>> {
        Ok(x)
    }
}

#[tokio::test]
async fn stubs_pass_through_every_shape() {
    here_and_there(ShapesStub::new(Echo), |api| async move {
        let stub = || Object::new().method("five", || async { Ok(5) }).into_stub();
        let key = || "k".to_owned();
        let five = |stub: Stub| async move { stub.call("five", ()).fetch::<u8>().await.unwrap() };

        let sent = Tagged::Changed {
            key: key(),
            new_value: stub(),
        };
        match api.tagged(sent).await.unwrap() {
            Tagged::Changed { new_value, .. } => assert_eq!(five(new_value).await, 5),
            other => panic!("{other:?}"),
        }
        let sent = Untagged::Changed {
            key: key(),
            value: stub(),
        };
        match api.untagged(sent).await.unwrap() {
            Untagged::Changed { value, .. } => assert_eq!(five(value).await, 5),
            other => panic!("{other:?}"),
        }
        let sent = Flattened {
            key: key(),
            rest: Rest { value: stub() },
        };
        let back = api.flattened(sent).await.unwrap();
        assert_eq!(five(back.rest.value).await, 5);
    })
    .await;
}
