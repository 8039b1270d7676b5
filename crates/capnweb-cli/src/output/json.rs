//! Values as JSON, with tags for kinds of values that JSON lacks.
//!
//! | value | JSON |
//! |---|---|
//! | `undefined` | `{"$undefined":true}` |
//! | `NaN`, `Infinity`, `-Infinity`, `-0` | `{"$number":"NaN"}` |
//! | a bigint | `{"$bigint":"123"}` |
//! | a date | `{"$date":"2026-01-31T12:30:00.000Z"}`, or `{"$date":null}` if it is invalid |
//! | bytes | `{"$bytes":"aGk="}`, in any other container `{"$bytes":"aGk=","type":"Int8Array"}` |
//! | an error | `{"$error":{"name":"RangeError","message":"too far","props":{…}}}` |
//! | a URL | `{"$url":"https://example.com/"}` |
//! | an object of the server | `{"$stub":true}` |
//! | a stream inside a value | `{"$stream":true}` |
//! | an object with a key that begins with `$` | `{"$object":{…}}` |

use std::fmt::Write as _;

use base64::{Engine, engine::general_purpose::STANDARD};
use capnweb::{
    Bytes, Error, Value,
    typed::{Binary, Container},
};
use indexmap::IndexMap;

use super::{human, iso};

