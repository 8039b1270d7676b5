//! Values for types that preserve all distinctions: see [`VALUE`](crate::VALUE).

use serde::{
    Deserialize, Deserializer,
    de::{
        DeserializeSeed, EnumAccess, VariantAccess, Visitor,
        value::{BytesDeserializer, CowStrDeserializer, StrDeserializer},
    },
    forward_to_deserialize_any,
};

use super::{
    reader::Reader,
    start::{Form, Start},
};
use crate::{Container, DeError};

/// A deserializer with the behavior of [`VALUE`](crate::VALUE).
pub(super) struct Exact<'r, 's, 'de>(pub(super) &'r mut Reader<'s, 'de>);

impl<'de> Deserializer<'de> for Exact<'_, '_, 'de> {
    type Error = DeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        let form = match self.0.start() {
            Start::Form(Form::Infinity | Form::NegativeInfinity | Form::Nan, _) => None,
            start @ (Start::Form(..) | Start::Hole(_)) => Some(start),
            _ => None,
        };
        match form {
            None if self.0.start() == Start::Number => self.0.read_number()?.visit_exact(visitor),
            Some(start) => visitor.visit_enum(Tagged {
                name: self.0.variant_name(start)?,
                reader: self.0,
                start,
            }),
            None => self.0.visit_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl Reader<'_, '_> {
    /// Returns the name of the value, as a variant.
    fn variant_name(&mut self, start: Start) -> Result<&'static str, DeError> {
        Ok(match start {
            Start::Form(Form::Bytes, at) => match self.container(at)? {
                Container::Uint8Array => "bytes",
                other => other.name(),
            },
            Start::Form(form, _) => form.name(),
            _ => "capability",
        })
    }
}

/// A form as an enum. The variant has the form's name.
struct Tagged<'r, 's, 'de> {
    name: &'static str,
    reader: &'r mut Reader<'s, 'de>,
    start: Start,
}

impl<'de> EnumAccess<'de> for Tagged<'_, '_, 'de> {
    type Error = DeError;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self), DeError> {
        Ok((
            seed.deserialize(StrDeserializer::<DeError>::new(self.name))?,
            self,
        ))
    }
}

impl<'de> VariantAccess<'de> for Tagged<'_, '_, 'de> {
    type Error = DeError;

    fn unit_variant(self) -> Result<(), DeError> {
        Deserialize::deserialize(self.reader)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, DeError> {
        match self.start {
            Start::Hole(hole) => {
                let token = self.reader.take_hole(hole)?;
                seed.deserialize(BytesDeserializer::<DeError>::new(&token))
            }
            Start::Form(Form::BigInt, at) => {
                let digits = self.reader.read_text_item(at)?;
                seed.deserialize(CowStrDeserializer::<DeError>::new(digits))
            }
            _ => seed.deserialize(self.reader),
        }
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, DeError> {
        self.reader.deserialize_tuple(length, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DeError> {
        self.reader.deserialize_struct("", fields, visitor)
    }
}
