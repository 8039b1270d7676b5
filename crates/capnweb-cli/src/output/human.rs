//! Output of values as JavaScript.

use std::fmt::Write as _;

use capnweb::{Stub, Value};
use unicode_width::UnicodeWidthStr;

use super::{
    iso, json,
    style::{Role, Style},
};
use crate::expression::is_identifier;

/// The maximum width of a line before a value is split into several.
const WIDTH: usize = 80;

/// The number of bytes of a byte string that are shown.
const BYTES_SHOWN: usize = 32;

/// Prints values in readable form.
#[derive(Clone, Copy)]
pub(crate) struct Printer {
    style: Style,
}

impl Printer {
    pub(crate) fn new(style: Style) -> Self {
        Self { style }
    }

    pub(crate) fn plain() -> Self {
        Self::new(Style::PLAIN)
    }

    /// Returns the value as text with as many lines as needed.
    pub(crate) fn print(self, value: &Value) -> String {
        let mut out = String::new();
        self.write(value, 0, 0, &mut out);
        out
    }

    /// Returns the value as a single line.
    pub(crate) fn one_line(self, value: &Value) -> String {
        match value {
            Value::Array(items) if items.is_empty() => "[]".to_owned(),
            Value::Array(items) => {
                let items: Vec<_> = items.iter().map(|item| self.one_line(item)).collect();
                format!("[{}]", items.join(", "))
            }
            Value::Object(object) if object.is_empty() => "{}".to_owned(),
            Value::Object(object) => {
                let entries: Vec<_> = object
                    .iter()
                    .map(|(key, value)| format!("{}: {}", self.key(key), self.one_line(value)))
                    .collect();
                format!("{{ {} }}", entries.join(", "))
            }
            other => self.leaf(other),
        }
    }

    /// Writes a value that starts at `column`, in a block indented by `indent`.
    fn write(self, value: &Value, indent: usize, column: usize, out: &mut String) {
        let is_short = || {
            let line = Self::plain().one_line(value);
            column + line.width() <= WIDTH && !line.contains('\n')
        };
        let inner = " ".repeat(indent + 2);
        match value {
            Value::Array(items) if !is_short() => {
                out.push_str("[\n");
                for item in items {
                    out.push_str(&inner);
                    self.write(item, indent + 2, indent + 3, out);
                    out.push_str(",\n");
                }
                let _ = write!(out, "{}]", " ".repeat(indent));
            }
            Value::Object(object) if !is_short() => {
                out.push_str("{\n");
                for (key, item) in object {
                    let _ = write!(out, "{inner}{}: ", self.key(key));
                    self.write(item, indent + 2, indent + 5 + key.width(), out);
                    out.push_str(",\n");
                }
                let _ = write!(out, "{}}}", " ".repeat(indent));
            }
            other => out.push_str(&self.one_line(other)),
        }
    }

    fn key(self, key: &str) -> String {
        match is_identifier(key) {
            true => key.to_owned(),
            false => quote(key),
        }
    }

    fn leaf(self, value: &Value) -> String {
        let paint = |role, text: &str| self.style.paint(role, text);
        match value {
            Value::Undefined => paint(Role::Nothing, "undefined"),
            Value::Null => paint(Role::Strong, "null"),
            Value::Bool(value) => paint(Role::Number, &value.to_string()),
            Value::Number(value) => paint(Role::Number, &number(*value)),
            Value::BigInt(value) => paint(Role::Number, &format!("{value}n")),
            Value::String(value) => paint(Role::String, &quote(value)),
            Value::Date(date) => paint(Role::Special, &iso::format(*date)),
            Value::Bytes(bytes) => self.bytes("Uint8Array", bytes),
            Value::Binary(binary) => self.bytes(binary.container().name(), binary.as_bytes()),
            Value::Error(error) => {
                let mut text = format!("[{}]", error);
                if let Some(props) = error.props().and_then(|props| props.decode().ok()) {
                    let props: Value = props;
                    let _ = write!(text, " {}", Self::plain().one_line(&props));
                }
                paint(Role::Error, &text)
            }
            Value::Url(url) => paint(Role::Special, &format!("URL({url})")),
            Value::Stub(stub) => paint(Role::Reference, reference(stub)),
            Value::Stream(_) => paint(Role::Reference, "[stream]"),
            // A container is not a leaf.
            _ => String::new(),
        }
    }

