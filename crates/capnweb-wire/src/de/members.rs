//! Objects, while they are being read.

use std::borrow::Cow;

use serde::de::{DeserializeSeed, MapAccess, Visitor};

use super::{duplicates::Seen, key::Key, reader::Reader};
use crate::{DeError, is_prototype_name};

/// The members of an object.
pub(super) struct Members {
    first: bool,
}

impl Members {
    /// Begins with the object here.
    #[inline]
    pub(super) fn open(reader: &mut Reader<'_, '_>) -> Result<Self, DeError> {
        reader.expect(b'{')?;
        reader.enter()?;
        Ok(Self { first: true })
    }

    /// The next key; the place is then at its value. `None` at the end of the object, which is not passed over.
    ///
    /// Keys that do not count are skipped: those of `Object.prototype`, and those known to be shadowed.
    #[inline]
    pub(super) fn next<'de>(
        &mut self,
        reader: &mut Reader<'_, 'de>,
    ) -> Result<Option<Cow<'de, str>>, DeError> {
        loop {
            if reader.next_token() == b'}' {
                return Ok(None);
            }
            if !self.first {
                reader.expect(b',')?;
                reader.skip_ws();
            }
            self.first = false;
            let start = reader.at();
            let key = reader.read_string()?;
            reader.expect(b':')?;
            reader.skip_ws();
            if !is_prototype_name(&key) && !reader.is_shadowed(start) {
                return Ok(Some(key));
            }
            reader.skip_value()?;
        }
    }

    /// Passes over what is left of the object.
    #[inline]
    pub(super) fn close(&mut self, reader: &mut Reader<'_, '_>) -> Result<(), DeError> {
        while self.next(reader)?.is_some() {
            reader.skip_value()?;
        }
        reader.leave();
        reader.expect(b'}')
    }
}

/// Reads an object's members for serde.
struct Access<'r, 's, 'de> {
    reader: &'r mut Reader<'s, 'de>,
    members: Members,
    /// The keys so far, if it is up to us to find duplicates.
    seen: Option<Seen<'de>>,
}

impl<'de> Reader<'_, 'de> {
    /// Visits the object here for a struct. What is derived refuses a field that comes twice, which leads to another
    /// reading, so nothing needs to be remembered.
    #[inline]
    pub(super) fn visit_struct<V: Visitor<'de>>(
        &mut self,
        visitor: V,
    ) -> Result<V::Value, DeError> {
        self.visit_object(None, visitor)
    }

    /// Visits the object here for a type that may take any key, and may keep those that come twice.
    pub(super) fn visit_map<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, DeError> {
        self.visit_object(Some(Seen::default()), visitor)
    }

    #[inline]
    fn visit_object<V: Visitor<'de>>(
        &mut self,
        seen: Option<Seen<'de>>,
        visitor: V,
    ) -> Result<V::Value, DeError> {
        let members = Members::open(self)?;
        let mut access = Access {
            reader: self,
            members,
            seen,
        };
        let value = visitor.visit_map(&mut access)?;
        let Access {
            reader,
            mut members,
            ..
        } = access;
        members.close(reader)?;
        Ok(value)
    }
}

impl<'de> MapAccess<'de> for Access<'_, '_, 'de> {
    type Error = DeError;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, DeError> {
        let Some(key) = self.members.next(self.reader)? else {
            return Ok(None);
        };
        if let Some(seen) = &mut self.seen
            && !seen.insert(key.clone())
        {
            self.reader.duplicate = true;
            return Err(DeError::duplicate(&key));
        }
        seed.deserialize(Key(key)).map(Some)
    }

    #[inline]
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, DeError> {
        let at = self.reader.at();
        seed.deserialize(&mut *self.reader)
            .map_err(|error| error.passes(at))
    }
}
