//! Arrays, while they are being read.

use serde::de::{DeserializeSeed, SeqAccess, Visitor};

use super::reader::Reader;
use crate::DeError;

/// The elements of an array after its opening bracket.
pub(super) struct Elements<'r, 's, 'de> {
    reader: &'r mut Reader<'s, 'de>,
    first: bool,
    /// The minimum number of elements. Missing ones are `undefined`.
    at_least: usize,
}

impl<'s, 'de> Reader<'s, 'de> {
    /// Visits the elements of the array at the current opening bracket, up to its closing bracket.
    #[inline]
    pub(super) fn visit_elements<V: Visitor<'de>>(
        &mut self,
        at_least: usize,
        visitor: V,
    ) -> Result<V::Value, DeError> {
        self.expect(b'[')?;
        self.enter()?;
        let value = visitor.visit_seq(Elements {
            reader: self,
            first: true,
            at_least,
        })?;
        self.leave();
        Ok(value)
    }

    /// Visits the array. The opening bracket of its elements is at `inner`.
    #[inline]
    pub(super) fn visit_array<V: Visitor<'de>>(
        &mut self,
        inner: usize,
        visitor: V,
    ) -> Result<V::Value, DeError> {
        let bare = inner == self.at();
        self.set_at(inner);
        let value = self.visit_elements(0, visitor)?;
        if self.next_token() != b']' {
            return Err(DeError::custom("the array has more elements than expected"));
        }
        self.set_at(self.at() + 1);
        if !bare {
            self.expect(b']')?;
        }
        Ok(value)
    }
}

impl<'de> SeqAccess<'de> for Elements<'_, '_, 'de> {
    type Error = DeError;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DeError> {
        let mut token = self.reader.next_token();
        if token == b']' {
            if self.at_least == 0 {
                return Ok(None);
            }
            self.at_least -= 1;
            return self
                .reader
                .read_missing(|missing| seed.deserialize(missing))
                .map(Some);
        }
        self.at_least = self.at_least.saturating_sub(1);
        if !self.first {
            if token != b',' {
                return Err(DeError::malformed());
            }
            self.reader.set_at(self.reader.at() + 1);
            token = self.reader.next_token();
        }
        self.first = false;
        if token == 0 {
            return Err(DeError::malformed());
        }
        let at = self.reader.at();
        match seed.deserialize(&mut *self.reader) {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(error.passes(at)),
        }
    }
}
