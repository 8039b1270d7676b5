//! Combinations of serde's attributes on values: none of them makes a field accept less than a
//! plain one.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    time::{Duration, SystemTime},
};

use capnweb::{
    BigInt, Bytes, Date, Object, Payload, Undefined, Url, Value,
    macro_support::serde::{Serialize, de::DeserializeOwned},
    typed::{Binary, Container},
    value,
};

#[value]
#[derive(Clone, Debug, PartialEq)]
struct Rest<T> {
    value: T,
}

#[value]
#[serde(tag = "type")]
#[derive(Clone, Debug, PartialEq)]
enum WithOther<T> {
    Known {
        value: T,
    },
    #[serde(other)]
    Unknown,
}

#[value]
#[serde(tag = "type", content = "data")]
#[derive(Clone, Debug, PartialEq)]
enum AdjacentWithOther<T> {
    Known {
        value: T,
    },
    Pair(u8, T),
    #[serde(other)]
    Unknown,
}

#[value]
#[derive(Clone, Debug, PartialEq)]
struct FlatOption<T> {
    id: u8,
    #[serde(flatten)]
    rest: Option<Rest<T>>,
}

#[value]
#[serde(tag = "type")]
#[derive(Clone, Debug, PartialEq)]
enum FlatInTagged<T> {
    Changed {
        id: u8,
        #[serde(flatten)]
        rest: Option<Rest<T>>,
    },
}

#[value]
#[derive(Clone, Debug, PartialEq)]
struct FlatTagged<T> {
    id: u8,
    #[serde(flatten)]
    tagged: WithOther<T>,
}

#[value]
#[serde(tag = "type", deny_unknown_fields, rename_all = "kebab-case")]
#[derive(Clone, Debug, PartialEq)]
enum Denying<T> {
    VeryNew {
        #[serde(rename = "the-value", alias = "it")]
        value: T,
        #[serde(default)]
        count: u8,
        #[serde(skip)]
        skipped: u8,
    },
}

#[value]
#[serde(untagged)]
#[derive(Clone, Debug, PartialEq)]
enum Loose<T> {
    Nested(WithOther<T>),
    #[serde(alias = "z")]
    Other {
        other: Vec<T>,
    },
}

#[value]
#[serde(tag = "outer")]
#[derive(Clone, Debug, PartialEq)]
enum Outer<T> {
    Inner(WithOther<T>),
    Boxed(Box<Rest<T>>),
}

#[value]
#[serde(transparent)]
#[derive(Clone, Debug, PartialEq)]
struct Transparent<T> {
    inner: WithOther<T>,
}

#[value]
#[serde(from = "Rest<T>", into = "Rest<T>")]
#[derive(Clone, Debug, PartialEq)]
struct Converted<T: Clone>(T);

impl<T: Clone> From<Rest<T>> for Converted<T> {
    fn from(rest: Rest<T>) -> Self {
        Self(rest.value)
    }
}

impl<T: Clone> From<Converted<T>> for Rest<T> {
    fn from(converted: Converted<T>) -> Self {
        Self { value: converted.0 }
    }
}

#[value]
#[serde(tag = "type", bound(serialize = "Rest<T>: Serialize, U: Serialize"))]
#[derive(Clone, Debug, PartialEq)]
enum Two<T, U> {
    Both(Rest<T>),
    Other {
        #[serde(flatten)]
        more: BTreeMap<String, U>,
    },
}

/// Writes a value of one type and reads it as another.
#[track_caller]
fn passes<W, R>(written: &W, expected: &R)
where
    W: Serialize,
    R: DeserializeOwned + PartialEq + Debug,
{
    let payload = Payload::encode(written).unwrap();
    match payload.decode::<R>() {
        Ok(read) => assert_eq!(&read, expected, "{}", payload.as_expression()),
        Err(error) => panic!("{}: {error}", payload.as_expression()),
    }
    // Among other arguments, and as the last one.
    let pair = Payload::encode(&(Rest { value: written }, 1)).unwrap();
    let (rest, one): (Rest<R>, u8) = pair.decode().unwrap();
    assert_eq!((&rest.value, one), (expected, 1));
}