    fn bytes(self, name: &str, bytes: &[u8]) -> String {
        let mut text = format!("{name}({})", bytes.len());
        if !bytes.is_empty() {
            text.push_str(" [");
            for byte in bytes.iter().take(BYTES_SHOWN) {
                let _ = write!(text, " {byte:02x}");
            }
            text.push_str(if bytes.len() > BYTES_SHOWN {
                " … ]"
            } else {
                " ]"
            });
        }
        self.style.paint(Role::Special, &text)
    }
}

/// Returns a label for a reference.
pub(crate) fn reference(stub: &Stub) -> &'static str {
    match stub.session() {
        Some(_) => "[object of the server]",
        None => "[object of this program]",
    }
}

/// Returns a string in quotes. Control characters are escaped, so that a server cannot send
/// commands to the terminal.
fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    json::string(text, &mut out);
    out
}

/// Replaces control characters other than line breaks, so that a text cannot send commands to the
/// terminal.
pub(crate) fn harmless(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\t' => c,
            c if c.is_control() => char::REPLACEMENT_CHARACTER,
            c => c,
        })
        .collect()
}

/// Formats a number like JavaScript.
pub(crate) fn number(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    if value == 0.0 {
        return if value.is_sign_negative() { "-0" } else { "0" }.to_owned();
    }
    let size = value.abs();
    if (1e-6..1e21).contains(&size) {
        return value.to_string();
    }
    let text = format!("{value:e}");
    match text.split_once("e-") {
        Some(_) => text,
        None => text.replace('e', "e+"),
    }
}

#[cfg(test)]
mod tests {
    use capnweb::{Bytes, Date, Error, Object};

    use super::*;

    fn object(entries: &[(&str, Value)]) -> Value {
        Value::Object(
            entries
                .iter()
                .map(|(key, value)| ((*key).to_owned(), value.clone()))
                .collect(),
        )
    }

    #[test]
    fn values_look_like_javascript() {
        for (value, text) in [
            (Value::Undefined, "undefined"),
            (Value::Null, "null"),
            (Value::from(1.5), "1.5"),
            (Value::from(-0.0), "-0"),
            (Value::from(1e21), "1e+21"),
            (Value::from(1e-7), "1e-7"),
            (Value::from(u64::MAX), "18446744073709551615n"),
            (Value::from("a \"b\"\n\u{1b}[2J"), r#""a \"b\"\n\u001b[2J""#),
            (Date::from_millis(0).into(), "1970-01-01T00:00:00.000Z"),
            (
                Value::from(Bytes::from_static(b"hi")),
                "Uint8Array(2) [ 68 69 ]",
            ),
            (
                Value::from(Error::range_error("too far").with_code("far")),
                "[RangeError: too far] { code: \"far\" }",
            ),
            (
                Value::from(vec![Value::from("a"), Value::Null]),
                r#"["a", null]"#,
            ),
            (
                object(&[("name", "Ada".into()), ("a b", 1u8.into())]),
                r#"{ name: "Ada", "a b": 1 }"#,
            ),
            (Object::new().into_stub().into(), "[object of this program]"),
        ] {
            assert_eq!(Printer::plain().print(&value), text);
        }
    }

    #[test]
    fn long_values_are_broken_into_lines() {
        let names: Vec<Value> = (0..20).map(|n| format!("user {n}").into()).collect();
        let text = Printer::plain().print(&object(&[("names", names.into()), ("n", 1u8.into())]));
        assert!(
            text.starts_with("{\n  names: [\n    \"user 0\",\n"),
            "{text}"
        );
        assert!(text.ends_with("\n  ],\n  n: 1,\n}"), "{text}");
    }

    #[test]
    fn colors_surround_leaves_alone() {
        let value = Value::from(vec![Value::from(1u8)]);
        assert_eq!(
            Printer::new(Style::COLORED).print(&value),
            "[\u{1b}[33m1\u{1b}[0m]"
        );
    }
}
