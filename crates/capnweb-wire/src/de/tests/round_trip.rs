//! Values that are written and read back.

use std::{
    collections::{BTreeSet, HashSet, VecDeque},
    net::IpAddr,
    num::NonZeroU8,
    time::{Duration, SystemTime},
};

use proptest::{collection, prelude::*};
use serde::Serialize;

use super::*;
use crate::{to_args, to_expr};

fn write<T: Serialize + ?Sized>(value: &T) -> String {
    let mut out = Vec::new();
    to_expr(value, &mut out, &mut NoCapabilities).unwrap();
    String::from_utf8(out).unwrap()
}

#[track_caller]
fn survives<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: T) {
    reads(&write(&value), value);
}

#[test]
fn standard_types() {
    survives((true, 'x', "text".to_owned(), 1.5_f32, -2.5_f64));
    survives((u8::MAX, i8::MIN, u16::MAX, i16::MIN, u32::MAX, i32::MIN));
    survives((
        u64::MAX,
        i64::MIN,
        u128::MAX,
        i128::MIN,
        usize::MAX,
        isize::MIN,
    ));
    survives((
        (1_u64 << 53) - 1,
        1_u64 << 53,
        (1_u64 << 53) + 1,
        -(1_i64 << 53),
    ));
    survives((
        f64::MAX,
        f64::MIN_POSITIVE,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f32::MAX,
    ));
    survives((Some(1), None::<u8>, Some(Some(2)), ()));
    survives((
        vec![1],
        VecDeque::from([2]),
        BTreeSet::from([3]),
        HashSet::from([4]),
        [5; 3],
    ));
    survives((
        BTreeMap::from([(1, "a".to_owned())]),
        HashMap::from([("b".to_owned(), vec![2])]),
    ));
    survives((Ok::<u8, String>(1), Err::<u8, String>("no".into())));
    survives((
        Box::new(1),
        NonZeroU8::MIN,
        Duration::new(1, 2),
        0..5,
        SystemTime::UNIX_EPOCH,
    ));
    survives((
        "::1".parse::<IpAddr>().unwrap(),
        std::path::PathBuf::from("/a"),
        Cow::Borrowed("x"),
    ));
    survives(serde_bytes::ByteBuf::from([0, 127, 255]));
    survives((
        Date::from_millis(5),
        Date::INVALID,
        BigInt::from(u128::MAX),
        Undefined,
    ));
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Unit;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Generic<T> {
    value: T,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    list: Vec<T>,
}

#[test]
fn structs() {
    survives(Unit);
    survives(Generic {
        value: (1, "a".to_owned()),
        list: vec![],
    });
    survives(vec![Generic {
        value: Some(u64::MAX),
        list: vec![None],
    }]);

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Flat {
        first: u8,
        #[serde(flatten)]
        generic: Generic<i64>,
        #[serde(flatten)]
        rest: BTreeMap<String, serde_json::Value>,
        #[serde(with = "serde_bytes")]
        bytes: Vec<u8>,
    }
    survives(Flat {
        first: 1,
        generic: Generic {
            value: i64::MIN,
            list: vec![1, 1 << 60],
        },
        rest: BTreeMap::from([("x".into(), json!([1, {"y": null}]))]),
        bytes: vec![1, 2],
    });
}

/// The same variants in each of serde's representations.
macro_rules! representations {
    ($($test:ident: $(#[$attribute:meta])*;)*) => { $(
        #[test]
        fn $test() {
            #[derive(Debug, PartialEq, Serialize, Deserialize)]
            $(#[$attribute])*
            enum Enum {
                Struct { a: u8, b: Option<Box<Enum>> },
                Newtype(Generic<u64>),
                Unit,
            }
            survives(Enum::Unit);
            survives(Enum::Newtype(Generic { value: u64::MAX, list: vec![1] }));
            survives(vec![
                Enum::Struct { a: 1, b: None },
                Enum::Struct { a: 2, b: Some(Box::new(Enum::Newtype(Generic { value: 1, list: vec![] }))) },
            ]);
        }
    )* };
}

representations! {
    externally_tagged_enums: ;
    internally_tagged_enums: #[serde(tag = "type")];
    adjacently_tagged_enums: #[serde(tag = "type", content = "content")];
    untagged_enums: #[serde(untagged)];
}

#[test]
fn special_values_through_buffers() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "type")]
    enum Tagged {
        A {
            date: Date,
            big: BigInt,
            undefined: Undefined,
            bytes: serde_bytes::ByteBuf,
        },
    }
    let tagged = |millis, big: &str| Tagged::A {
        date: Date::from_millis(millis),
        big: big.parse().unwrap(),
        undefined: Undefined,
        bytes: serde_bytes::ByteBuf::from([1, 2]),
    };
    survives(tagged(5, "-5"));
    survives(tagged(i64::MIN, "123456789012345678901234567890"));
}

