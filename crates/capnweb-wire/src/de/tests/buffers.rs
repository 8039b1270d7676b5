//! Values that serde reads into its own buffer first.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::json;

use super::{read, refuses};
use crate::{BigInt, Binary, Date, TypedArray, Undefined};

/// A field in each of serde's representations that reads it through a buffer, and in those that do
/// not.
mod shapes {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    pub(super) struct Plain<T> {
        pub(super) key: String,
        pub(super) value: T,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(tag = "type")]
    pub(super) enum Tagged<T> {
        #[serde(rename = "changed")]
        Changed { key: String, value: T },
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(tag = "type")]
    pub(super) enum TaggedNewtype<T> {
        #[serde(rename = "changed")]
        Changed(Plain<T>),
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(tag = "type", content = "data")]
    pub(super) enum Adjacent<T> {
        #[serde(rename = "changed")]
        Changed { key: String, value: T },
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(untagged)]
    pub(super) enum Untagged<T> {
        Changed { key: String, value: T },
    }

    #[derive(Debug, PartialEq, Deserialize)]
    pub(super) struct Inner<T> {
        pub(super) value: T,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    pub(super) struct Flattened<T> {
        pub(super) key: String,
        #[serde(flatten)]
        pub(super) inner: Inner<T>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(tag = "type")]
    pub(super) enum FlattenedInTagged<T> {
        #[serde(rename = "changed")]
        Changed {
            key: String,
            #[serde(flatten)]
            inner: Inner<T>,
        },
    }
}
use shapes::*;

/// Reads `text` as a field of type `T` in each shape.
fn in_each_shape<T: DeserializeOwned>(text: &str) -> Vec<(&'static str, Result<T, String>)> {
    fn read_in<S: DeserializeOwned, T>(text: &str, value: impl Fn(S) -> T) -> Result<T, String> {
        read::<S>(text)
            .map(value)
            .map_err(|error| error.to_string())
    }
    let flat = format!(r#"{{"key":"k","type":"changed","value":{text}}}"#);
    let content = format!(r#"{{"key":"k","value":{text}}}"#);
    vec![
        ("plain", read_in(&flat, |Plain { value, .. }| value)),
        (
            "tagged",
            read_in(&flat, |Tagged::Changed { value, .. }| value),
        ),
        (
            "tagged newtype",
            read_in(&flat, |TaggedNewtype::Changed(Plain { value, .. })| value),
        ),
        (
            "adjacent, tag first",
            read_in(
                &format!(r#"{{"type":"changed","data":{content}}}"#),
                |Adjacent::Changed { value, .. }| value,
            ),
        ),
        (
            "adjacent, content first",
            read_in(
                &format!(r#"{{"data":{content},"type":"changed"}}"#),
                |Adjacent::Changed { value, .. }| value,
            ),
        ),
        (
            "adjacent, among others",
            read_in(
                &format!(r#" {{ "data" : {content} ,"x":[[{text}]], "type":"changed","y":{{}} }}"#),
                |Adjacent::Changed { value, .. }| value,
            ),
        ),
        (
            "untagged",
            read_in(&flat, |Untagged::Changed { value, .. }| value),
        ),
        (
            "flattened",
            read_in(&flat, |flattened: Flattened<T>| flattened.inner.value),
        ),
        (
            "flattened in tagged",
            read_in(&flat, |FlattenedInTagged::Changed { inner, .. }| {
                inner.value
            }),
        ),
        (
            "nested",
            read_in(
                &format!(
                    r#"{{"key":"k","type":"changed","value":[[{{"data":{flat},"type":"changed"}}]]}}"#
                ),
                |Tagged::Changed { value, .. }: Tagged<[Adjacent<T>; 1]>| {
                    let [Adjacent::Changed { value, .. }] = value;
                    value
                },
            ),
        ),
        (
            "optional",
            read_in(&flat, |Tagged::Changed { value, .. }: Tagged<Option<T>>| {
                value
            })
            .map(|value: Option<T>| value)
            .and_then(|value| value.ok_or_else(|| "none".to_owned())),
        ),
    ]
}

/// Each shape reads what a plain field does.
#[track_caller]
fn same<T: DeserializeOwned + PartialEq + std::fmt::Debug>(text: &str, expected: &T) {
    for (shape, value) in in_each_shape::<T>(text) {
        assert_eq!(value.as_ref(), Ok(expected), "{shape}: {text}");
    }
}

/// Each shape refuses what a plain field refuses.
#[track_caller]
fn refused<T: DeserializeOwned + std::fmt::Debug>(text: &str) {
    for (shape, value) in in_each_shape::<T>(text) {
        assert!(value.is_err(), "{shape}: {text}: {value:?}");
    }
}

/// A type that tells everything apart.
#[derive(Debug, PartialEq)]
pub(super) enum Any {
    Undefined,
    Null,
    Bool(bool),
    Number(f64),
    BigInt(String),
    String(String),
    Date(f64),
    Bytes(Vec<u8>),
    Contained(String, Vec<u8>),
    Url(String),
    Error(Vec<(String, Any)>),
    Array(Vec<Any>),
    Object(Vec<(String, Any)>),
}

impl<'de> Deserialize<'de> for Any {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(crate::VALUE, AnyVisitor)
    }
}

struct AnyVisitor;

impl<'de> serde::de::Visitor<'de> for AnyVisitor {
    type Value = Any;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("any value")
    }

    fn visit_newtype_struct<D: serde::Deserializer<'de>>(self, inner: D) -> Result<Any, D::Error> {
        if crate::is_buffered::<D>() {
            inner.deserialize_any(crate::Restore(self))
        } else {
            inner.deserialize_any(self)
        }
    }

    fn visit_bool<E>(self, value: bool) -> Result<Any, E> {
        Ok(Any::Bool(value))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Any, E> {
        assert!(number.unsigned_abs() < 1 << 53);
        #[expect(clippy::cast_precision_loss, reason = "asserted")]
        Ok(Any::Number(number as f64))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Any, E> {
        assert!(number < 1 << 53);
        #[expect(clippy::cast_precision_loss, reason = "asserted")]
        Ok(Any::Number(number as f64))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Any, E> {
        Ok(Any::Number(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Any, E> {
        Ok(Any::String(text.to_owned()))
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Any, E> {
        Ok(Any::Bytes(bytes.to_vec()))
    }

    fn visit_unit<E>(self) -> Result<Any, E> {
        Ok(Any::Null)
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Any, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Any::Array(items))
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Any, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Any::Object(members))
    }

    fn visit_enum<A: serde::de::EnumAccess<'de>>(self, form: A) -> Result<Any, A::Error> {
        use serde::de::VariantAccess;
        let (name, content) = form.variant::<String>()?;
        Ok(match name.as_str() {
            "undefined" => {
                content.unit_variant()?;
                Any::Undefined
            }
            "bigint" => Any::BigInt(content.newtype_variant()?),
            "date" => Any::Date(
                content
                    .newtype_variant::<Date>()?
                    .millis()
                    .map_or(-1.0, |millis| millis as f64),
            ),
            "url" => Any::Url(content.newtype_variant()?),
            "bytes" => Any::Bytes(
                content
                    .newtype_variant::<serde_bytes::ByteBuf>()?
                    .into_vec(),
            ),
            "error" => match content.struct_variant(&[], self)? {
                Any::Object(members) => Any::Error(members),
                other => panic!("{other:?}"),
            },
            container => Any::Contained(
                container.to_owned(),
                content
                    .newtype_variant::<serde_bytes::ByteBuf>()?
                    .into_vec(),
            ),
        })
    }
}

const SCALARS: &[&str] = &[
    "null",
    "true",
    "0",
    "5",
    "-5",
    "1.5",
    "-1e3",
    "9007199254740991",
    "-9007199254740991",
    "1152921504606846976",
    "-1152921504606846976",
    "18446744073709551616",
    "9007199254740993",
    "1e300",
    r#"["inf"]"#,
    r#"["-inf"]"#,
    r#"["undefined"]"#,
    r#"["bigint","0"]"#,
    r#"["bigint","5"]"#,
    r#"["bigint","-5"]"#,
    r#"["bigint","-5000000000"]"#,
    r#"["bigint","9007199254740993"]"#,
    r#"["bigint","-9007199254740993"]"#,
    r#"["bigint","18446744073709551615"]"#,
    r#"["bigint","-9223372036854775808"]"#,
    r#"["bigint","-9223372036854775809"]"#,
    r#"["bigint","123456789012345678901234567890"]"#,
    r#""""#,
    r#""text""#,
    r#""an \"escape\"""#,
    r#""caf\u00e9""#,
    r#""https://example.com/""#,
    r#"["url","https://example.com/a?b"]"#,
    r#"["url","https://example.com/?a\\b"]"#,
    r#"["url","HTTPS://EXAMPLE.COM"]"#,
    r#"["date",0]"#,
    r#"["date",-1700000000000]"#,
    r#"["date",null]"#,
    r#"["bytes",""]"#,
    r#"["bytes","AQID"]"#,
    r#"["bytes","","ArrayBuffer"]"#,
    r#"["bytes","AQID","ArrayBuffer"]"#,
    r#"["bytes","AQIDBA","Float32Array"]"#,
    r#"["error","TypeError","no",null,{"code":["bigint","7"],"at":["date",1]}]"#,
    r#"["error","E","m","at x"]"#,
    r#"{"name":"x","message":"y"}"#,
    "{}",
    "[[]]",
    r#"[[1,["bigint","1"],["date",1],[[["undefined"],null]]]]"#,
];

#[test]
fn everything_is_told_apart_in_each_shape() {
    for text in SCALARS {
        let expected: Any = read(text).unwrap();
        if matches!(text, &"null" | &r#"["undefined"]"#) {
            // An option reads them as `None`.
            let mut shapes = in_each_shape::<Any>(text);
            shapes.pop();
            for (shape, value) in shapes {
                assert_eq!(value.as_ref(), Ok(&expected), "{shape}: {text}");
            }
            continue;
        }
        same(text, &expected);
        let nested = format!(r#"{{"a":[[{text},{text}]],"b":{{"c":{text}}}}}"#);
        same(&nested, &read::<Any>(&nested).unwrap());
    }
}

#[test]
fn types_of_this_crate_read_what_they_do_in_plain_fields() {
    fn alike<T: DeserializeOwned + PartialEq + std::fmt::Debug>() {
        for text in SCALARS {
            match read::<T>(text) {
                Ok(_) if matches!(text, &"null" | &r#"["undefined"]"#) => {}
                Ok(expected) => same(text, &expected),
                Err(_) => refused::<T>(text),
            }
        }
    }
    alike::<Date>();
    alike::<BigInt>();
    alike::<Binary>();
    alike::<TypedArray<f32>>();
    alike::<TypedArray<u8>>();
    alike::<Undefined>();
    for (shape, value) in in_each_shape::<Undefined>(r#"["undefined"]"#) {
        assert!(value.is_ok() || shape == "optional", "{shape}");
    }
}

#[test]
fn plain_types_read_what_they_did() {
    same("5", &5_u8);
    same(r#"["bigint","5"]"#, &5_u8);
    same(r#"["bigint","18446744073709551615"]"#, &u64::MAX);
    same(r#"["bigint","-9223372036854775808"]"#, &i64::MIN);
    same("-9007199254740991", &-9_007_199_254_740_991_i64);
    same("1152921504606846976", &(1_u64 << 60));
    same(r#"["inf"]"#, &f64::INFINITY);
    same("5", &5.0_f64);
    same(r#""an \"escape\"""#, &"an \"escape\"".to_owned());
    same(r#"["url","https://a.b/"]"#, &"https://a.b/".to_owned());
    same(
        r#"["bytes","AQID"]"#,
        &serde_bytes::ByteBuf::from([1, 2, 3]),
    );
    same(
        r#"["error","E","m"]"#,
        &std::collections::BTreeMap::from([
            ("name".to_owned(), "E".to_owned()),
            ("message".to_owned(), "m".to_owned()),
        ]),
    );
    refused::<f64>(r#"["date",5]"#);
    refused::<Option<Option<f64>>>(r#"["date",5]"#);
    refused::<String>(r#"["bigint","123456789012345678901234567890"]"#);
}

#[test]
fn who_takes_anything_sees_the_closest_plain_data() {
    for (text, expected) in [
        (r#"["date",5]"#, json!(5.0)),
        (r#"["bigint","5"]"#, json!(5)),
        (r#"["bigint","-5000000000"]"#, json!(-5_000_000_000_i64)),
        (r#"["bigint","18446744073709551615"]"#, json!(u64::MAX)),
        (
            r#"["bigint","123456789012345678901234567890"]"#,
            json!("123456789012345678901234567890"),
        ),
        (r#"["url","https://a.b/"]"#, json!("https://a.b/")),
        (r#"["url","https://a.b/?\\"]"#, json!("https://a.b/?\\")),
        (r#"["undefined"]"#, json!(null)),
        (r#"["error","E","m"]"#, json!({"name": "E", "message": "m"})),
        ("5", json!(5)),
        ("-5", json!(-5)),
        ("1.5", json!(1.5)),
    ] {
        assert_eq!(read::<serde_json::Value>(text).unwrap(), expected);
        let mut shapes = in_each_shape::<serde_json::Value>(text);
        if expected.is_null() {
            shapes.pop();
        }
        for (shape, value) in shapes {
            assert_eq!(value, Ok(expected.clone()), "{shape}: {text}");
        }
    }
}

#[test]
fn strings_are_borrowed_from_a_buffer_too() {
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(tag = "t")]
    enum Borrowing<'a> {
        A { text: &'a str },
    }
    let text = r#"{"text":"here","t":"A"}"#;
    assert_eq!(
        read::<Borrowing<'_>>(text).unwrap(),
        Borrowing::A { text: "here" }
    );
}

#[test]
fn adjacent_tags_are_found_wherever_they_are() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "t", content = "c")]
    enum Adjacent {
        A(u128),
        B,
    }
    for text in [
        r#"{"t":"A","c":["bigint","5"]}"#,
        r#"{"c":["bigint","5"],"t":"A"}"#,
        r#"{"c":["bigint","5"],"x":[[{"t":"B"}]],"t":"A"}"#,
        r#"{"c":1,"c":["bigint","5"],"t":"A"}"#,
        r#"{"c":["bigint","5"],"t":"B","t":"A"}"#,
    ] {
        assert_eq!(read::<Adjacent>(text).unwrap(), Adjacent::A(5), "{text}");
    }
    assert_eq!(
        read::<Adjacent>(r#"{"c":null,"t":"B"}"#).unwrap(),
        Adjacent::B
    );
    refuses::<Adjacent>(r#"{"c":1}"#, "missing field `t`");

    /// Any struct of two fields may be read like that.
    #[derive(Debug, PartialEq, Deserialize)]
    struct Two {
        first: Option<u8>,
        second: Vec<u8>,
    }
    for text in [
        r#"{"second":[[1]],"first":2}"#,
        r#"{"second":[[1]],"third":3,"first":2,"fourth":{}}"#,
        r#"{"first":2,"second":[[1]]}"#,
    ] {
        let expected = Two {
            first: Some(2),
            second: vec![1],
        };
        assert_eq!(read::<Two>(text).unwrap(), expected);
    }
    let alone: Vec<Two> = read(r#"[[{"second":[[1]]},{"second":[[]],"x":1}]]"#).unwrap();
    assert_eq!(alone.len(), 2);
    assert_eq!(alone[0].first, None);
}
