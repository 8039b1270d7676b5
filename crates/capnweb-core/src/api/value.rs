//! Values of types that are not known in advance.

use std::fmt;

use bytes::Bytes;
use capnweb_wire::{
    BigInt, Binary, Container, Date, Element, Restore, TypedArray, Undefined, is_buffered,
};
use indexmap::IndexMap;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeSeed, EnumAccess, Error as _, MapAccess, SeqAccess, VariantAccess, Visitor},
};

use crate::{
    api::{promise::Pipelined, stub::Stub},
    graph::error::Error,
    graph::{
        hook::Hook,
        payload::{Cap, Item, Payload, resolve},
    },
    url::Url,
};

/// Any value that can cross the wire, decoded.
///
/// ```
/// use capnweb::{Payload, Value};
///
/// let value: Value = Payload::encode(&("Ada", Some(7), ()))?.decode()?;
/// assert_eq!(value[0], Value::from("Ada"));
/// assert_eq!(value[1].as_f64(), Some(7.0));
/// assert_eq!(value[9], Value::Undefined);
/// # Ok::<(), capnweb::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Value {
    /// JavaScript's `undefined`.
    #[default]
    Undefined,
    /// `null`.
    Null,
    /// A boolean.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A big integer.
    BigInt(BigInt),
    /// A string. Unpaired surrogates are replaced by U+FFFD.
    String(String),
    /// An array.
    Array(Vec<Value>),
    /// An object, with its properties in order.
    Object(IndexMap<String, Value>),
    /// A date.
    Date(Date),
    /// Bytes: a `Uint8Array`.
    Bytes(Bytes),
    /// Bytes in any other JavaScript container, such as an `ArrayBuffer` or a `Float32Array`.
    Binary(Binary),
    /// An error as a value, which was not thrown.
    Error(Error),
    /// A URL.
    Url(Url),
    /// A reference to an object.
    Stub(Stub),
    /// One end of a stream. [`Payload::decode`] turns it into a [`Readable`](crate::Readable) or a
    /// [`Writable`](crate::Writable). All clones are the same stream.
    Stream(Payload),
}

impl Value {
    /// Returns a property of an object.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Object(object) => object.get(key),
            _ => None,
        }
    }

    /// Returns whether this is null or undefined.
    pub fn is_nullish(&self) -> bool {
        matches!(self, Self::Null | Self::Undefined)
    }

    /// Returns the boolean, if this is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// Returns the number, if this is one.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Number(value) => Some(*value),
            _ => None,
        }
    }

    /// Returns the string, if this is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(value) => Some(value),
            _ => None,
        }
    }

    /// Returns the elements, if this is an array.
    pub fn as_array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(value) => Some(value),
            _ => None,
        }
    }

    /// Returns the stub, if this is one.
    pub fn as_stub(&self) -> Option<&Stub> {
        match self {
            Self::Stub(value) => Some(value),
            _ => None,
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Undefined => "undefined",
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::BigInt(_) => "a big integer",
            Self::String(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
            Self::Date(_) => "a date",
            Self::Bytes(_) => "bytes",
            Self::Binary(value) => value.container().name(),
            Self::Error(_) => "an error",
            Self::Url(_) => "a URL",
            Self::Stub(_) => "a stub",
            Self::Stream(_) => "a stream",
        }
    }
}

static UNDEFINED: Value = Value::Undefined;

/// Returns a property, or `Undefined` if there is none.
impl std::ops::Index<&str> for Value {
    type Output = Value;

    fn index(&self, key: &str) -> &Value {
        self.get(key).unwrap_or(&UNDEFINED)
    }
}

/// Returns an element, or `Undefined` if there is none.
impl std::ops::Index<usize> for Value {
    type Output = Value;

    fn index(&self, index: usize) -> &Value {
        self.as_array()
            .and_then(|array| array.get(index))
            .unwrap_or(&UNDEFINED)
    }
}

/// Stubs are equal if they refer to the same object, and streams if they are copies of one value.
/// Errors are compared by name and message.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Undefined, Self::Undefined) | (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Number(a), Self::Number(b)) => a == b,
            (Self::BigInt(a), Self::BigInt(b)) => a == b,
            (Self::String(a), Self::String(b)) => a == b,
            (Self::Array(a), Self::Array(b)) => a == b,
            (Self::Object(a), Self::Object(b)) => a == b,
            (Self::Date(a), Self::Date(b)) => a == b,
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::Binary(a), Self::Binary(b)) => a == b,
            (Self::Error(a), Self::Error(b)) => (a.name(), a.message()) == (b.name(), b.message()),
            (Self::Url(a), Self::Url(b)) => a == b,
            (Self::Stub(a), Self::Stub(b)) => a.is_same(b),
            (Self::Stream(a), Self::Stream(b)) => a.identity() == b.identity(),
            _ => false,
        }
    }
}

