//! Enums that read a value more than once.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

use super::{buffers::Any, read, refuses};
use crate::{Date, Tagging, read_enum};

/// An enum that reads itself as `#[capnweb::value]` would have it.
macro_rules! enums {
    ($($name:ident $tagging:expr, $(#[$attribute:meta])* { $($variants:tt)* } { $($from:tt)* })*) => { $(
        #[derive(Debug, PartialEq)]
        enum $name { $($variants)* }

        const _: () = {
            use $name as Enum;

            #[derive(Deserialize)]
            enum Variants { $($variants)* }

            #[derive(Deserialize)]
            $(#[$attribute])*
            enum Buffered { $($variants)* }

            impl<'de> Deserialize<'de> for Enum {
                fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    read_enum(
                        $tagging,
                        deserializer,
                        |value| {
                            use Variants as Read;
                            match value { $($from)* }
                        },
                        |value| {
                            use Buffered as Read;
                            match value { $($from)* }
                        },
                    )
                }
            }
        };
    )* };
}

enums! {
    Tagged Tagging::Internal(&["type"]), #[serde(tag = "type")] {
        Struct { number: u128, any: Any },
        Keys(BTreeMap<u32, Any>),
        Nothing(()),
        Unit,
    } {
        Read::Struct { number, any } => Enum::Struct { number, any },
        Read::Keys(keys) => Enum::Keys(keys),
        Read::Nothing(()) => Enum::Nothing(()),
        Read::Unit => Enum::Unit,
    }
    Nested Tagging::Internal(&["t"]), #[serde(tag = "t")] {
        Deep(Tagged),
    } {
        Read::Deep(tagged) => Enum::Deep(tagged),
    }
    Chain Tagging::Internal(&["type"]), #[serde(tag = "type")] {
        Link { child: Box<Chain> },
        End { number: u128 },
    } {
        Read::Link { child } => Enum::Link { child },
        Read::End { number } => Enum::End { number },
    }
    Tree Tagging::None, #[serde(untagged)] {
        Leaf(String),
        Node { child: Box<Tree> },
        Named { child: Box<Tree>, name: String },
    } {
        Read::Leaf(text) => Enum::Leaf(text),
        Read::Node { child } => Enum::Node { child },
        Read::Named { child, name } => Enum::Named { child, name },
    }
    Lists Tagging::None, #[serde(untagged)] {
        Texts(Vec<Tree>),
        Numbers(Vec<u32>),
        Any(Vec<Any>),
    } {
        Read::Texts(texts) => Enum::Texts(texts),
        Read::Numbers(numbers) => Enum::Numbers(numbers),
        Read::Any(any) => Enum::Any(any),
    }
    Untagged Tagging::None, #[serde(untagged)] {
        Unit,
        Bytes(serde_bytes::ByteBuf),
        Text(String),
        Large(u128),
        Tagged(Tagged),
        Pair(u8, Date),
        Struct { a: Date },
    } {
        Read::Unit => Enum::Unit,
        Read::Bytes(bytes) => Enum::Bytes(bytes),
        Read::Text(text) => Enum::Text(text),
        Read::Large(number) => Enum::Large(number),
        Read::Tagged(tagged) => Enum::Tagged(tagged),
        Read::Pair(a, b) => Enum::Pair(a, b),
        Read::Struct { a } => Enum::Struct { a },
    }
}

#[test]
fn tags_may_stand_anywhere() {
    for text in [
        r#"{"type":"Struct","number":["bigint","7"],"any":["date",1]}"#,
        r#" { "number" : ["bigint","7"], "x":{"type":1}, "any":["date",1] , "type" : "Struct" } "#,
        r#"{"type":"Unit","number":["bigint","7"],"any":["date",1],"type":"Struct"}"#,
        r#"{"number":1,"number":["bigint","7"],"any":["date",1],"type":"Struct"}"#,
    ] {
        let expected = Tagged::Struct {
            number: 7,
            any: Any::Date(1.0),
        };
        assert_eq!(read::<Tagged>(text).unwrap(), expected, "{text}");
        let list = format!("[[{text},{text}]]");
        assert_eq!(read::<Vec<Tagged>>(&list).unwrap().len(), 2);
        assert_eq!(
            read::<Untagged>(text).unwrap(),
            Untagged::Tagged(expected),
            "{text}"
        );
    }
}

