//! JSON text to MessagePack.

use rmp::encode;

use super::error::{MAX_NESTING, PackError};
use crate::{Attachment, Container, bytes::read_bytes, lex, unescape};

/// Appends the message `text` to `out`.
///
/// The text must be one that a session sends; for any other, the result is arbitrary or an error.
/// Numbers keep their value but not their spelling. Lone surrogates become U+FFFD.
///
/// # Errors
///
/// Returns an error if the text is not JSON or is nested too deeply. `out` is then unchanged.
pub fn from_json(text: &str, out: &mut Vec<u8>) -> Result<(), PackError> {
    pack::<&[u8]>(text, &[], out)
}

/// Works like [`from_json`] for a message with attachments, which must be in text order. Their
/// bytes are copied unchanged.
///
/// # Errors
///
/// Returns the same errors as [`from_json`].
pub fn pack<B: AsRef<[u8]>>(
    text: &str,
    attachments: &[Attachment<B>],
    out: &mut Vec<u8>,
) -> Result<(), PackError> {
    let beside: usize = attachments
        .iter()
        .map(|kept| kept.bytes.as_ref().len())
        .sum();
    out.reserve(text.len() + beside);
    run(text, attachments, out, None)
}

/// Works like [`pack`], but leaves the bytes out, and records their positions in `out`.
///
/// # Errors
///
/// Returns the same errors as [`from_json`]. The contents of `places` are then unspecified.
pub fn pack_around<B: AsRef<[u8]>>(
    text: &str,
    attachments: &[Attachment<B>],
    out: &mut Vec<u8>,
    places: &mut Vec<usize>,
) -> Result<(), PackError> {
    out.reserve(text.len());
    run(text, attachments, out, Some(places))
}

fn run<B: AsRef<[u8]>>(
    text: &str,
    attachments: &[Attachment<B>],
    out: &mut Vec<u8>,
    places: Option<&mut Vec<usize>>,
) -> Result<(), PackError> {
    let start = out.len();
    let mut packer = Packer {
        text,
        at: 0,
        counts: count(text.as_bytes()).into_iter(),
        attachments,
        out,
        places,
        depth: 0,
    };
    let result = packer.value(ValueKind::Message).and_then(|()| packer.end());
    if result.is_err() {
        out.truncate(start);
    }
    result
}

/// Returns the number of items or members of each container of the text, in the order of their
/// start. MessagePack requires them in advance.
fn count(text: &[u8]) -> Vec<u32> {
    let mut counts: Vec<u32> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        let next = match byte {
            b'"' => lex::skip_string(text, at).unwrap_or(text.len()),
            _ => at + 1,
        };
        let top = open.last().and_then(|&top| counts.get_mut(top));
        match byte {
            b']' | b'}' => {
                open.pop();
            }
            b',' => {
                if let Some(count) = top {
                    *count += 1;
                }
            }
            b' ' | b'\t' | b'\r' | b'\n' | b':' => {}
            _ => {
                // The first token in a container shows that it is not empty.
                if let Some(count) = top
                    && *count == 0
                {
                    *count = 1;
                }
                if matches!(byte, b'[' | b'{') {
                    open.push(counts.len());
                    counts.push(0);
                }
            }
        }
        at = next;
    }
    counts
}

/// The kind of value at a position, as far as it may contain bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ValueKind {
    Message,
    /// An expression.
    Expr,
    /// A bare array of expressions.
    Exprs,
    /// The options of a request or response.
    Init,
    /// Bytes, as base64.
    Base64,
    /// Anything else.
    Json,
}

impl ValueKind {
    /// Returns the kind of the item at this index of an array that starts with `name`.
    fn item(self, name: &str, index: usize) -> Self {
        match (self, name, index) {
            (Self::Message, "push" | "stream" | "abort", 1)
            | (Self::Message, "resolve" | "reject", 2)
            | (Self::Expr, "error", 4)
            | (Self::Expr, "response", 1)
            | (Self::Expr, "blob", 2) => Self::Expr,
            (Self::Expr, "request" | "response", 2) => Self::Init,
            (Self::Expr, "import" | "pipeline", 3) | (Self::Expr, "remap", 4) => Self::Exprs,
            (Self::Expr, "bytes", 1) => Self::Base64,
            _ => Self::Json,
        }
    }

    /// Returns the kind of the value of this key of an object.
    fn member(self, key: &str) -> Self {
        match self {
            Self::Expr => Self::Expr,
            Self::Init if key == "body" => Self::Expr,
            _ => Self::Json,
        }
    }
}

struct Packer<'a, B> {
    text: &'a str,
    at: usize,
    counts: std::vec::IntoIter<u32>,
    /// The remaining attachments.
    attachments: &'a [Attachment<B>],
    out: &'a mut Vec<u8>,
    /// The recorded positions, if the bytes are not copied.
    places: Option<&'a mut Vec<usize>>,
    depth: u32,
}

/// Ignores the result of writing to a vector, which cannot fail.
fn written<T, E>(result: Result<T, E>) -> Result<(), PackError> {
    result.map(drop).map_err(|_| PackError::NotJson)
}

impl<'a, B: AsRef<[u8]>> Packer<'a, B> {
    fn peek(&mut self) -> u8 {
        let bytes = self.text.as_bytes();
        self.at = lex::skip_ws(bytes, self.at);
        bytes.get(self.at).copied().unwrap_or(0)
    }

    fn expect(&mut self, byte: u8) -> Result<(), PackError> {
        if self.peek() != byte {
            return Err(PackError::NotJson);
        }
        self.at += 1;
        Ok(())
    }