macro_rules! from {
    ($($type:ty => $variant:ident),* $(,)?) => {
        $(impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Self::$variant(value.into())
            }
        })*
    };
}

from! {
    bool => Bool, f64 => Number, f32 => Number, u8 => Number, i8 => Number, u16 => Number,
    i16 => Number, u32 => Number, i32 => Number, &str => String, String => String,
    Vec<Value> => Array, IndexMap<String, Value> => Object, Date => Date, Bytes => Bytes,
    Error => Error, Url => Url, Stub => Stub, BigInt => BigInt,
}

macro_rules! from_wide {
    ($($type:ty),*) => {
        $(
            /// Converts to a number within ±(2<sup>53</sup> − 1), the range in which doubles
            /// represent every integer, and to a big integer beyond it.
            impl From<$type> for Value {
                fn from(value: $type) -> Self {
                    integer(value)
                }
            }
        )*
    };
}

from_wide!(u64, i64, u128, i128, usize, isize);

/// Converts a `Uint8Array` to [`Value::Bytes`].
impl From<Binary> for Value {
    fn from(value: Binary) -> Self {
        match value.container() {
            Container::Uint8Array => Self::Bytes(value.into_bytes().into()),
            _ => Self::Binary(value),
        }
    }
}

impl<T: Element + Serialize> From<TypedArray<T>> for Value {
    fn from(array: TypedArray<T>) -> Self {
        Binary::from(array).into()
    }
}

/// Returns the value that represents an integer on the wire.
fn integer<I: Copy + TryInto<i64> + Into<BigInt>>(value: I) -> Value {
    const MAX_SAFE: u64 = (1 << 53) - 1;
    match value.try_into() {
        #[expect(clippy::cast_precision_loss, reason = "doubles hold these exactly")]
        Ok(small) if small.unsigned_abs() <= MAX_SAFE => Value::Number(small as f64),
        _ => Value::BigInt(value.into()),
    }
}

/// Converts `None` to null.
impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

#[diagnostic::do_not_recommend]
impl Pipelined for Value {
    type Pipeline = Stub;
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Undefined => Undefined.serialize(serializer),
            Self::Null => serializer.serialize_none(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(value) => serializer.serialize_f64(*value),
            Self::BigInt(value) => value.serialize(serializer),
            Self::String(value) => serializer.serialize_str(value),
            Self::Array(value) => serializer.collect_seq(value),
            Self::Object(value) => serializer.collect_map(value),
            Self::Date(value) => value.serialize(serializer),
            Self::Bytes(value) => serializer.serialize_bytes(value),
            Self::Binary(value) => value.serialize(serializer),
            Self::Error(value) => value.serialize(serializer),
            Self::Url(value) => value.serialize(serializer),
            Self::Stub(value) => value.serialize(serializer),
            Self::Stream(value) => value.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(capnweb_wire::VALUE, ValueVisitor)
    }
}

