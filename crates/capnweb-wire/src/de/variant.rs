//! Enums in serde's default representation: a string, or an object with one key.

use std::borrow::Cow;

use serde::{
    Deserialize, Deserializer,
    de::{
        DeserializeSeed, EnumAccess, IntoDeserializer, VariantAccess, Visitor,
        value::CowStrDeserializer,
    },
};

use super::{flattened::is_flattened, members::Members, reader::Reader, start::Start};
use crate::DeError;

/// A variant at the current content.
pub(super) struct Variant<'r, 's, 'de> {
    pub(super) reader: &'r mut Reader<'s, 'de>,
    pub(super) name: Cow<'de, str>,
}

impl<'de> Reader<'_, 'de> {
    pub(super) fn visit_enum<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, DeError> {
        match self.start() {
            Start::String => {
                let name: CowStrDeserializer<'_, DeError> = self.read_string()?.into_deserializer();
                visitor.visit_enum(name)
            }
            Start::Object => {
                let mut members = Members::open(self)?;
                let Some(name) = members.next(self)? else {
                    return Err(DeError::mismatch(&visitor, "an object without keys"));
                };
                let key = name.clone();
                let at = self.at();
                let value = visitor
                    .visit_enum(Variant { reader: self, name })
                    .map_err(|error| error.passes(at))?;
                if let Some(second) = members.next(self)? {
                    self.duplicate |= second == key;
                    return Err(DeError::custom(
                        "expected an object with one key, the variant's name, got more",
                    ));
                }
                members.close(self)?;
                Ok(value)
            }
            _ => Err(DeError::mismatch(&visitor, self.describe())),
        }
    }
}

impl<'r, 's, 'de> EnumAccess<'de> for Variant<'r, 's, 'de> {
    type Error = DeError;
    type Variant = Content<'r, 's, 'de>;

    fn variant_seed<T: DeserializeSeed<'de>>(
        self,
        seed: T,
    ) -> Result<(T::Value, Self::Variant), DeError> {
        let name: CowStrDeserializer<'_, DeError> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, Content(self.reader)))
    }
}

/// The content of a variant.
pub(super) struct Content<'r, 's, 'de>(&'r mut Reader<'s, 'de>);

impl<'de> VariantAccess<'de> for Content<'_, '_, 'de> {
    type Error = DeError;

    fn unit_variant(self) -> Result<(), DeError> {
        Deserialize::deserialize(self.0)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, DeError> {
        seed.deserialize(self.0)
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, DeError> {
        self.0.deserialize_tuple(length, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DeError> {
        if is_flattened(fields) {
            self.0.visit_flattened(fields, visitor)
        } else {
            self.0.deserialize_struct("", fields, visitor)
        }
    }
}
