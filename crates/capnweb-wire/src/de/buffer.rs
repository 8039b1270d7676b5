//! Values for serde's own buffer.
//!
//! `untagged`, `tag`, `content` and `flatten` make serde read a value into its own buffer, which
//! only represents plain data, and read the fields' types from there. So the contents of the buffer
//! must serve two kinds of readers: types that want plain data, and this crate's types, which must
//! distinguish a date from a number. The buffer preserves distinctions that plain types ignore, and
//! these encode the difference:
//!
//! | value | in the buffer |
//! |---|---|
//! | `null`, `undefined` | a unit, none |
//! | integers, `bigint` | `i64`, or else `f64`; `u64` or `i32`, or else marked |
//! | strings | borrowed, unless something is escaped |
//! | `url` | an owned string that [`is_href`], or else marked |
//! | `date` | its milliseconds, marked |
//! | `bytes` | bytes; other containers than `Uint8Array` as a marked pair of name and bytes |
//! | objects, `error` | keys are borrowed, owned |
//! | capabilities | a newtype around the token |
//!
//! Marked values are inside several options. Types that accept anything look through those, and
//! types that want a number, a string or bytes reject them, as they do outside a buffer.
//! [`Restore`] reads all of them.

use std::any::type_name;

use serde::{
    Deserializer,
    de::{
        IntoDeserializer, Visitor,
        value::{BytesDeserializer, SeqDeserializer},
    },
    forward_to_deserialize_any,
};

use super::{
    number::Number,
    reader::Reader,
    start::{Form, Start},
};
use crate::{Container, DeError, url::is_normal_url, write::MAX_SAFE_INTEGER};

mod restore;

pub use restore::Restore;

/// Returns whether `D` reads values of this crate's deserializer from serde's own buffer.
///
/// serde fills the buffer for `untagged`, `tag` and `flatten`. A type that preserves all
/// distinctions reads from it with [`Restore`].
#[must_use]
#[inline(always)]
pub fn is_buffered<'de, D: Deserializer<'de>>() -> bool {
    is_of_serde::<D>() && reads_buffer::<D>()
}

/// Returns whether a type is one of serde's.
///
/// The compiler knows the answer if it inlines this. Then the code for serde's own buffer is left
/// out of the program for all other types.
#[inline(always)]
fn is_of_serde<T>() -> bool {
    type_name::<T>().starts_with("serde")
}

#[inline(never)]
fn reads_buffer<'de, D: Deserializer<'de>>() -> bool {
    let name = type_name::<D>();
    let is_buffer = ["::ContentDeserializer<", "::ContentRefDeserializer<"]
        .iter()
        .any(|buffer| contains(name, buffer));
    is_buffer && type_name::<D::Error>() == type_name::<DeError>()
}

/// Searches without the tables of the standard library, whose code would be more than a kilobyte
/// of a module.
fn contains(name: &str, part: &str) -> bool {
    let mut parts = name.as_bytes().windows(part.len());
    parts.any(|found| found == part.as_bytes())
}

/// Returns whether a visitor is the one of serde's own buffer.
///
/// serde's type is private, so it can only be recognized by its name.
#[inline(always)]
pub(super) fn is_buffer<'de, V: Visitor<'de>>() -> bool {
    is_of_serde::<V::Value>() && is_content(type_name::<V::Value>())
}

fn is_content(name: &str) -> bool {
    // Some compilers include the lifetime.
    let name = name.strip_suffix("<'_>").unwrap_or(name);
    name.ends_with("::Content")
}

/// The number of options around a marked value, which is more than any field has.
const MARKS: u32 = 4;

