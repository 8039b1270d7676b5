//! Reading and writing forms.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{
        EnumAccess, Error as _, MapAccess, SeqAccess, VariantAccess, Visitor,
        value::{MapAccessDeserializer, SeqAccessDeserializer},
    },
};

use crate::{
    graph::error::Result,
    graph::payload::{Draft, Item, stash},
};

/// A form `["name", …]` that is written item by item.
pub(super) struct Form(Draft);

impl Form {
    pub(super) fn new(name: &str) -> Self {
        let mut draft = Draft::default();
        draft.text.push(b'[');
        capnweb_wire::write_string(&mut draft.text, name);
        Self(draft)
    }

    /// Returns the place for the next item.
    pub(super) fn item(&mut self) -> &mut Self {
        self.0.text.push(b',');
        self
    }

    pub(super) fn raw(&mut self, text: &str) -> &mut Self {
        self.0.text.extend_from_slice(text.as_bytes());
        self
    }

    pub(super) fn string(&mut self, text: &str) -> &mut Self {
        capnweb_wire::write_string(&mut self.0.text, text);
        self
    }

    /// Appends an expression.
    pub(super) fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.0.write_expr(value)
    }

    /// Passes the form to serde.
    pub(super) fn stash<S: Serializer>(mut self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.text.push(b']');
        let payload = self.0.take_payload();
        stash(Item::Payload(payload), capnweb_wire::RAW, serializer)
    }
}

/// An object `{"key": …}` that is written member by member: the options of a form.
#[derive(Default)]
pub(super) struct Members {
    any: bool,
}

impl Members {
    /// Returns the place for the value of the next member.
    pub(super) fn key<'a>(&mut self, form: &'a mut Form, key: &str) -> &'a mut Form {
        form.raw(if self.any { "," } else { "{" })
            .string(key)
            .raw(":");
        self.any = true;
        form
    }

    pub(super) fn close(&mut self, form: &mut Form) {
        form.raw(if self.any { "}" } else { "{}" });
    }
}

pub(super) fn written<E: serde::ser::Error>(result: Result<()>) -> Result<(), E> {
    result.map_err(|error| E::custom(error.message()))
}

/// Reads the form `name`. If serde has buffered it, reads its contents.
pub(super) fn read<'de, T, D>(name: &'static str, deserializer: D) -> Result<T, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    deserializer.deserialize_newtype_struct(
        capnweb_wire::VALUE,
        FormVisitor {
            name,
            marker: PhantomData,
        },
    )
}

struct FormVisitor<T> {
    name: &'static str,
    marker: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for FormVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<T, D::Error> {
        inner.deserialize_any(self)
    }

    fn visit_enum<A: EnumAccess<'de>>(self, form: A) -> Result<T, A::Error> {
        let (found, content) = form.variant::<String>()?;
        if found != self.name {
            let wanted = self.name;
            return Err(A::Error::custom(format_args!(
                "expected {wanted}, got {found}"
            )));
        }
        content.newtype_variant()
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<T, A::Error> {
        T::deserialize(SeqAccessDeserializer::new(seq))
    }
}
