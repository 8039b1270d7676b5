//! Typed arrays as sequences of their elements.

use serde::{
    de::{Deserializer, IntoDeserializer, Visitor, value::SeqDeserializer},
    forward_to_deserialize_any,
};

use super::reader::Reader;
use crate::{Container, DeError, Element};

impl<'de> Reader<'_, 'de> {
    /// Visits the elements of the bytes form whose name ends at `at`.
    pub(super) fn visit_contained_as_seq<V: Visitor<'de>>(
        &mut self,
        at: usize,
        visitor: V,
    ) -> Result<V::Value, DeError> {
        let (bytes, container) = self.read_contained_item(at)?;
        let numbers = Numbers {
            bytes: &bytes,
            container,
        };
        let mut elements = SeqDeserializer::<_, DeError>::new(numbers);
        let value = visitor.visit_seq(&mut elements)?;
        elements.end()?;
        Ok(value)
    }
}

/// The elements of a typed array.
///
/// It is one type for all containers, so a visitor is compiled for it once.
struct Numbers<'a> {
    bytes: &'a [u8],
    container: Container,
}

impl Numbers<'_> {
    /// Takes the next element from the bytes. An incomplete one at the end is ignored.
    #[inline]
    fn take<T: Element>(&mut self) -> Option<T> {
        let (element, rest) = self.bytes.split_at_checked(size_of::<T>())?;
        self.bytes = rest;
        T::from_bytes(element)
    }
}

impl Iterator for Numbers<'_> {
    type Item = Scalar;

    #[inline]
    fn next(&mut self) -> Option<Scalar> {
        match self.container {
            Container::ArrayBuffer
            | Container::DataView
            | Container::Uint8Array
            | Container::Uint8ClampedArray => self.take::<u8>().map(|n| Scalar::Unsigned(n.into())),
            Container::Int8Array => self.take::<i8>().map(|n| Scalar::Signed(n.into())),
            Container::Int16Array => self.take::<i16>().map(|n| Scalar::Signed(n.into())),
            Container::Uint16Array => self.take::<u16>().map(|n| Scalar::Unsigned(n.into())),
            Container::Int32Array => self.take::<i32>().map(|n| Scalar::Signed(n.into())),
            Container::Uint32Array => self.take::<u32>().map(|n| Scalar::Unsigned(n.into())),
            Container::BigInt64Array => self.take().map(Scalar::Signed),
            Container::BigUint64Array => self.take().map(Scalar::Unsigned),
            Container::Float32Array => self.take().map(Scalar::Single),
            Container::Float64Array => self.take().map(Scalar::Double),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let len = self.bytes.len() / self.container.element_size();
        (len, Some(len))
    }
}

/// An element of a typed array. Unlike a `Number` of the text, it is an integer or a float as its
/// array says, whatever its value.
enum Scalar {
    Signed(i64),
    Unsigned(u64),
    Single(f32),
    Double(f64),
}

impl<'de> Deserializer<'de> for Scalar {
    type Error = DeError;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        match self {
            Self::Signed(n) => visitor.visit_i64(n),
            Self::Unsigned(n) => visitor.visit_u64(n),
            Self::Single(n) => visitor.visit_f32(n),
            Self::Double(n) => visitor.visit_f64(n),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DeError> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de> IntoDeserializer<'de, DeError> for Scalar {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}
