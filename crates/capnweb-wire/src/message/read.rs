//! Building the tree of a text that the scanner has accepted.
//!
//! The scanner's guarantees are not checked again. If one did not hold, reading would return
//! `None`, which becomes an error rather than a panic.

use super::{
    Capture, ErrorValue, Expr, JsString, PathStep, RawJson, Reference, RemapValue, RequestValue,
    ResponseValue,
};
use crate::bytes::read_bytes;
use crate::scan::integer;
use crate::{Container, Date, WireError, decimal::parse_f64, lex, unescape};

/// Parses a scanned expression. The scan has bounded the recursion.
pub(super) fn expression(text: &str) -> Result<Expr, WireError> {
    let mut reader = Reader {
        source: text,
        at: lex::skip_ws(text.as_bytes(), 0),
    };
    reader.expr().ok_or(WireError::Syntax {
        at: reader.at,
        expected: "an expression",
    })
}

struct Reader<'a> {
    source: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn byte(&self) -> Option<u8> {
        self.source.as_bytes().get(self.at).copied()
    }

    /// Advances to `at`, and skips white space there.
    fn go(&mut self, at: usize) {
        self.at = lex::skip_ws(self.source.as_bytes(), at);
    }

    /// Takes one structural character, if it is next.
    fn take(&mut self, byte: u8) -> bool {
        let taken = self.byte() == Some(byte);
        if taken {
            self.go(self.at + 1);
        }
        taken
    }

    /// Returns the text of the next JSON value.
    fn raw(&mut self) -> Option<&'a str> {
        let end = lex::skip_value(self.source.as_bytes(), self.at)?;
        let text = self
            .source
            .get(self.at..end)
            .filter(|text| !text.is_empty())?;
        self.go(end);
        Some(text)
    }

    /// Returns the content of the next literal, if it is a string.
    fn literal(&mut self) -> Option<&'a str> {
        if self.byte()? != b'"' {
            return None;
        }
        let raw = self.raw()?;
        raw.get(1..raw.len() - 1)
    }

    fn string(&mut self) -> Option<JsString> {
        self.literal().map(JsString::from_literal)
    }

    fn id(&mut self) -> Option<i64> {
        integer(self.raw()?)
    }

    /// Reads a bare array, with `item` for each element.
    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let mut items = Vec::new();
        if !self.take(b'[') {
            return None;
        }
        while !self.take(b']') {
            items.push(item(self)?);
            self.take(b',');
        }
        Some(items)
    }

    /// Reads an object, with `member` for each value.
    fn members(&mut self, mut member: impl FnMut(&mut Self, JsString) -> Option<()>) -> Option<()> {
        if !self.take(b'{') {
            return None;
        }
        while !self.take(b'}') {
            let key = self.string()?;
            self.take(b':');
            member(self, key)?;
            self.take(b',');
        }
        Some(())
    }

    fn object(&mut self) -> Option<Vec<(JsString, Expr)>> {
        let mut members = Vec::new();
        self.members(|reader, key| {
            members.push((key, reader.expr()?));
            Some(())
        })?;
        Some(members)
    }

    fn expr(&mut self) -> Option<Expr> {
        match self.byte()? {
            b'"' => self.string().map(Expr::String),
            b'{' => self.object().map(Expr::Object),
            b'[' => {
                self.take(b'[');
                let expr = if self.byte()? == b'[' {
                    Expr::Array(self.list(Self::expr)?)
                } else {
                    self.form()?
                };
                while !self.take(b']') {
                    // Extra elements are ignored.
                    if !self.take(b',') {
                        self.raw()?;
                    }
                }
                Some(expr)
            }
            _ => Some(match self.raw()? {
                "null" => Expr::Null,
                "true" => Expr::Bool(true),
                "false" => Expr::Bool(false),
                number => Expr::Number(parse_f64(number)?),
            }),
        }
    }

    /// Reads a form from its name to its last significant element.
    fn form(&mut self) -> Option<Expr> {
        let name = self.literal()?;
        self.take(b',');
        Some(match name {
            "undefined" => Expr::Undefined,
            "inf" => Expr::Number(f64::INFINITY),
            "-inf" => Expr::Number(f64::NEG_INFINITY),
            "nan" => Expr::Number(f64::NAN),
            "bigint" => Expr::BigInt(self.literal()?.parse().ok()?),
            "date" => Expr::Date(match self.raw()? {
                "null" => Date::INVALID,
                millis => Date::from_f64(parse_f64(millis)?),
            }),
            "bytes" => self.bytes()?,
            "error" => self.error()?,
            "url" => Expr::Url(self.string()?),
            "headers" => Expr::Headers(self.headers()?),
            "request" => self.request()?,
            "response" => self.response()?,
            "blob" => self.blob()?,
            "import" => Expr::Import(self.reference()?),
            "pipeline" => Expr::Pipeline(self.reference()?),
            "export" => Expr::Export(self.id()?),
            "promise" => Expr::Promise(self.id()?),
            "writable" => Expr::Writable(self.id()?),
            "readable" => Expr::Readable(self.id()?),
            "remap" => self.remap()?,
            _ => return None,
        })
    }

    fn bytes(&mut self) -> Option<Expr> {
        let bytes = read_bytes(&unescape(self.literal()?))?;
        let container = if self.take(b',') {
            Some(Container::from_name(self.literal()?)?)
        } else {
            None
        };
        Some(Expr::Bytes(bytes, container))
    }

    fn error(&mut self) -> Option<Expr> {
        let mut error = ErrorValue {
            name: self.string()?,
            ..ErrorValue::default()
        };
        self.take(b',');
        error.message = self.string()?;
        if self.take(b',') {
            if self.byte()? == b'"' {
                error.stack = Some(self.string()?);
            } else {
                self.raw()?;
            }
            if self.take(b',') {
                self.members(|reader, key| {
                    // As properties, these have not been scanned, and are ignored.
                    if matches!(&*key.to_str(), "name" | "message" | "stack") {
                        reader.raw()?;
                    } else {
                        error.props.push((key, reader.expr()?));
                    }
                    Some(())
                })?;
            }
        }
        Some(Expr::Error(Box::new(error)))
    }

    fn headers(&mut self) -> Option<Vec<(JsString, JsString)>> {
        self.list(|reader| {
            reader.take(b'[');
            let name = reader.string()?;
            reader.take(b',');
            let value = reader.string()?;
            reader.take(b']').then_some((name, value))
        })
    }

    fn request(&mut self) -> Option<Expr> {
        let url = self.string()?;
        self.take(b',');
        let mut request = RequestValue {
            url,
            headers: None,
            body: None,
            other: Vec::new(),
        };
        self.members(|reader, key| {
            match &*key.to_str() {
                "headers" if reader.byte()? == b'[' => request.headers = Some(reader.headers()?),
                "body" => request.body = Some(reader.expr()?),
                _ => {
                    let value = RawJson::new(reader.raw()?);
                    request.other.push((key, value));
                }
            }
            Some(())
        })?;
        Some(Expr::Request(Box::new(request)))
    }

    fn response(&mut self) -> Option<Expr> {
        let body = self.expr()?;
        self.take(b',');
        let mut response = ResponseValue {
            body,
            headers: None,
            other: Vec::new(),
        };
        self.members(|reader, key| {
            match &*key.to_str() {
                "headers" if reader.byte()? == b'[' => response.headers = Some(reader.headers()?),
                _ => {
                    let value = RawJson::new(reader.raw()?);
                    response.other.push((key, value));
                }
            }
            Some(())
        })?;
        Some(Expr::Response(Box::new(response)))
    }

    fn blob(&mut self) -> Option<Expr> {
        let media_type = self.string()?;
        self.take(b',');
        match self.expr()? {
            Expr::Readable(id) => Some(Expr::Blob(media_type, id)),
            _ => None,
        }
    }

    fn reference(&mut self) -> Option<Reference> {
        let mut reference = Reference::to(self.id()?);
        if self.take(b',') {
            reference.path = Some(self.path()?);
        }
        if self.take(b',') {
            reference.args = Some(self.list(Self::expr)?);
        }
        Some(reference)
    }

    fn path(&mut self) -> Option<Vec<PathStep>> {
        self.list(|reader| {
            Some(if reader.byte()? == b'"' {
                PathStep::Key(reader.string()?)
            } else {
                PathStep::Number(reader.raw()?.parse().ok()?)
            })
        })
    }

    fn remap(&mut self) -> Option<Expr> {
        let id = self.id()?;
        self.take(b',');
        let path = self.path()?;
        self.take(b',');
        let captures = self.list(|reader| match reader.expr()? {
            Expr::Import(Reference { id, .. }) => Some(Capture::Import(id)),
            Expr::Export(id) => Some(Capture::Export(id)),
            _ => None,
        })?;
        self.take(b',');
        let instructions = self.list(|reader| reader.raw().map(RawJson::new))?;
        Some(Expr::Remap(Box::new(RemapValue {
            id,
            path,
            captures,
            instructions,
        })))
    }
}
