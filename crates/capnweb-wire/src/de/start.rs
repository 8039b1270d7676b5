//! The kind of value at a position.

use super::reader::Reader;
use crate::lex;

/// The kind of a value, determined by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    Null,
    Bool(bool),
    Number,
    String,
    /// An array. Its elements' opening bracket is at this position.
    Array(usize),
    Object,
    /// A form. Its name ends at this position. An attachment has no name, and starts there.
    Form(Form, usize),
    /// A capability, with the index of its hole.
    Hole(usize),
    Malformed,
}

/// The forms for values that JSON lacks, except for capabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Undefined,
    Infinity,
    NegativeInfinity,
    Nan,
    BigInt,
    Date,
    Bytes,
    Error,
    Url,
    Headers,
    Request,
    Response,
    Blob,
}

impl Reader<'_, '_> {
    /// Returns the kind of the value.
    pub(super) fn start(&self) -> Start {
        if let Some(hole) = self.hole() {
            return match self.kept_bytes(hole) {
                Some(_) => Start::Form(Form::Bytes, self.at()),
                None => Start::Hole(hole),
            };
        }
        match self.peek() {
            b'"' => Start::String,
            b'-' | b'0'..=b'9' => Start::Number,
            b'{' => Start::Object,
            b'n' => Start::Null,
            b't' => Start::Bool(true),
            b'f' => Start::Bool(false),
            b'[' => self.bracket(),
            _ => Start::Malformed,
        }
    }

    /// Returns the kind of the value that starts with this bracket.
    fn bracket(&self) -> Start {
        if self.bare {
            return Start::Array(self.at());
        }
        let bytes = self.bytes();
        let at = lex::skip_ws(bytes, self.at() + 1);
        match bytes.get(at) {
            Some(b'[') => Start::Array(at),
            Some(b'"') => match lex::skip_string(bytes, at) {
                Some(end) => Form::named(self.slice(at + 1, end - 1))
                    .map_or(Start::Malformed, |form| Start::Form(form, end)),
                None => Start::Malformed,
            },
            _ => Start::Malformed,
        }
    }

    /// Describes the value.
    pub(super) fn describe(&self) -> &'static str {
        match self.start() {
            Start::Null => "null",
            Start::Bool(_) => "a boolean",
            Start::Number => "a number",
            Start::String => "a string",
            Start::Array(_) => "an array",
            Start::Object => "an object",
            Start::Form(form, _) => form.describe(),
            Start::Hole(_) => "a stub",
            Start::Malformed => "malformed text",
        }
    }
}

impl Form {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "undefined" => Self::Undefined,
            "inf" => Self::Infinity,
            "-inf" => Self::NegativeInfinity,
            "nan" => Self::Nan,
            "bigint" => Self::BigInt,
            "date" => Self::Date,
            "bytes" => Self::Bytes,
            "error" => Self::Error,
            "url" => Self::Url,
            "headers" => Self::Headers,
            "request" => Self::Request,
            "response" => Self::Response,
            "blob" => Self::Blob,
            _ => return None,
        })
    }

    /// Returns the form's name in the text.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Undefined => "undefined",
            Self::Infinity => "inf",
            Self::NegativeInfinity => "-inf",
            Self::Nan => "nan",
            Self::BigInt => "bigint",
            Self::Date => "date",
            Self::Bytes => "bytes",
            Self::Error => "error",
            Self::Url => "url",
            Self::Headers => "headers",
            Self::Request => "request",
            Self::Response => "response",
            Self::Blob => "blob",
        }
    }

    fn describe(self) -> &'static str {
        match self {
            Self::Undefined => "undefined",
            Self::Infinity => "Infinity",
            Self::NegativeInfinity => "-Infinity",
            Self::Nan => "NaN",
            Self::BigInt => "a bigint",
            Self::Date => "a date",
            Self::Bytes => "bytes",
            Self::Error => "an error",
            Self::Url => "a URL",
            Self::Headers => "headers",
            Self::Request => "a request",
            Self::Response => "a response",
            Self::Blob => "a blob",
        }
    }
}
