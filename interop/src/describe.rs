//! Descriptions of received values as text. The Node server uses the same words
//! (`node/describe.mjs`), so a check can distinguish values that were decoded from values that were
//! only forwarded.

use capnweb::{Error, Value};

/// Describes a value.
pub(crate) fn describe(value: &Value) -> String {
    match value {
        Value::Undefined => "undefined".to_owned(),
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => format!("number {}", describe_number(*number)),
        Value::BigInt(value) => format!("bigint {value}"),
        Value::String(text) => format!("string {}", serde_json::Value::from(text.as_str())),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(describe).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(entries) => describe_entries(entries.iter()),
        Value::Date(date) => match date.millis() {
            Some(millis) => format!("date {millis}"),
            None => "date invalid".to_owned(),
        },
        Value::Bytes(bytes) => format!("bytes {}", hex(bytes)),
        Value::Binary(binary) => {
            format!("{} {}", binary.container().name(), hex(binary.as_bytes()))
        }
        Value::Error(error) => describe_error(error),
        Value::Url(url) => format!("url {url}"),
        Value::Stub(_) => "stub".to_owned(),
        other => format!("{other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Formats a number like JavaScript, as far as the checks need it.
fn describe_number(number: f64) -> String {
    match number {
        _ if number.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "Infinity".to_owned(),
        f64::NEG_INFINITY => "-Infinity".to_owned(),
        _ if number == 0.0 && number.is_sign_negative() => "-0".to_owned(),
        _ if number == 0.0 => "0".to_owned(),
        _ => javascript_digits(number),
    }
}

/// Returns the shortest digits that identify the number, with an exponent where JavaScript writes
/// one.
fn javascript_digits(number: f64) -> String {
    let magnitude = number.abs();
    if (1e-6..1e21).contains(&magnitude) {
        return number.to_string();
    }
    let scientific = format!("{number:e}");
    match scientific.split_once('e') {
        Some((digits, exponent)) if exponent.starts_with('-') => format!("{digits}e{exponent}"),
        Some((digits, exponent)) => format!("{digits}e+{exponent}"),
        None => scientific,
    }
}

fn describe_error(error: &Error) -> String {
    let head = format!("error {}: {}", error.name(), error.message());
    let props = error.props().and_then(|props| props.decode::<Value>().ok());
    match props {
        Some(Value::Object(entries)) if !entries.is_empty() => {
            format!("{head} {}", describe_entries(entries.iter()))
        }
        _ => head,
    }
}

fn describe_entries<'a>(entries: impl Iterator<Item = (&'a String, &'a Value)>) -> String {
    let entries: Vec<_> = entries
        .map(|(key, value)| format!("{key}: {}", describe(value)))
        .collect();
    format!("{{{}}}", entries.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_in_javascript() {
        for (number, text) in [
            (1.0, "1"),
            (-1.5, "-1.5"),
            (-0.0, "-0"),
            (1e21, "1e+21"),
            (1e-7, "1e-7"),
            (123_456_789.123, "123456789.123"),
            (f64::MAX, "1.7976931348623157e+308"),
            (5e-324, "5e-324"),
            (f64::NEG_INFINITY, "-Infinity"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(describe(&Value::Number(number)), format!("number {text}"));
        }
    }

    #[test]
    fn text_is_quoted_as_in_json() {
        assert_eq!(
            describe(&Value::String("a\"\n".to_owned())),
            r#"string "a\"\n""#
        );
    }
}
