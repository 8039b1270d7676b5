//! Serialization of payloads.

use std::fmt;

use capnweb_wire::{Restore, is_buffered};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{EnumAccess, MapAccess, SeqAccess, Visitor},
};

use crate::{
    api::value::ValueVisitor,
    graph::payload::{Item, Payload, resolve, stash},
};

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        stash(Item::Payload(self.clone()), capnweb_wire::RAW, serializer)
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(capnweb_wire::RAW, PayloadVisitor)
    }
}

/// Takes content undecoded when our own deserializer asks. Where serde has buffered it, as for
/// `flatten` and `untagged`, the content is already decoded and is encoded again.
pub(crate) struct PayloadVisitor;

fn encode<T: Serialize + ?Sized, E: serde::de::Error>(value: &T) -> Result<Payload, E> {
    Payload::encode(value).map_err(E::custom)
}

impl<'de> Visitor<'de> for PayloadVisitor {
    type Value = Payload;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Payload, D::Error> {
        if is_buffered::<D>() {
            inner.deserialize_any(Restore(self))
        } else {
            inner.deserialize_any(self)
        }
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Payload, E> {
        match resolve(bytes) {
            Some(Item::Payload(payload)) => Ok(payload),
            Some(Item::Cap(cap)) => Ok(Payload::from_cap(cap)),
            None => encode(&ByteString(bytes)),
        }
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Payload, E> {
        encode(&value)
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Payload, E> {
        encode(&value)
    }

    fn visit_i128<E: serde::de::Error>(self, value: i128) -> Result<Payload, E> {
        encode(&value)
    }

    fn visit_u128<E: serde::de::Error>(self, value: u128) -> Result<Payload, E> {
        encode(&value)
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Payload, E> {
        encode(&value)
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Payload, E> {
        encode(&value)
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Payload, E> {
        encode(value)
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Payload, E> {
        encode(&None::<()>)
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<Payload, E> {
        encode(&None::<()>)
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Payload, D::Error> {
        inner.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Payload, A::Error> {
        encode(&ValueVisitor.visit_seq(seq)?)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Payload, A::Error> {
        encode(&ValueVisitor.visit_map(map)?)
    }

    fn visit_enum<A: EnumAccess<'de>>(self, form: A) -> Result<Payload, A::Error> {
        encode(&ValueVisitor.visit_enum(form)?)
    }
}

/// Bytes, as opposed to a list of numbers.
struct ByteString<'a>(&'a [u8]);

impl Serialize for ByteString<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_headers_are_payloads() {
        let headers = Payload::from_text(r#"["headers",[["a","b"],["c","\u0064"]]]"#);
        let pairs: Vec<Payload> = headers.decode().unwrap();
        let pair: (String, String) = pairs[1].decode().unwrap();
        assert_eq!((pairs.len(), pair), (2, ("c".into(), "d".into())));
        let pairs: Vec<(Payload, String)> = headers.decode().unwrap();
        assert_eq!(pairs[0].0.decode::<String>().unwrap(), "a");
        assert_eq!(pairs[1].1, "d");
    }
}
