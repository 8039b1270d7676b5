//! For duplicate keys, the last one counts for every reader.

use std::{collections::BTreeMap, fmt};

use serde::de::{MapAccess, Visitor};

use super::*;

#[derive(Debug, PartialEq, Deserialize)]
struct Point {
    x: u8,
    y: u8,
}

#[test]
fn in_structs_and_maps() {
    reads(r#"{"x":1,"y":2,"x":3}"#, Point { x: 3, y: 2 });
    reads(
        r#"{"x":"no","y":2,"\u0078":3}"#,
        BTreeMap::from([("x".to_owned(), 3), ("y".to_owned(), 2)]),
    );
    reads(r#"{"x":1,"x":2}"#, json!({"x": 2}));
    reads(
        r#"[[{"x":1,"x":2,"y":3},{"x":4,"y":5,"y":6}]]"#,
        vec![Point { x: 2, y: 3 }, Point { x: 4, y: 6 }],
    );
    reads(
        r#"{"x":{"x":1,"x":2},"x":{"x":3,"x":4}}"#,
        json!({"x": {"x": 4}}),
    );
}

#[test]
fn of_which_the_first_does_not_even_fit() {
    reads(r#"{"x":"no","y":2,"x":3}"#, Point { x: 3, y: 2 });
    reads(
        r#"[[{"x":[[[[]]]],"x":3},{"x":4}]]"#,
        vec![BTreeMap::from([("x", 3)]), BTreeMap::from([("x", 4)])],
    );
    reads(r#"{"Newtype":"no","Newtype":2}"#, External::Newtype(2));
    refuses::<Point>(r#"{"x":3,"y":2,"x":"no"}"#, "expected u8, got a string");
}

#[test]
fn among_many() {
    let many: String = (0..40)
        .map(|number| format!(r#""k{number}":{number},"#))
        .collect();
    reads(&format!(r#"{{{many}"k0":1,"k39":2}}"#), {
        let mut map: BTreeMap<String, u8> = (0..40)
            .map(|number| (format!("k{number}"), number))
            .collect();
        map.insert("k0".into(), 1);
        map.insert("k39".into(), 2);
        map
    });
}

#[test]
fn in_all_kinds_of_enums() {
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(tag = "t")]
    enum Internal {
        A { x: u8 },
        B { x: u8 },
    }
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(tag = "t", content = "c")]
    enum Adjacent {
        A(u8),
        B(u8),
    }
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(untagged)]
    enum Untagged {
        Point { x: u8, y: u8 },
        Other(serde_json::Value),
    }
    reads(r#"{"t":"A","t":"B","x":1,"x":2}"#, Internal::B { x: 2 });
    reads(r#"{"t":"B","c":1,"c":2}"#, Adjacent::B(2));
    reads(r#"{"t":"A","c":1,"t":"B"}"#, Adjacent::B(1));
    reads(r#"{"x":1,"y":2,"x":3}"#, Untagged::Point { x: 3, y: 2 });
    reads(r#"{"x":1,"x":2}"#, Untagged::Other(json!({"x": 2})));
    reads(r#"{"Newtype":1,"Newtype":2}"#, External::Newtype(2));
    reads(r#"{"Struct":{"a":1,"a":2}}"#, External::Struct { a: 2 });
}

#[test]
fn in_flattened_fields() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Outer {
        a: u8,
        #[serde(flatten)]
        point: Option<Point>,
        #[serde(flatten)]
        rest: BTreeMap<String, u8>,
    }
    reads(
        r#"{"a":1,"x":2,"y":3,"x":4,"z":5,"z":6,"a":7}"#,
        Outer {
            a: 7,
            point: Some(Point { x: 4, y: 3 }),
            rest: BTreeMap::from([("z".into(), 6)]),
        },
    );
}

#[test]
fn in_errors() {
    reads(
        r#"["error","E","m",null,{"code":1,"code":2}]"#,
        json!({"name": "E", "message": "m", "code": 2}),
    );
}

#[test]
fn for_those_who_would_keep_both() {
    #[derive(Debug, PartialEq)]
    struct Pairs(Vec<(String, u8)>);
    impl<'de> Deserialize<'de> for Pairs {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Collect;
            impl<'de> Visitor<'de> for Collect {
                type Value = Pairs;
                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("pairs")
                }
                fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                    let mut pairs = Vec::new();
                    while let Some(pair) = map.next_entry()? {
                        pairs.push(pair);
                    }
                    Ok(Pairs(pairs))
                }
            }
            deserializer.deserialize_map(Collect)
        }
    }
    reads(
        r#"{"a":1,"b":2,"a":3}"#,
        Pairs(vec![("b".into(), 2), ("a".into(), 3)]),
    );
}

#[test]
fn aliases_of_one_field_are_no_duplicates() {
    #[derive(Debug, Deserialize)]
    struct Aliased {
        #[serde(alias = "b")]
        #[expect(dead_code, reason = "it cannot be read")]
        a: u8,
    }
    refuses::<Aliased>(r#"{"a":1,"b":2}"#, "duplicate field `a`");
}