/// Writes a value in each of the forms above and reads it as another type.
#[track_caller]
fn passes_in_each_form<W, R>(written: &W, read: &R)
where
    W: Serialize + DeserializeOwned + Clone,
    R: Serialize + DeserializeOwned + Clone + PartialEq + Debug,
{
    let (w, r) = (|| written.clone(), || read.clone());
    macro_rules! both {
        ($($name:ident => $make:expr;)*) => {
            $({
                let $name = w();
                let written = $make;
                let $name = r();
                passes(&written, &$make);
            })*
        };
    }
    both! {
        value => WithOther::Known { value };
        value => AdjacentWithOther::Known { value };
        value => AdjacentWithOther::Pair(1, value);
        value => FlatOption { id: 1, rest: Some(Rest { value }) };
        value => FlatInTagged::Changed { id: 1, rest: Some(Rest { value }) };
        value => FlatTagged { id: 1, tagged: WithOther::Known { value } };
        value => Denying::VeryNew { value, count: 3, skipped: 0 };
        value => Loose::Nested(WithOther::Known { value });
        value => Loose::Other { other: vec![value] };
        value => Outer::Inner(WithOther::Known { value });
        value => Outer::Boxed(Box::new(Rest { value }));
        value => Transparent { inner: WithOther::Known { value } };
        value => Converted(value);
        value => Two::<_, u8>::Both(Rest { value });
        value => Two::<u8, _>::Other { more: BTreeMap::from([("x".to_owned(), value)]) };
    }
}

#[track_caller]
fn survives<T>(value: T)
where
    T: Serialize + DeserializeOwned + Clone + PartialEq + Debug,
{
    passes_in_each_form(&value, &value);
}

#[test]
fn every_kind_of_value_survives_every_combination() {
    survives(Date::from_millis(5));
    survives(Date::INVALID);
    survives(BigInt::from(7));
    survives(u128::MAX);
    survives(i128::MIN);
    survives(u64::MAX);
    survives(Bytes::from_static(b"\x00\xff"));
    survives("https://example.com/?a\\b".parse::<Url>().unwrap());
    survives(Undefined);
    survives(BTreeMap::from([(-7_i64, true)]));
    survives(BTreeMap::from([(false, Date::from_millis(1))]));
    survives(Value::BigInt(BigInt::from(7)));
    survives(Value::Date(Date::INVALID));
    survives(Value::Stub(Object::new().into_stub()));
    // Other forms that a plain field accepts are read the same way.
    let buffer = Binary::new(Container::ArrayBuffer, *b"ab").unwrap();
    passes_in_each_form(&buffer, &Bytes::from_static(b"ab"));
    let text = "https://example.com/a b".to_owned();
    passes_in_each_form(&text, &text.parse::<Url>().unwrap());
    passes_in_each_form(
        &Value::Number(2_f64.powi(60)),
        &1_152_921_504_606_847_000_u64,
    );
}

#[test]
fn payloads_are_passed_on_undecoded() {
    let date = Payload::encode(&Date::from_millis(5)).unwrap();
    let payload = Payload::encode(&FlatOption {
        id: 1,
        rest: Some(Rest { value: &date }),
    })
    .unwrap();
    let read: FlatOption<Payload> = payload.decode().unwrap();
    assert_eq!(read.rest.unwrap().value.as_expression(), r#"["date",5]"#);
    let payload = Payload::encode(&WithOther::Known { value: &date }).unwrap();
    let WithOther::<Payload>::Known { value } = payload.decode().unwrap() else {
        panic!("another variant");
    };
    assert_eq!(value.as_expression(), r#"["date",5]"#);
}

#[test]
fn an_unknown_tag_is_the_other_variant() {
    let written = Payload::encode(&BTreeMap::from([("type", "new"), ("x", "y")])).unwrap();
    assert_eq!(
        written.decode::<WithOther<u8>>().unwrap(),
        WithOther::Unknown
    );
    let all = Payload::encode(&[&written, &written]).unwrap();
    assert_eq!(all.decode::<Vec<WithOther<u8>>>().unwrap().len(), 2);
    let written = Payload::encode(&BTreeMap::from([("type", "new")])).unwrap();
    assert_eq!(
        written.decode::<AdjacentWithOther<u8>>().unwrap(),
        AdjacentWithOther::Unknown
    );
}

#[test]
fn a_flattened_option_is_none_if_its_value_does_not_fit() {
    for (key, value) in [("other", 1), ("value", 300)] {
        let written = Payload::encode(&BTreeMap::from([("id", 1), (key, value)])).unwrap();
        let read: FlatOption<u8> = written.decode().unwrap();
        assert_eq!(read, FlatOption { id: 1, rest: None });
    }
    passes(
        &FlatOption::<u8> { id: 1, rest: None },
        &FlatOption::<u8> { id: 1, rest: None },
    );
}

#[value]
#[serde(tag = "type")]
#[derive(Clone, Debug, PartialEq)]
enum Timed {
    At {
        #[serde(with = "capnweb::date")]
        at: SystemTime,
        #[serde(with = "capnweb::date::option", default)]
        until: Option<SystemTime>,
    },
}

#[test]
fn fields_are_read_by_functions() {
    let at = SystemTime::UNIX_EPOCH + Duration::from_millis(5);
    for until in [None, Some(at)] {
        let timed = Timed::At { at, until };
        passes(&timed, &timed);
    }
}
