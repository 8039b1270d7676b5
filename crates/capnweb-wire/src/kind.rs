//! The kind of value of an expression, determined by its first bytes.

use crate::invariant::Invariant;
use crate::{Span, lex};

/// The kind of value that an expression represents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// `["undefined"]`.
    Undefined,
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool,
    /// A JSON number, or one that JSON cannot represent: `["inf"]`, `["-inf"]`, `["nan"]`.
    Number,
    /// A string.
    String,
    /// `[[…]]`.
    Array,
    /// An object.
    Object,
    /// `["bigint", …]`.
    BigInt,
    /// `["date", …]`.
    Date,
    /// `["bytes", …]`.
    Bytes,
    /// `["error", …]`.
    Error,
    /// `["url", …]`.
    Url,
    /// `["headers", …]`.
    Headers,
    /// `["request", …]`.
    Request,
    /// `["response", …]`.
    Response,
    /// `["blob", …]`.
    Blob,
    /// Any of the forms for a [`Hole`](crate::Hole).
    Capability,
}

/// Returns the kind of value of the expression at `at` in `text`.
///
/// The scanner must have accepted the text. If no expression starts at `at`, the kind is
/// `Undefined`.
///
/// ```
/// use capnweb_wire::{Kind, Span, kind};
///
/// let text = r#"{"at":["date",0]}"#;
/// assert_eq!(kind(text, Span { start: 0, end: 17 }), Kind::Object);
/// assert_eq!(kind(text, Span { start: 6, end: 16 }), Kind::Date);
/// ```
#[must_use]
pub fn kind(text: &str, at: Span) -> Kind {
    let text = at.of(text).as_bytes();
    match text.first() {
        Some(b'"') => Kind::String,
        Some(b'{') => Kind::Object,
        Some(b'-' | b'0'..=b'9') => Kind::Number,
        Some(b't' | b'f') => Kind::Bool,
        Some(b'n') => Kind::Null,
        Some(b'[') => array_kind(text),
        _ => Kind::Undefined,
    }
}

fn array_kind(text: &[u8]) -> Kind {
    let at = lex::skip_ws(text, 1);
    match text.get(at) {
        Some(b'[') => return Kind::Array,
        Some(b'"') => {}
        _ => return Kind::Undefined,
    }
    // The longest names are "undefined" and the like: nine letters and a quote.
    let rest = text.get(at + 1..).or_bug("a quote is within the text");
    let name = rest.iter().take(10).position(|&byte| byte == b'"');
    match name.and_then(|end| rest.get(..end)).unwrap_or_default() {
        b"bigint" => Kind::BigInt,
        b"date" => Kind::Date,
        b"bytes" => Kind::Bytes,
        b"error" => Kind::Error,
        b"inf" | b"-inf" | b"nan" => Kind::Number,
        b"url" => Kind::Url,
        b"headers" => Kind::Headers,
        b"request" => Kind::Request,
        b"response" => Kind::Response,
        b"blob" => Kind::Blob,
        b"import" | b"pipeline" | b"export" | b"promise" | b"writable" | b"readable" | b"remap" => {
            Kind::Capability
        }
        _ => Kind::Undefined,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds() {
        for (text, expected) in [
            (r#""a""#, Kind::String),
            ("{}", Kind::Object),
            ("-1", Kind::Number),
            ("7", Kind::Number),
            (r#"["nan"]"#, Kind::Number),
            ("true", Kind::Bool),
            ("false", Kind::Bool),
            ("null", Kind::Null),
            ("[[]]", Kind::Array),
            ("[ [1]]", Kind::Array),
            (r#"["undefined"]"#, Kind::Undefined),
            (r#"["bigint","1"]"#, Kind::BigInt),
            (r#"[ "date",0]"#, Kind::Date),
            (r#"["bytes",""]"#, Kind::Bytes),
            (r#"["error","a","b"]"#, Kind::Error),
            (r#"["url","a:b"]"#, Kind::Url),
            (r#"["headers",[]]"#, Kind::Headers),
            (r#"["request","a:b",{}]"#, Kind::Request),
            (r#"["response",null,{}]"#, Kind::Response),
            (r#"["blob","",["readable",1]]"#, Kind::Blob),
            (r#"["import",1]"#, Kind::Capability),
            (r#"["readable",1]"#, Kind::Capability),
            ("", Kind::Undefined),
            ("[", Kind::Undefined),
            (r#"["date"#, Kind::Undefined),
            (r#"["undefinedundefined"]"#, Kind::Undefined),
        ] {
            let at = Span {
                start: 0,
                end: u32::try_from(text.len()).unwrap(),
            };
            assert_eq!(kind(text, at), expected, "{text}");
        }
    }
}