impl<'de> Reader<'_, 'de> {
    /// Visits the value for serde's own buffer.
    pub(super) fn visit_buffer<V: Visitor<'de>>(
        &mut self,
        visitor: V,
    ) -> Result<V::Value, DeError> {
        let start = self.start();
        match start {
            Start::Number => self.read_number()?.visit_buffer(visitor),
            Start::Form(Form::Undefined, at) => {
                self.set_at(at);
                self.close_array()?;
                visitor.visit_none()
            }
            Start::Form(Form::BigInt, at) => {
                let digits = self.read_text_item(at)?;
                visit_bigint(&digits, visitor)
            }
            Start::Form(Form::Date, at) => {
                let millis = self.read_date_item(at)?;
                Marked::new(Content::Float(millis)).visit(visitor)
            }
            Start::Form(Form::Url, at) => {
                let href = self.read_text_item(at)?.into_owned();
                if is_href(&href) {
                    visitor.visit_string(href)
                } else {
                    Marked::new(Content::Text(href)).visit(visitor)
                }
            }
            Start::Form(Form::Bytes, at) => match self.read_contained_item(at)? {
                (bytes, Container::Uint8Array) => visitor.visit_byte_buf(bytes.into_owned()),
                (bytes, container) => Marked::new(Content::Bytes(&bytes, container)).visit(visitor),
            },
            Start::Form(Form::Error, at) => self.visit_fields(Form::Error, at, true, visitor),
            _ => self.visit_plain(start, visitor),
        }
    }
}

impl Number {
    /// Visits the number for serde's own buffer. Only a number becomes an `i64` within the range in
    /// which doubles represent every integer.
    fn visit_buffer<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        match self {
            Self::Positive(number) => match i64::try_from(number) {
                Ok(number) => visitor.visit_i64(number),
                Err(_) => visitor.visit_f64(self.as_f64()),
            },
            Self::Negative(number) if is_safe(number) => visitor.visit_i64(number),
            number => visitor.visit_f64(number.as_f64()),
        }
    }
}

fn is_safe(number: i64) -> bool {
    number.unsigned_abs() <= MAX_SAFE_INTEGER
}

/// Visits a `bigint` as an integer that no number uses, if there is one.
fn visit_bigint<'de, V: Visitor<'de>>(digits: &str, visitor: V) -> Result<V::Value, DeError> {
    if let Ok(number) = digits.parse() {
        return visitor.visit_u64(number);
    }
    if let Ok(number) = digits.parse() {
        return visitor.visit_i32(number);
    }
    match digits.parse() {
        Ok(number) if !is_safe(number) => visitor.visit_i64(number),
        Ok(number) => Marked::new(Content::Integer(number)).visit(visitor),
        Err(_) => Marked::new(Content::Text(digits.to_owned())).visit(visitor),
    }
}

/// Returns whether an owned string in the buffer is a URL. It has the form of a URL, and contains
/// nothing to escape, so as a plain string it would be borrowed.
fn is_href(text: &str) -> bool {
    let is_escaped = text
        .bytes()
        .any(|byte| byte < 0x20 || matches!(byte, b'"' | b'\\'));
    !is_escaped && is_normal_url(text)
}

/// A value inside of options.
struct Marked<'a> {
    marks: u32,
    content: Content<'a>,
}

/// A marked value.
enum Content<'a> {
    /// The milliseconds of a date.
    Float(f64),
    /// A big integer.
    Integer(i64),
    /// The digits of a big integer, or a URL.
    Text(String),
    /// The bytes of a container.
    Bytes(&'a [u8], Container),
}

impl<'a> Marked<'a> {
    fn new(content: Content<'a>) -> Self {
        Self {
            marks: MARKS,
            content,
        }
    }

    fn visit<'de, V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, DeError> {
        if self.marks > 0 {
            self.marks -= 1;
            return visitor.visit_some(self);
        }
        match self.content {
            Content::Float(number) => visitor.visit_f64(number),
            Content::Integer(number) => visitor.visit_i64(number),
            Content::Text(text) => visitor.visit_string(text),
            Content::Bytes(bytes, container) => {
                let pair = [Half::Name(container.name()), Half::Bytes(bytes)];
                visitor.visit_seq(SeqDeserializer::new(pair.into_iter()))
            }
        }
    }
}

impl<'de> Deserializer<'de> for Marked<'_> {
    type Error = DeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        self.visit(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// Half of the pair of a container's name and its bytes.
enum Half<'a> {
    Name(&'static str),
    Bytes(&'a [u8]),
}

impl<'de> IntoDeserializer<'de, DeError> for Half<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Half<'_> {
    type Error = DeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        match self {
            Self::Name(name) => visitor.visit_borrowed_str(name),
            Self::Bytes(bytes) => BytesDeserializer::new(bytes).deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}