/// Returns a value as one line of JSON.
pub(crate) fn to_string(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Undefined => out.push_str(r#"{"$undefined":true}"#),
        Value::Null => out.push_str("null"),
        Value::Bool(value) => {
            let _ = write!(out, "{value}");
        }
        Value::Number(value) if !value.is_finite() || is_negative_zero(*value) => {
            let _ = write!(out, r#"{{"$number":"{}"}}"#, human::number(*value));
        }
        Value::Number(value) => out.push_str(&human::number(*value)),
        Value::BigInt(value) => {
            let _ = write!(out, r#"{{"$bigint":"{value}"}}"#);
        }
        Value::String(value) => string(value, out),
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        Value::Object(object) if object.keys().any(|key| key.starts_with('$')) => {
            out.push_str(r#"{"$object":"#);
            entries(object, out);
            out.push('}');
        }
        Value::Object(object) => entries(object, out),
        Value::Date(date) if date.is_valid() => {
            let _ = write!(out, r#"{{"$date":"{}"}}"#, iso::format(*date));
        }
        Value::Date(_) => out.push_str(r#"{"$date":null}"#),
        Value::Bytes(bytes) => {
            let _ = write!(out, r#"{{"$bytes":"{}"}}"#, STANDARD.encode(bytes));
        }
        Value::Binary(binary) => {
            let (bytes, name) = (binary.as_bytes(), binary.container().name());
            let bytes = STANDARD.encode(bytes);
            let _ = write!(out, r#"{{"$bytes":"{bytes}","type":"{name}"}}"#);
        }
        Value::Error(error) => {
            out.push_str(r#"{"$error":"#);
            write_error(error, out);
            out.push('}');
        }
        Value::Url(url) => {
            out.push_str(r#"{"$url":"#);
            string(&url.to_string(), out);
            out.push('}');
        }
        Value::Stub(_) => out.push_str(r#"{"$stub":true}"#),
        // Kinds may be added to `Value`.
        _ => out.push_str(r#"{"$stream":true}"#),
    }
}

/// Writes an error as an object with `name`, `message` and, if it is not empty, `props`.
pub(crate) fn write_error(error: &Error, out: &mut String) {
    out.push_str(r#"{"name":"#);
    string(error.name(), out);
    out.push_str(r#","message":"#);
    string(error.message(), out);
    let props: Option<Value> = error.props().and_then(|props| props.decode().ok());
    if let Some(props) = props {
        out.push_str(r#","props":"#);
        write(&props, out);
    }
    out.push('}');
}

fn is_negative_zero(value: f64) -> bool {
    value == 0.0 && value.is_sign_negative()
}

fn entries(object: &IndexMap<String, Value>, out: &mut String) {
    out.push('{');
    for (at, (key, value)) in object.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        string(key, out);
        out.push(':');
        write(value, out);
    }
    out.push('}');
}

/// Writes a string in quotes.
pub(crate) fn string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Parses JSON with the same tags.
///
/// # Errors
///
/// Returns a description of the mistake.
pub(crate) fn parse(text: &str) -> Result<Value, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    untag(value)
}

fn untag(value: Value) -> Result<Value, String> {
    Ok(match value {
        Value::Array(items) => {
            let items: Result<Vec<_>, _> = items.into_iter().map(untag).collect();
            items?.into()
        }
        Value::Object(object) => {
            if let Some(tag) = object.keys().find(|key| key.starts_with('$')).cloned() {
                return tagged(&tag, object);
            }
            plain(object)?
        }
        other => other,
    })
}

fn plain(object: IndexMap<String, Value>) -> Result<Value, String> {
    let entries: Result<IndexMap<_, _>, _> = object
        .into_iter()
        .map(|(key, value)| Ok((key, untag(value)?)))
        .collect();
    entries.map(Value::Object)
}

fn tagged(tag: &str, mut object: IndexMap<String, Value>) -> Result<Value, String> {
    let content = object.swap_remove(tag).unwrap_or_default();
    let text = content.as_str();
    let malformed = || format!("`{tag}` has malformed content");
    Ok(match tag {
        "$undefined" => Value::Undefined,
        "$number" => match text {
            Some("NaN") => f64::NAN.into(),
            Some("Infinity") => f64::INFINITY.into(),
            Some("-Infinity") => f64::NEG_INFINITY.into(),
            Some("-0") => (-0.0).into(),
            _ => return Err(malformed()),
        },
        "$bigint" => {
            let number = text.and_then(|digits| digits.parse().ok());
            Value::BigInt(number.ok_or_else(malformed)?)
        }
        "$date" if matches!(content, Value::Null) => capnweb::Date::INVALID.into(),
        "$date" => text.and_then(iso::parse).ok_or_else(malformed)?.into(),
        "$url" => {
            let url = text.and_then(|url| url.parse().ok());
            Value::Url(url.ok_or_else(malformed)?)
        }
        "$bytes" => {
            let bytes = text.and_then(|text| STANDARD.decode(text).ok());
            let bytes = bytes.ok_or_else(malformed)?;
            match object.get("type").map(Value::as_str) {
                None => Bytes::from(bytes).into(),
                Some(name) => {
                    let container = name.and_then(Container::from_name).ok_or_else(malformed)?;
                    let binary = Binary::new(container, bytes);
                    binary.map_err(|error| error.to_string())?.into()
                }
            }
        }
        "$error" => {
            let part = |key: &str| content.get(key).and_then(Value::as_str);
            let name = part("name").unwrap_or("Error").to_owned();
            let error = Error::named(name, part("message").unwrap_or_default());
            let props = content.get("props").cloned().map(untag).transpose()?;
            Value::Error(match props {
                Some(Value::Object(props)) => props
                    .into_iter()
                    .fold(error, |error, (key, value)| error.with_prop(&key, value)),
                _ => error,
            })
        }
        "$object" => match content {
            Value::Object(object) => plain(object)?,
            _ => return Err(malformed()),
        },
        "$stub" | "$stream" => return Err(format!("a `{tag}` cannot be made of JSON")),
        _ => return Err(format!("there is no tag `{tag}`")),
    })
}

#[cfg(test)]
mod tests {
    use capnweb::Date;

    use super::*;

    fn round_trips(value: &Value, text: &str) {
        assert_eq!(to_string(value), text);
        // Check that any other JSON parser accepts it.
        serde_json::from_str::<serde_json::Value>(text).unwrap();
        let read = parse(text).unwrap();
        assert_eq!(to_string(&read), text);
    }

    #[test]
    fn every_kind_has_a_form() {
        round_trips(&Value::Undefined, r#"{"$undefined":true}"#);
        round_trips(&Value::Null, "null");
        round_trips(&true.into(), "true");
        round_trips(&3.0.into(), "3");
        round_trips(&1e300.into(), "1e+300");
        round_trips(&f64::NAN.into(), r#"{"$number":"NaN"}"#);
        round_trips(&(-0.0).into(), r#"{"$number":"-0"}"#);
        round_trips(&u64::MAX.into(), r#"{"$bigint":"18446744073709551615"}"#);
        round_trips(&"a\n\"\u{1}".into(), r#""a\n\"\u0001""#);
        round_trips(
            &Date::from_millis(0).into(),
            r#"{"$date":"1970-01-01T00:00:00.000Z"}"#,
        );
        round_trips(&Date::INVALID.into(), r#"{"$date":null}"#);
        round_trips(&Bytes::from_static(b"hi").into(), r#"{"$bytes":"aGk="}"#);
        let floats = Binary::new(Container::Float32Array, vec![0; 4]).unwrap();
        round_trips(
            &floats.into(),
            r#"{"$bytes":"AAAAAA==","type":"Float32Array"}"#,
        );
        round_trips(
            &Error::range_error("far").with_code("x").into(),
            r#"{"$error":{"name":"RangeError","message":"far","props":{"code":"x"}}}"#,
        );
        round_trips(
            &Value::Url("https://example.com/".parse().unwrap()),
            r#"{"$url":"https://example.com/"}"#,
        );
    }

    #[test]
    fn keys_that_look_like_tags_are_told_from_them() {
        let object = IndexMap::from([("$date".to_owned(), Value::from("x"))]);
        round_trips(&object.into(), r#"{"$object":{"$date":"x"}}"#);
    }

    #[test]
    fn mistakes_are_explained() {
        for (text, why) in [
            (r#"{"$date":"x"}"#, "`$date` has malformed content"),
            (r#"{"$nope":1}"#, "there is no tag `$nope`"),
            (r#"{"$stub":true}"#, "a `$stub` cannot be made of JSON"),
        ] {
            assert_eq!(parse(text).unwrap_err(), why);
        }
        assert!(parse("[1,").unwrap_err().contains("line 1"));
    }
}
