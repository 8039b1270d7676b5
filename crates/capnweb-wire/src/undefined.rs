//! JavaScript's `undefined`.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{UNDEFINED, is_buffered};

/// JavaScript's `undefined`, for cases in which `null` is not suitable.
///
/// A whole result or argument `()` is `undefined` anyway, so this type is for properties and
/// elements. Deserializing accepts `undefined`, `null` and a missing property. In other formats, it
/// is a unit.
///
/// ```
/// # extern crate capnweb_wire as capnweb;
/// use capnweb::Undefined;
///
/// let list = [Undefined];
/// // On the wire: [[["undefined"]]]
/// # let mut out = Vec::new();
/// # capnweb_wire::to_expr(&list, &mut out, &mut capnweb_wire::NoCapabilities)?;
/// # assert_eq!(out, br#"[[["undefined"]]]"#);
/// # Ok::<(), capnweb_wire::SerError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Undefined;

impl Serialize for Undefined {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit_struct(UNDEFINED)
    }
}

impl<'de> Deserialize<'de> for Undefined {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Request an option, since a missing property only answers to that.
        if deserializer.is_human_readable() {
            deserializer.deserialize_option(Visitor)
        } else {
            deserializer.deserialize_unit_struct(UNDEFINED, Visitor)
        }
    }
}

struct Visitor;

impl<'de> de::Visitor<'de> for Visitor {
    type Value = Undefined;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("undefined")
    }

    fn visit_unit<E>(self) -> Result<Undefined, E> {
        Ok(Undefined)
    }

    fn visit_none<E>(self) -> Result<Undefined, E> {
        Ok(Undefined)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Undefined, D::Error> {
        if is_buffered::<D>() {
            // For a unit struct, serde's own buffer would also accept an empty object.
            deserializer.deserialize_any(self)
        } else {
            deserializer.deserialize_unit_struct(UNDEFINED, self)
        }
    }
}
