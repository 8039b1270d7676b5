//! Objects, while they are being read.

use std::borrow::Cow;

use serde::de::{DeserializeSeed, MapAccess, Visitor};

use super::{duplicates::Seen, key::Key, reader::Reader};
use crate::{DeError, is_prototype_name, lex};

/// The members of an object.
pub(super) struct Members {
    first: bool,
    /// The keys that are hidden.
    hidden: &'static [&'static str],
    /// True once a hidden key was found.
    met: bool,
}

impl Members {
    /// Starts to read the object.
    #[inline]
    pub(super) fn open(reader: &mut Reader<'_, '_>) -> Result<Self, DeError> {
        let hidden = reader.hidden();
        reader.expect(b'{')?;
        reader.enter()?;
        Ok(Self {
            first: true,
            hidden,
            met: false,
        })
    }

    /// Returns the next key, and advances to its value. Returns `None` at the end of the object,
    /// without skipping the closing brace.
    ///
    /// Keys that do not count are skipped: those of `Object.prototype`, and those known to be
    /// shadowed.
    #[inline]
    pub(super) fn next<'de>(
        &mut self,
        reader: &mut Reader<'_, 'de>,
    ) -> Result<Option<Cow<'de, str>>, DeError> {
        Ok(self.next_placed(reader)?.map(|(_, key)| key))
    }

    /// Returns the next key with its position.
    #[inline]
    pub(super) fn next_placed<'de>(
        &mut self,
        reader: &mut Reader<'_, 'de>,
    ) -> Result<Option<(usize, Cow<'de, str>)>, DeError> {
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
            let is_hidden = self.hidden.contains(&&*key);
            if !is_hidden && !is_prototype_name(&key) && !reader.is_shadowed(start) {
                return Ok(Some((start, key)));
            }
            if is_hidden && !reader.is_shadowed(start) {
                reader.duplicate |= std::mem::replace(&mut self.met, true);
            }
            reader.skip_value()?;
        }
    }

    /// Skips the rest of the object.
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
    /// The keys so far, if duplicates must be detected here.
    seen: Option<Seen<'de>>,
}

impl<'de> Reader<'_, 'de> {
    /// Visits the object for a struct. Derived implementations reject duplicate fields, which
    /// triggers another reading, so no keys need to be remembered.
    #[inline]
    pub(super) fn visit_struct<V: Visitor<'de>>(
        &mut self,
        visitor: V,
    ) -> Result<V::Value, DeError> {
        self.visit_object(None, visitor)
    }

    /// Returns whether the first key of the object is written as `key`.
    #[inline]
    pub(super) fn has_first_key(&self, key: &str) -> bool {
        let bytes = self.bytes();
        let quote = lex::skip_ws(bytes, self.at() + 1);
        let start = quote + 1;
        let end = start + key.len();
        bytes.get(quote) == Some(&b'"')
            && bytes.get(start..end) == Some(key.as_bytes())
            && bytes.get(end) == Some(&b'"')
    }

    /// Visits the object like [`visit_struct`](Self::visit_struct), with the member `first` before
    /// the others, if it is present.
    ///
    /// An adjacently tagged enum is read this way: once its tag is known, serde does not put the
    /// content into its buffer, which would lose information.
    pub(super) fn visit_struct_from<V: Visitor<'de>>(
        &mut self,
        first: &'static str,
        visitor: V,
    ) -> Result<V::Value, DeError> {
        self.rereads().expect_more();
        let place = self.at();
        let mut members = Members::open(self)?;
        let start = self.at();
        let mut found = None;
        while let Some(key) = members.next(self)? {
            if key == first {
                found = Some(self.at());
                break;
            }
            self.skip_member()?;
        }
        self.leave();
        self.set_at(place);
        let Some(value) = found else {
            return self.visit_struct(visitor);
        };
        let members = Members::open(self)?;
        let mut access = FromFirst {
            access: Access {
                reader: self,
                members,
                seen: None,
            },
            first,
            value,
            start,
            progress: Progress::Key,
        };
        let result = visitor.visit_map(&mut access)?;
        let FromFirst {
            access:
                Access {
                    reader,
                    mut members,
                    ..
                },
            progress,
            ..
        } = access;
        if progress != Progress::Rest {
            reader.set_at(start);
        }
        members.close(reader)?;
        Ok(result)
    }

    /// Skips the value of a member.
    pub(super) fn skip_member(&mut self) -> Result<(), DeError> {
        match self.hole() {
            Some(hole) => self.skip_hole(hole),
            None => self.skip_value()?,
        }
        Ok(())
    }

    /// Visits the object for a type that may accept any key, and may keep duplicates.
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

/// The progress of reading an object whose first member comes from elsewhere.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// The first key is next.
    Key,
    /// The first value is next.
    Value,
    /// The other members are next.
    Rest,
}

/// Reads an object's members for serde, with one of them first.
struct FromFirst<'r, 's, 'de> {
    access: Access<'r, 's, 'de>,
    first: &'static str,
    /// The position of the first member's value.
    value: usize,
    /// The position of the object's members.
    start: usize,
    progress: Progress,
}

impl<'de> MapAccess<'de> for FromFirst<'_, '_, 'de> {
    type Error = DeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, DeError> {
        if self.progress == Progress::Key {
            self.progress = Progress::Value;
            return seed.deserialize(Key(Cow::Borrowed(self.first))).map(Some);
        }
        let Access {
            reader, members, ..
        } = &mut self.access;
        if self.progress == Progress::Value {
            // The value was not requested.
            self.progress = Progress::Rest;
            reader.set_at(self.start);
        }
        loop {
            let Some(key) = members.next(reader)? else {
                return Ok(None);
            };
            if reader.at() != self.value {
                return seed.deserialize(Key(key)).map(Some);
            }
            reader.skip_member()?;
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, DeError> {
        if self.progress != Progress::Value {
            return self.access.next_value_seed(seed);
        }
        self.progress = Progress::Rest;
        let reader = &mut *self.access.reader;
        reader.set_at(self.value);
        let value = seed.deserialize(&mut *reader)?;
        reader.set_at(self.start);
        Ok(value)
    }
}