    fn end(&mut self) -> Result<(), PackError> {
        self.peek();
        if self.at == self.text.len() {
            Ok(())
        } else {
            Err(PackError::NotJson)
        }
    }

    /// Returns the literal up to the position that `skip` returns.
    fn token(
        &mut self,
        skip: impl FnOnce(&[u8], usize) -> Option<usize>,
    ) -> Result<&'a str, PackError> {
        let end = skip(self.text.as_bytes(), self.at).ok_or(PackError::NotJson)?;
        let token = self.text.get(self.at..end).ok_or(PackError::NotJson)?;
        self.at = end;
        Ok(token)
    }

    /// Returns the raw content of the current string.
    fn raw_string(&mut self) -> Result<&'a str, PackError> {
        if self.peek() != b'"' {
            return Err(PackError::NotJson);
        }
        let token = self.token(lex::skip_string)?;
        token.get(1..token.len() - 1).ok_or(PackError::NotJson)
    }

    fn value(&mut self, place: ValueKind) -> Result<(), PackError> {
        match self.peek() {
            b'"' => self.string(place),
            b'[' => match self.attached() {
                Some(attachment) => self.attachment(attachment),
                None => self.nested(|packer| packer.array(place)),
            },
            b'{' => self.nested(|packer| packer.object(place)),
            b'-' | b'0'..=b'9' => self.number(),
            _ => match self.token(lex::skip_value)? {
                "null" => written(encode::write_nil(self.out)),
                "true" => written(encode::write_bool(self.out, true)),
                "false" => written(encode::write_bool(self.out, false)),
                _ => Err(PackError::NotJson),
            },
        }
    }

    /// Returns the attachment for the current position.
    fn attached(&mut self) -> Option<&'a Attachment<B>> {
        let (first, rest) = self.attachments.split_first()?;
        if first.span.start as usize != self.at {
            return None;
        }
        self.attachments = rest;
        Some(first)
    }

    fn attachment(&mut self, attachment: &Attachment<B>) -> Result<(), PackError> {
        let Attachment {
            span,
            bytes,
            container,
        } = attachment;
        self.counts.next();
        self.at = span.end as usize;
        let is_named = *container != Container::Uint8Array;
        written(encode::write_array_len(self.out, 2 + u32::from(is_named)))?;
        written(encode::write_str(self.out, "bytes"))?;
        let bytes = bytes.as_ref();
        match &mut self.places {
            Some(places) => {
                // This is the encoding of `write_bin`.
                let len = u32::try_from(bytes.len()).map_err(|_| PackError::NotJson)?;
                written(encode::write_bin_len(self.out, len))?;
                places.push(self.out.len());
            }
            None => written(encode::write_bin(self.out, bytes))?,
        }
        if is_named {
            written(encode::write_str(self.out, container.name()))?;
        }
        Ok(())
    }

    fn nested(
        &mut self,
        write: impl FnOnce(&mut Self) -> Result<(), PackError>,
    ) -> Result<(), PackError> {
        if self.depth == MAX_NESTING {
            return Err(PackError::TooDeep);
        }
        self.depth += 1;
        self.at += 1;
        let result = write(self);
        self.depth -= 1;
        result
    }

    fn string(&mut self, place: ValueKind) -> Result<(), PackError> {
        let raw = self.raw_string()?;
        let text = unescape(raw);
        match (place, read_bytes(&text)) {
            (ValueKind::Base64, Some(bytes)) => written(encode::write_bin(self.out, &bytes)),
            _ => written(encode::write_str(self.out, &text)),
        }
    }

    fn number(&mut self) -> Result<(), PackError> {
        let token = self.token(lex::skip_value)?;
        // A negative zero is not an integer.
        match token.parse::<i64>() {
            Ok(integer) if token != "-0" => written(encode::write_sint(self.out, integer)),
            _ => match token.parse() {
                Ok(float) => written(encode::write_f64(self.out, float)),
                Err(_) => Err(PackError::NotJson),
            },
        }
    }

    fn array(&mut self, place: ValueKind) -> Result<(), PackError> {
        let len = self.counts.next().ok_or(PackError::NotJson)?;
        written(encode::write_array_len(self.out, len))?;
        // The name of the message or form.
        let mut name = "";
        for index in 0.. {
            if index == 0 && self.peek() == b']' {
                break;
            }
            let item = match (place, self.peek(), index) {
                (ValueKind::Exprs, ..) => ValueKind::Expr,
                // This is an array of values, within the brackets that distinguish it from a form.
                (ValueKind::Expr, b'[', 0) => ValueKind::Exprs,
                (ValueKind::Expr | ValueKind::Message, b'"', 0) => {
                    let at = self.at;
                    name = self.raw_string()?;
                    self.at = at;
                    ValueKind::Json
                }
                _ => place.item(name, index),
            };
            self.value(item)?;
            if self.peek() == b']' {
                break;
            }
            self.expect(b',')?;
        }
        self.expect(b']')
    }

    fn object(&mut self, place: ValueKind) -> Result<(), PackError> {
        let len = self.counts.next().ok_or(PackError::NotJson)?;
        written(encode::write_map_len(self.out, len))?;
        if self.peek() == b'}' {
            return self.expect(b'}');
        }
        loop {
            let key = unescape(self.raw_string()?);
            written(encode::write_str(self.out, &key))?;
            self.expect(b':')?;
            self.value(place.member(&key))?;
            if self.peek() == b'}' {
                return self.expect(b'}');
            }
            self.expect(b',')?;
        }
    }
}
