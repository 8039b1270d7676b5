//! Serialization of errors.

use std::fmt;

use indexmap::IndexMap;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error as _, MapAccess, Visitor},
};

use crate::{
    api::value::{Value, error_from_map},
    graph::{
        error::Error,
        payload::{Cap, Item, Payload, resolve, stash},
    },
};

impl Serialize for Error {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        stash(
            Item::Cap(Cap::Error(self.clone())),
            capnweb_wire::CAPABILITY,
            serializer,
        )
    }
}

impl<'de> Deserialize<'de> for Error {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(capnweb_wire::RAW, ErrorVisitor)
    }
}

struct ErrorVisitor;

impl<'de> Visitor<'de> for ErrorVisitor {
    type Value = Error;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an error")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Error, D::Error> {
        inner.deserialize_any(self)
    }

    fn visit_bytes<E: serde::de::Error>(self, token: &[u8]) -> Result<Error, E> {
        let payload = match resolve(token) {
            Some(Item::Payload(payload)) => payload,
            Some(Item::Cap(cap)) => Payload::from_cap(cap),
            None => return Err(E::custom("expected an error, got bytes")),
        };
        payload
            .to_error()
            .ok_or_else(|| E::custom(format_args!("expected an error, got {:?}", payload.kind())))
    }

    /// Restores an error from its members, for the cases where serde buffers: `flatten` and
    /// `untagged`.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Error, A::Error> {
        let mut members = IndexMap::new();
        while let Some((key, value)) = map.next_entry::<String, Value>()? {
            members.insert(key, value);
        }
        match (members.get("name"), members.get("message")) {
            (Some(Value::String(_)), Some(Value::String(_))) => Ok(error_from_map(members)),
            _ => Err(A::Error::custom("expected an error, got an object")),
        }
    }
}
