//! Recordings match the format in `docs/recording.schema.json`.

use std::collections::BTreeSet;

use capnweb_inspect::{
    Body, Entry, Event, Header, Recording, Side, TransportKind, VERSION, Writer,
};
use serde_json::Value;

fn schema() -> Value {
    serde_json::from_str(include_str!("../../../../docs/recording.schema.json")).unwrap()
}

/// Checks a value against the parts of JSON Schema that the document uses. Adds the members that
/// occurred to `seen`.
fn check(schema: &Value, root: &Value, value: &Value, path: &str, seen: &mut BTreeSet<String>) {
    if let Some(to) = schema["$ref"].as_str() {
        let name = to.strip_prefix("#/$defs/").unwrap();
        return check(&root["$defs"][name], root, value, name, seen);
    }
    if let Some(constant) = schema.get("const") {
        assert_eq!(value, constant, "{path}");
    }
    if let Some(values) = schema["enum"].as_array() {
        assert!(
            values.contains(value),
            "{path}: {value} is not one of {values:?}"
        );
        seen.insert(format!("{path}={value}"));
    }
    match schema["type"].as_str() {
        Some("string") => assert!(value.is_string(), "{path}: {value}"),
        Some("number") => assert!(value.is_number(), "{path}: {value}"),
        Some("integer") => assert!(value.is_u64(), "{path}: {value}"),
        Some("array") => assert!(value.is_array(), "{path}: {value}"),
        Some("object") => assert!(value.is_object(), "{path}: {value}"),
        Some(other) => panic!("the schema has a type that this test does not know: {other}"),
        None => {}
    }
    if let Some(alternatives) = schema["oneOf"].as_array() {
        let fits = |alternative: &&Value| {
            let required = alternative["required"].as_array().unwrap();
            required
                .iter()
                .all(|name| value.get(name.as_str().unwrap()).is_some())
        };
        assert_eq!(
            alternatives.iter().filter(fits).count(),
            1,
            "{path}: {value}"
        );
    }
    let Some(properties) = schema["properties"].as_object() else {
        return;
    };
    for name in schema["required"].as_array().into_iter().flatten() {
        assert!(
            value.get(name.as_str().unwrap()).is_some(),
            "{path} has no {name}"
        );
    }
    for (name, member) in value.as_object().unwrap() {
        let path = format!("{path}.{name}");
        let schema = properties
            .get(name)
            .unwrap_or_else(|| panic!("{path} is not documented"));
        seen.insert(path.clone());
        check(schema, root, member, &path, seen);
    }
}

#[test]
fn the_documented_format_is_that_of_the_code() {
    let root = schema();
    assert_eq!(
        root["$defs"]["header"]["properties"]["version"]["const"],
        VERSION
    );
    let header = "{\"capnweb\":\"recording\",\"version\":1,\"started\":\"2026-01-31T12:00:00Z\",\"to\":\"ws://a/\",\"redacted\":[\"token\"]}\n";
    let header: Header = Recording::read(header.as_bytes()).unwrap().header;
    let mut writer = Writer::new(Vec::new(), &header).unwrap();
    let message = |from, body| Event::Message { from, body };
    let events = [
        Event::Open {
            transport: TransportKind::WebSocket,
            path: "/".into(),
        },
        Event::Open {
            transport: TransportKind::Batch,
            path: "/".into(),
        },
        Event::Open {
            transport: TransportKind::Other,
            path: "/".into(),
        },
        message(Side::Client, Body::Text("[\"pipe\"]".into())),
        message(Side::Server, Body::Text("not JSON".into())),
        message(Side::Server, Body::BinaryText("[\"pipe\"]".into())),
        message(Side::Server, Body::MessagePack("[\"pipe\"]".into())),
        message(Side::Server, Body::Opaque(vec![1, 2])),
        Event::Close {
            reason: "1000".into(),
        },
    ];
    for event in events {
        writer.write(&Entry::new(0.5, 1, event)).unwrap();
    }
    let text = String::from_utf8(writer.into_inner()).unwrap();
    let mut lines = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut seen = BTreeSet::new();
    check(
        &root["$defs"]["header"],
        &root,
        &lines.next().unwrap(),
        "header",
        &mut seen,
    );
    for line in lines {
        check(&root["$defs"]["entry"], &root, &line, "entry", &mut seen);
    }
    // Every documented member must have been written by now.
    for (name, definition) in root["$defs"].as_object().unwrap() {
        for (member, schema) in definition["properties"].as_object().unwrap() {
            let path = format!("{name}.{member}");
            assert!(
                seen.contains(&path),
                "{path} is documented, and never written"
            );
            for value in schema["enum"].as_array().into_iter().flatten() {
                assert!(
                    seen.contains(&format!("{path}={value}")),
                    "{path} is never {value}"
                );
            }
        }
    }
}