#[test]
fn tags_are_no_content() {
    assert_eq!(
        read::<Tagged>(r#"{"1":["date",1],"type":"Keys","20":2}"#).unwrap(),
        Tagged::Keys(BTreeMap::from([
            (1, Any::Date(1.0)),
            (20, Any::Number(2.0))
        ]))
    );
    assert_eq!(
        read::<Tagged>(r#"{"type":"Nothing"}"#).unwrap(),
        Tagged::Nothing(())
    );
    assert_eq!(
        read::<Tagged>(r#"{"x":1,"type":"Unit"}"#).unwrap(),
        Tagged::Unit
    );
    for text in [
        r#"{"t":"Deep","1":2,"type":"Keys"}"#,
        r#"{"type":"Keys","t":"x","1":2,"t":"Deep"}"#,
    ] {
        assert_eq!(
            read::<Nested>(text).unwrap(),
            Nested::Deep(Tagged::Keys(BTreeMap::from([(1, Any::Number(2.0))]))),
            "{text}"
        );
    }
    assert_eq!(
        read::<Vec<Tagged>>(r#"[[{"type":"Unit","x":1,"type":"Nothing"},{"type":"Unit"}]]"#)
            .unwrap(),
        [Tagged::Nothing(()), Tagged::Unit]
    );
    refuses::<Tagged>(r#"{"x":1}"#, "missing field `type`");
    refuses::<Tagged>(r#"{"type":1}"#, "expected a string, got a number");
    assert!(read::<Tagged>(r#"{"type":"What"}"#).is_err());
    assert!(read::<Tagged>(r#"["error","type","Unit"]"#).is_err());
    assert!(read::<Tagged>("5").is_err());
}

#[test]
fn the_first_variant_that_a_plain_field_would_take_is_taken() {
    let array = format!(r#"["bigint","{}"]"#, u128::MAX);
    for (text, expected) in [
        ("null", Untagged::Unit),
        (r#"["undefined"]"#, Untagged::Unit),
        (r#""text""#, Untagged::Text("text".into())),
        (
            r#"["bytes","aGk"]"#,
            Untagged::Bytes(serde_bytes::ByteBuf::from(*b"hi")),
        ),
        (
            r#"["bytes","aGk","ArrayBuffer"]"#,
            Untagged::Bytes(serde_bytes::ByteBuf::from(*b"hi")),
        ),
        (array.as_str(), Untagged::Large(u128::MAX)),
        (
            r#"[[7,["date",5]]]"#,
            Untagged::Pair(7, Date::from_millis(5)),
        ),
        (
            r#"{"a":["date",5]}"#,
            Untagged::Struct {
                a: Date::from_millis(5),
            },
        ),
    ] {
        assert_eq!(read::<Untagged>(text).unwrap(), expected, "{text}");
    }
    assert!(read::<Untagged>(r#"[[1000,["date",5]]]"#).is_err());
    let error = read::<Untagged>("true").unwrap_err().to_string();
    assert!(
        error.starts_with("no variant of the enum fits: "),
        "{error}"
    );
}

#[test]
fn other_deserializers_read_as_serde_does() {
    let json = r#"{"any":1,"type":"Struct","number":5}"#;
    // serde's buffer does not support integers of 128 bits.
    assert!(serde_json::from_str::<Tagged>(json).is_err());
    assert_eq!(
        serde_json::from_str::<Tagged>(r#"{"type":"Unit"}"#).unwrap(),
        Tagged::Unit
    );
    assert_eq!(
        serde_json::from_str::<Untagged>(r#""text""#).unwrap(),
        Untagged::Bytes(serde_bytes::ByteBuf::from(*b"text"))
    );
    // With serde's buffer, there is no other way.
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(tag = "t")]
    enum Outer {
        A { inner: Tagged },
    }
    assert_eq!(
        read::<Outer>(r#"{"t":"A","inner":{"type":"Keys"}}"#).unwrap(),
        Outer::A {
            inner: Tagged::Keys(BTreeMap::new())
        }
    );
}

/// Wherever the tags are, each level is found.
#[test]
fn tagged_enums_nest_deep() {
    for depth in [2, 30, 200] {
        let expected = (0..depth).fold(Chain::End { number: 7 }, |child, _| Chain::Link {
            child: Box::new(child),
        });
        for (before, after) in [
            (r#"{"type":"Link","child":"#, "}"),
            (r#"{"child":"#, r#","type":"Link"}"#),
            (r#"{"type":"End","child":"#, r#","type":"Link"}"#),
        ] {
            let end = r#"{"type":"End","number":["bigint","7"]}"#;
            let text = format!("{}{end}{}", before.repeat(depth), after.repeat(depth));
            assert_eq!(read::<Chain>(&text).unwrap(), expected, "{depth}");
        }
    }
}

/// Each level has two variants to be tried with the level below, so that the last one would be read
/// 2²⁰⁰ times.
#[test]
fn nobody_reads_for_ever() {
    let nested = |depth: usize, leaf: &str| {
        format!(
            "{}{leaf}{}",
            r#"{"child":"#.repeat(depth),
            "}".repeat(depth)
        )
    };
    let too_often = "parts of the value fit several variants of untagged enums, or flattened \
                     fields, and were read too often";
    for depth in [30, 200, 250] {
        refuses::<Tree>(&nested(depth, "5"), too_often);
        let list = format!("[[{}]]", nested(depth - 10, "5"));
        refuses::<Vec<Option<Tree>>>(&list, too_often);
        assert!(read::<Tree>(&nested(depth, r#""text""#)).is_ok());
    }
}

#[test]
fn long_values_may_be_read_again() {
    let texts = vec![r#"{"child":"a"}"#; 20_000].join(",");
    for last in ["5", r#"["date",1]"#, r#"{"child":{}}"#] {
        let text = format!("[[{texts},{last}]]");
        assert!(matches!(read::<Lists>(&text), Ok(Lists::Any(_))), "{last}");
    }
    let numbers = vec!["7"; 100_000].join(",");
    let text = format!("[[{numbers}]]");
    assert!(matches!(read::<Lists>(&text), Ok(Lists::Numbers(_))));
    let text = format!("[[{numbers},null]]");
    assert!(matches!(read::<Lists>(&text), Ok(Lists::Any(_))));
}

#[test]
fn errors_of_variants_stay_short() {
    for depth in [1, 4, 8] {
        let text = format!("{}5{}", r#"{"child":"#.repeat(depth), "}".repeat(depth));
        let error = read::<Tree>(&text).unwrap_err().to_string();
        assert!(error.len() < 600, "{}", error.len());
    }
}
