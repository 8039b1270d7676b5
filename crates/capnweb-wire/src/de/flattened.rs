//! Structs that contain the fields of others as their own.
//!
//! serde reads the members that a struct does not know into its buffer, and the flattened fields
//! from there. In the expansion of `#[capnweb::value]`, the names of such fields start with
//! [`FLAT`] instead. Each of them is read from the object itself, without the members that other
//! fields have taken.

use std::borrow::Cow;

use serde::{
    Deserializer,
    de::{DeserializeSeed, MapAccess, Visitor},
    forward_to_deserialize_any,
};

use super::{again::is_again, key::Key, members::Members, reader::Reader, variant::Variant};
use crate::{DeError, sort::sort_by_key};

/// The name of a struct that has flattened fields.
pub(super) const FLATTENED: &str = "$capnweb::Flattened";

/// The prefix of the names of flattened fields.
const FLAT: &str = "$capnweb::Flat";

/// Returns whether any of these fields is flattened.
pub(super) fn is_flattened(fields: &[&str]) -> bool {
    fields.iter().any(|field| field.starts_with(FLAT))
}

/// Reads an object's members for a struct that has flattened fields.
struct Access<'r, 's, 'de> {
    reader: &'r mut Reader<'s, 'de>,
    /// The position of the object.
    start: usize,
    /// True if the object has been read before, as a part of another value that is read again.
    is_reread: bool,
    fields: &'static [&'static str],
    /// The object's own members, or `None` after the last one.
    members: Option<Members>,
    /// The index of the next field that may be flattened.
    next: usize,
    /// The positions of the keys that are taken.
    taken: Vec<u32>,
}

impl<'de> Reader<'_, 'de> {
    /// Visits the object here for a struct with these fields, some of them flattened.
    pub(super) fn visit_flattened<V: Visitor<'de>>(
        &mut self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DeError> {
        if self.hole().is_some() || self.peek() != b'{' {
            return Err(DeError::mismatch(&visitor, self.describe()));
        }
        let start = self.at();
        let is_reread = self.rereads().begin(start);
        let members = Some(Members::open(self)?);
        let taken = self.shadowed().to_vec();
        let mut access = Access {
            reader: self,
            start,
            is_reread,
            fields,
            members,
            next: 0,
            taken,
        };
        let value = visitor.visit_map(&mut access)?;
        if access.members.is_some() {
            access.reader.leave();
        }
        self.set_at(start);
        self.skip_member()?;
        Ok(value)
    }

    /// Returns the positions of the members whose keys are in `keys`: of the key and of the value.
    pub(super) fn places_of(
        &mut self,
        keys: &[&str],
    ) -> Result<Vec<(usize, usize, Cow<'de, str>)>, DeError> {
        let start = self.at();
        let mut places = Vec::new();
        let mut members = Members::open(self)?;
        while let Some((place, key)) = members.next_placed(self)? {
            if keys.contains(&&*key) {
                places.push((place, self.at(), key));
            }
            self.skip_member()?;
        }
        members.close(self)?;
        self.set_at(start);
        Ok(places)
    }
}

impl<'de> MapAccess<'de> for Access<'_, '_, 'de> {
    type Error = DeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, DeError> {
        if let Some(members) = &mut self.members {
            while let Some((place, key)) = members.next_placed(self.reader)? {
                if self.fields.contains(&&*key) {
                    self.taken.extend(u32::try_from(place));
                    return seed.deserialize(Key(key)).map(Some);
                }
                self.reader.skip_member()?;
            }
            members.close(self.reader)?;
            self.members = None;
        }
        let fields = self.fields.iter().enumerate().skip(self.next);
        let Some((number, field)) = fields
            .into_iter()
            .find(|(_, field)| field.starts_with(FLAT))
        else {
            return Ok(None);
        };
        self.next = number + 1;
        seed.deserialize(Key(Cow::Borrowed(field))).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, DeError> {
        if self.members.is_some() {
            return seed.deserialize(&mut *self.reader);
        }
        sort_by_key(&mut self.taken, |place| *place);
        let mut taken = Vec::new();
        let (start, known) = (self.start, &self.taken);
        let value = self.reader.rereading(start, self.is_reread, |reader| {
            let hidden = reader.hidden();
            // A type that is flattened into itself would never end.
            let value = reader.enter().and_then(|()| {
                reader.hiding(known, hidden, |reader| {
                    seed.deserialize(Flat {
                        reader,
                        taken: &mut taken,
                    })
                })
            });
            reader.leave();
            value
        });
        self.taken.append(&mut taken);
        value
    }
}

/// The deserializer of a flattened field.
struct Flat<'r, 's, 'de> {
    reader: &'r mut Reader<'s, 'de>,
    /// Receives the positions of the keys that the field takes.
    taken: &'r mut Vec<u32>,
}

impl<'de> Deserializer<'de> for Flat<'_, '_, 'de> {
    type Error = DeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        self.reader.visit_map(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DeError> {
        let places = self.reader.places_of(fields)?;
        let keys = places.iter().map(|(place, ..)| u32::try_from(*place));
        self.taken.extend(keys.flatten());
        self.reader.deserialize_struct(name, fields, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DeError> {
        let places = self.reader.places_of(variants)?;
        let Some((place, value, name)) = places.into_iter().next() else {
            return Err(DeError::mismatch(&visitor, "an object without its key"));
        };
        self.taken.extend(u32::try_from(place));
        self.reader.set_at(value);
        let reader = self.reader;
        visitor.visit_enum(Variant { reader, name })
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DeError> {
        if is_again(name) {
            self.reader.deserialize_newtype_struct(name, visitor)
        } else {
            visitor.visit_newtype_struct(self)
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        visitor.visit_some(self)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, DeError> {
        visitor.visit_unit()
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf seq tuple
        tuple_struct map identifier
    }
}
