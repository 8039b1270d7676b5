//! Errors in payloads.

use std::fmt;

use capnweb_wire::{Kind, Limits, Span, scan_list};
use indexmap::IndexMap;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error as _, MapAccess, Visitor},
};

use crate::{
    api::value::{Value, error_from_map},
    graph::error::Error,
    graph::payload::{Cap, Item, Payload, View, resolve, stash},
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

    /// What is left of an error where serde has read ahead, as for `flatten` and `untagged`.
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

impl Payload {
    /// The error that this is, if it is one.
    pub(crate) fn to_error(&self) -> Option<Error> {
        if let Some(Cap::Error(error)) = self.view().root_cap() {
            return Some(error.clone());
        }
        if self.kind() != Kind::Error {
            return None;
        }
        let view = self.view();
        let (mut holes, mut items) = (Vec::new(), Vec::new());
        scan_list(view.text, &Limits::default(), &mut holes, &mut items).ok()?;
        let text = |item: Option<&Span>| -> Option<String> { view.cut(*item?).decode().ok() };
        let props = items.get(4).map(|span| view.cut(*span));
        Some(Error::received(
            text(items.get(1)).unwrap_or_else(|| "Error".to_owned()),
            text(items.get(2)).unwrap_or_default(),
            text(items.get(3)),
            props.filter(|props| props.kind() == Kind::Object),
        ))
    }

    /// The error to be had when this was thrown: anything can be.
    pub(crate) fn into_thrown(self) -> Error {
        if let Some(error) = self.to_error() {
            return error;
        }
        let message = match self.decode::<String>() {
            Ok(message) => message,
            Err(_) => describe(self.view()),
        };
        Error::thrown(message, self)
    }
}

/// A value that was thrown, in words.
fn describe(view: View<'_>) -> String {
    /// Longer ones are cut.
    const SHOWN: usize = 100;
    match view.text {
        r#"["undefined"]"# => "undefined".to_owned(),
        text => text.chars().take(SHOWN).collect(),
    }
}