/// JSON values, with numbers in the form in which JavaScript returns them.
fn values() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            collection::vec(inner.clone(), 0..8).prop_map(Into::into),
            collection::hash_map(any::<String>(), inner, 0..12)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Doubles written without fraction or exponent come back as integers: JavaScript knows no
/// difference.
fn normalized(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::Number(number) => {
            let mut text = Vec::new();
            crate::write_f64(&mut text, number.as_f64().unwrap_or_default());
            let digits = str::from_utf8(&text).unwrap();
            match (
                number.is_f64(),
                digits.parse::<i64>(),
                digits.parse::<u64>(),
            ) {
                (true, Ok(integer), _) => integer.into(),
                (true, _, Ok(integer)) => integer.into(),
                _ => number.into(),
            }
        }
        Value::Array(elements) => elements.into_iter().map(normalized).collect(),
        Value::Object(map) => map
            .into_iter()
            .map(|(key, value)| (key, normalized(value)))
            .collect(),
        value => value,
    }
}

proptest! {
    #[test]
    fn json_values(value in values()) {
        let text = write(&value);
        let read_back: serde_json::Value = read(&text).unwrap();
        prop_assert_eq!(normalized(read_back), normalized(value));
    }

    #[test]
    fn arguments(value in collection::vec(values(), 0..5)) {
        let mut out = Vec::new();
        to_args(&value, &mut out, &mut NoCapabilities).unwrap();
        let text = String::from_utf8(out).unwrap();
        let whole: Vec<serde_json::Value> =
            from_args(&Source { text: &text, holes: &[], capabilities: &NoCapabilities }).unwrap();
        let mut reader = ArgsReader::new(&text, &[]);
        for (value, whole) in value.into_iter().zip(whole) {
            // An argument that was null is a unit to serde, so it is written as undefined.
            let read: Option<serde_json::Value> = reader.next(&NoCapabilities).unwrap();
            let value = normalized(value);
            prop_assert_eq!(normalized(read.unwrap_or_default()), value.clone());
            prop_assert_eq!(normalized(whole), value);
        }
        prop_assert_eq!(reader.next_span(), None);
    }

    #[test]
    fn integers(signed: i128, unsigned: u128, small: i64) {
        survives((signed, unsigned, small));
    }

    #[test]
    fn structs_of_everything(value: (String, Vec<u8>, Option<bool>, char, f32), key: String) {
        prop_assume!(!crate::is_prototype_name(&key) && !value.4.is_nan());
        survives(BTreeMap::from([(key, value)]));
    }

    #[test]
    fn no_text_panics(text in r#"[\[\]{}:,"\\a0-9.eE+u" -]{0,60}"#) {
        let source = Source { text: &text, holes: &[], capabilities: &NoCapabilities };
        drop(from_expr::<serde_json::Value>(&source));
        drop(from_expr::<Vec<(u8, String)>>(&source));
        drop(from_args::<(External, Date)>(&source));
    }
}
