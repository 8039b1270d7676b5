//! Forms that are read as maps: errors, requests, responses, blobs.

use std::borrow::Cow;

use serde::de::{DeserializeSeed, MapAccess, Visitor};

use super::{duplicates::Seen, key::Key, members::Members, reader::Reader, start::Form};
use crate::DeError;

/// The keys for a form's elements.
pub(super) struct Layout {
    /// The names of the elements that follow the form's own name.
    pub(super) elements: &'static [&'static str],
    /// True if an object follows whose properties belong to the map too.
    properties: bool,
    /// True if those properties are plain JSON, except for the body.
    pub(super) plain: bool,
}

impl Form {
    pub(super) fn layout(self) -> Layout {
        let (elements, properties, plain): (&[_], _, _) = match self {
            Self::Error => (&["name", "message", "stack"], true, false),
            Self::Request => (&["url"], true, true),
            Self::Response => (&["body"], true, true),
            Self::Blob => (&["type", "body"], false, false),
            _ => (&[], false, false),
        };
        Layout {
            elements,
            properties,
            plain,
        }
    }
}

/// The progress of reading a form.
enum Progress {
    /// At the element with this index.
    Element(usize),
    /// In the object with the properties.
    Properties(Members),
    /// At the closing bracket, or at extra elements before it.
    End,
}

/// Reads a form as a map.
struct Access<'r, 's, 'de> {
    reader: &'r mut Reader<'s, 'de>,
    layout: Layout,
    progress: Progress,
    /// True if the value here is plain JSON.
    plain: bool,
    /// True if keys are returned as owned strings.
    owned: bool,
    seen: Seen<'de>,
}

impl<'de> Reader<'_, 'de> {
    /// Visits the form as a map. Its name ends at `at`, and its keys are `owned` strings or
    /// borrowed ones.
    pub(super) fn visit_fields<V: Visitor<'de>>(
        &mut self,
        form: Form,
        at: usize,
        owned: bool,
        visitor: V,
    ) -> Result<V::Value, DeError> {
        self.set_at(at);
        self.enter()?;
        let mut access = Access {
            reader: self,
            layout: form.layout(),
            progress: Progress::Element(0),
            plain: false,
            owned,
            seen: Seen::default(),
        };
        let value = visitor.visit_map(&mut access)?;
        if let Progress::Properties(members) = &mut access.progress {
            members.close(access.reader)?;
        }
        self.leave();
        self.close_array()?;
        Ok(value)
    }
}

impl<'de> Access<'_, '_, 'de> {
    fn next_key(&mut self) -> Result<Option<Cow<'de, str>>, DeError> {
        loop {
            match &mut self.progress {
                Progress::Element(number) => {
                    let name = self.layout.elements.get(*number).copied();
                    *number += 1;
                    let more = (name.is_some() || self.layout.properties)
                        && self.reader.next_item(self.reader.at())?;
                    match name {
                        _ if !more => self.progress = Progress::End,
                        // A withheld stack is null.
                        Some("stack") if self.reader.peek() != b'"' => self.reader.skip_value()?,
                        Some(name) => return Ok(Some(Cow::Borrowed(name))),
                        None => {
                            self.progress = Progress::Properties(Members::open(self.reader)?);
                        }
                    }
                }
                Progress::Properties(members) => {
                    let Some(key) = members.next(self.reader)? else {
                        members.close(self.reader)?;
                        self.progress = Progress::End;
                        return Ok(None);
                    };
                    if !self.layout.elements.contains(&&*key) {
                        self.plain = self.layout.plain && key != "body";
                        return Ok(Some(key));
                    }
                    self.reader.skip_value()?;
                }
                Progress::End => return Ok(None),
            }
        }
    }
}

impl<'de> MapAccess<'de> for Access<'_, '_, 'de> {
    type Error = DeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, DeError> {
        let Some(key) = self.next_key()? else {
            return Ok(None);
        };
        if !self.seen.insert(key.clone()) {
            self.reader.duplicate = true;
            return Err(DeError::duplicate(&key));
        }
        let key = if self.owned {
            Cow::Owned(key.into_owned())
        } else {
            key
        };
        seed.deserialize(Key(key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, DeError> {
        let before = std::mem::replace(&mut self.reader.bare, self.plain);
        let at = self.reader.at();
        let value = seed
            .deserialize(&mut *self.reader)
            .map_err(|error| error.passes(at))?;
        self.reader.bare = before;
        Ok(value)
    }
}