pub(crate) struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Value, D::Error> {
        if is_buffered::<D>() {
            inner.deserialize_any(Restore(self))
        } else {
            inner.deserialize_any(self)
        }
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(integer(value))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Value, E> {
        Ok(integer(value))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Value, E> {
        Ok(integer(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    /// Visits bytes, or the token of a capability if serde has buffered: see
    /// [`capnweb_wire::CAPABILITY`].
    fn visit_bytes<E>(self, value: &[u8]) -> Result<Value, E> {
        Ok(match resolve(value) {
            Some(Item::Cap(cap)) => value_of(cap),
            _ => Value::Bytes(Bytes::copy_from_slice(value)),
        })
    }

    fn visit_byte_buf<E>(self, value: Vec<u8>) -> Result<Value, E> {
        Ok(match resolve(&value) {
            Some(Item::Cap(cap)) => value_of(cap),
            _ => Value::Bytes(value.into()),
        })
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Value, D::Error> {
        inner.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(element) = seq.next_element()? {
            array.push(element);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut object = IndexMap::new();
        while let Some((key, value)) = map.next_entry()? {
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }

    /// Visits a form, which arrives as an enum: see [`capnweb_wire::VALUE`].
    fn visit_enum<A: EnumAccess<'de>>(self, form: A) -> Result<Value, A::Error> {
        let (form, content) = form.variant::<String>()?;
        match form.as_str() {
            "undefined" => content.unit_variant().map(|()| Value::Undefined),
            "bigint" => {
                let digits: String = content.newtype_variant()?;
                digits.parse().map(Value::BigInt).map_err(A::Error::custom)
            }
            "date" => content.newtype_variant().map(Value::Date),
            "bytes" => content
                .newtype_variant::<RawBytes>()
                .map(|bytes| Value::Bytes(bytes.0.into())),
            "url" => content.newtype_variant().map(Value::Url),
            "error" => content
                .newtype_variant::<IndexMap<String, Value>>()
                .map(|map| Value::Error(error_from_map(map))),
            "capability" => {
                let token = content.newtype_variant::<RawBytes>()?;
                match resolve(&token.0) {
                    Some(Item::Cap(cap)) => Ok(value_of(cap)),
                    _ => Err(A::Error::custom("the token of a capability is invalid")),
                }
            }
            name => match Container::from_name(name) {
                Some(container) => {
                    let RawBytes(bytes) = content.newtype_variant()?;
                    Binary::new(container, bytes)
                        .map(Value::Binary)
                        .map_err(A::Error::custom)
                }
                // The types of fetch, as the plain values that they consist of.
                None => content.newtype_variant_seed(Plain),
            },
        }
    }
}

fn value_of(cap: Cap) -> Value {
    match cap {
        Cap::Error(error) => Value::Error(error),
        Cap::Bytes(bytes, Container::Uint8Array) => Value::Bytes(bytes),
        Cap::Bytes(bytes, container) => match Binary::new(container, bytes) {
            Ok(binary) => Value::Binary(binary),
            // The length is a valid multiple: it was checked when the bytes arrived.
            Err(error) => Value::Stub(Stub::broken(Error::type_error(error.to_string()))),
        },
        cap @ (Cap::Readable(_) | Cap::Writable(_) | Cap::Blob(_)) => {
            Value::Stream(Payload::from_cap(cap))
        }
        cap => match Payload::from_cap(cap).resolve_root() {
            Hook::Broken(error) => Value::Stub(Stub::broken(error)),
            hook => Value::Stub(Stub::from_hook(hook)),
        },
    }
}

/// Returns the error with these members.
pub(crate) fn error_from_map(mut map: IndexMap<String, Value>) -> Error {
    let mut text = |key: &str| match map.shift_remove(key) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    };
    let (name, message, stack) = (text("name"), text("message"), text("stack"));
    let mut error = Error::named(
        name.unwrap_or_else(|| "Error".to_owned()),
        message.unwrap_or_default(),
    );
    if let Some(stack) = stack {
        error = error.with_stack(stack);
    }
    map.iter()
        .fold(error, |error, (key, value)| error.with_prop(key, value))
}

/// The content of a form. It must not be interpreted as the form again.
struct Plain;

impl<'de> DeserializeSeed<'de> for Plain {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<Value, D::Error> {
        inner.deserialize_any(ValueVisitor)
    }
}

/// Bytes, as opposed to a list of numbers.
struct RawBytes(Vec<u8>);

impl<'de> Deserialize<'de> for RawBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BytesVisitor;
        impl Visitor<'_> for BytesVisitor {
            type Value = RawBytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E>(self, value: &[u8]) -> Result<RawBytes, E> {
                Ok(RawBytes(value.to_vec()))
            }

            fn visit_byte_buf<E>(self, value: Vec<u8>) -> Result<RawBytes, E> {
                Ok(RawBytes(value))
            }
        }
        deserializer.deserialize_bytes(BytesVisitor)
    }
}

impl fmt::Display for Value {
    /// Writes short values in full, and only the kind of any others.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(value) => write!(f, "{}", capnweb_wire::Decimal(*value)),
            Self::BigInt(value) => write!(f, "{value}"),
            Self::String(value) => f.write_str(value),
            Self::Error(value) => write!(f, "{value}"),
            Self::Url(value) => write!(f, "{value}"),
            other => f.write_str(other.kind()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_what_they_are_on_the_wire() {
        const SAFE: i64 = (1 << 53) - 1;
        for number in [
            0,
            5,
            -5,
            SAFE,
            -SAFE,
            SAFE + 1,
            -SAFE - 1,
            i64::MAX,
            i64::MIN,
        ] {
            let value = Value::from(number);
            let is_number = matches!(value, Value::Number(_));
            assert_eq!(
                is_number,
                number.unsigned_abs() <= SAFE.unsigned_abs(),
                "{number}"
            );
            let text = |payload: Payload| payload.as_expression().to_owned();
            assert_eq!(
                text(Payload::encode(&value).unwrap()),
                text(Payload::encode(&number).unwrap())
            );
            assert_eq!(value, Value::from(i128::from(number)));
        }
        assert_eq!(
            Value::from(u128::MAX),
            Value::BigInt(BigInt::from(u128::MAX))
        );
        assert_eq!(
            Value::from(i128::MIN),
            Value::BigInt(BigInt::from(i128::MIN))
        );
        for value in [
            Value::from(7u8),
            Value::from(7i8),
            Value::from(7u16),
            Value::from(7i16),
            Value::from(7usize),
            Value::from(7isize),
            Value::from(7u128),
            Value::from(Some(7u64)),
        ] {
            assert_eq!(value, Value::Number(7.0));
        }
        assert_eq!(Value::from(None::<u8>), Value::Null);
    }
}
