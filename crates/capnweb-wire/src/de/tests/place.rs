//! Errors say where in the value they are.

use std::collections::BTreeMap;

use serde::{Deserialize, de::DeserializeOwned};

use super::super::{ArgsReader, Source, from_args, from_expr};
use crate::{DeError, NoCapabilities};

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "only read to fail")]
struct User {
    tags: Vec<Tag>,
    best: Option<Box<User>>,
}

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "only read to fail")]
struct Tag {
    name: String,
    #[serde(default)]
    shape: Option<Shape>,
}

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "only read to fail")]
enum Shape {
    Circle { radius: u8 },
    Pair(u8, u8),
    Of(Vec<u8>),
}

fn source(text: &str) -> Source<'_> {
    Source {
        text,
        holes: &[],
        capabilities: &NoCapabilities,
    }
}

fn error<T: DeserializeOwned>(text: &str) -> DeError {
    from_expr::<T>(&source(text)).map(|_| ()).unwrap_err()
}

#[test]
fn the_way_to_what_does_not_fit() {
    for (text, path, message) in [
        ("7", "", "expected struct User, got a number"),
        ("{}", "", "missing field `tags`"),
        (
            r#"{"tags":7}"#,
            ".tags",
            "expected a sequence, got a number",
        ),
        (
            r#"{"tags":[[{"name":"a"},{"name":null}]]}"#,
            ".tags[1].name",
            "expected a string, got null",
        ),
        (
            r#" { "x" : [[ 1 ]] , "tags" : [ [ { "name" : "a" } , { "x" : 1 } ] ] } "#,
            ".tags[1]",
            "missing field `name`",
        ),
        (
            r#"{"tags":[[]],"best":{"tags":[[{"name":["undefined"]}]]}}"#,
            ".best.tags[0].name",
            "expected a string, got undefined",
        ),
        (
            r#"{"tags":[[{"name":"a","shape":{"Circle":{"radius":300}}}]]}"#,
            ".tags[0].shape.Circle.radius",
            "expected u8, got 300",
        ),
        (
            r#"{"tags":[[{"name":"a","shape":{"Pair":[[1,-1]]}}]]}"#,
            ".tags[0].shape.Pair[1]",
            "expected u8, got -1",
        ),
        (
            r#"{"tags":[[{"name":"a","shape":{"Of":7}}]]}"#,
            ".tags[0].shape.Of",
            "expected a sequence, got a number",
        ),
        (
            r#"{"tags":[[{"name":"a","shape":"Square"}]]}"#,
            ".tags[0].shape",
            "unknown variant `Square`, expected one of `Circle`, `Pair`, `Of`",
        ),
    ] {
        let error = error::<User>(text);
        assert_eq!((error.path(), error.message()), (path, message), "{text}");
    }
}

#[test]
fn keys_are_written_as_javascript_does() {
    type Map = BTreeMap<String, BTreeMap<String, u8>>;
    for (text, path) in [
        (r#"{"a_1$":{"é":"x"}}"#, ".a_1$.é"),
        (r#"{"a b":{"1":"x"}}"#, r#"["a b"]["1"]"#),
        (r#"{"":{"q\"":"x"}}"#, r#"[""]["q""]"#),
        (r#"{"\u0061":{"b":"x"}}"#, ".a.b"),
    ] {
        assert_eq!(error::<Map>(text).path(), path, "{text}");
    }
    let long = "k".repeat(1000);
    let error = error::<BTreeMap<String, u8>>(&format!(r#"{{"{long}":"x"}}"#));
    assert!(error.path().len() < 100, "{}", error.path());
}

#[test]
fn parts_of_forms_are_named() {
    type Thrown = BTreeMap<String, u8>;
    let path = |text: &str| error::<Thrown>(text).path().to_owned();
    assert_eq!(path(r#"["error","TypeError","m"]"#), ".name");
    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only read to fail")]
    struct Failed {
        name: String,
        code: Vec<u8>,
    }
    let text = r#"["error","E","m",null,{"code":[[1,"x"]]}]"#;
    assert_eq!(error::<Failed>(text).path(), ".code[1]");
    let text = r#"["headers",[["a","b"],["c",1]]]"#;
    assert_eq!(error::<Vec<(String, String)>>(text).path(), "[1][1]");
    let text = r#"["request","u",{"code":[1,"x"]}]"#;
    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only read to fail")]
    struct Request {
        code: Vec<u8>,
    }
    assert_eq!(error::<Request>(text).path(), ".code[1]");
}

#[test]
fn arguments_are_counted() {
    let args = r#"[[[1,2]],{"tags":[[1]]}]"#;
    let error = from_args::<(Vec<u8>, User)>(&source(args)).unwrap_err();
    assert_eq!(error.path(), "[1].tags[0]");
    let error = from_args::<Vec<User>>(&source(args)).unwrap_err();
    assert_eq!(error.path(), "[0]");
    let mut reader = ArgsReader::new(args, &[]);
    let error = reader.next::<(u8, String)>(&NoCapabilities).unwrap_err();
    assert_eq!(error.path(), "[1]");
    let error = reader.next::<User>(&NoCapabilities).unwrap_err();
    assert_eq!(error.path(), ".tags[0]");
    // The argument itself is missing.
    let error = reader.next::<User>(&NoCapabilities).unwrap_err();
    assert_eq!(error.path(), "");
}

#[test]
fn a_path_is_no_longer_than_an_error_should_be() {
    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only read to fail")]
    struct Nested(Vec<Nested>);
    let text = format!("{}7{}", "[[".repeat(60), "]]".repeat(60));
    let path = error::<Nested>(&text).path().to_owned();
    assert_eq!(path, format!("{}…", "[0]".repeat(32)));
}

#[test]
fn a_second_reading_for_duplicate_keys_knows_the_place_too() {
    let text = r#"{"tags":[[]],"tags":[[{"name":"a"},{"name":1}]]}"#;
    assert_eq!(error::<User>(text).path(), ".tags[1].name");
}
