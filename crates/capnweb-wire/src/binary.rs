//! Bytes in any JavaScript container.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{
    Container, Restore, VALUE,
    byte_buf::ByteBuf,
    is_buffered,
    typed_array::{Element, TypedArray, bytes_of},
};

/// Bytes with their JavaScript container: an `ArrayBuffer`, a `DataView`, or a typed array of any
/// kind.
///
/// Use it to accept or return any container. Plain bytes (`Uint8Array`) need no type of this crate:
/// use `serde_bytes` or the like. For numbers, use [`TypedArray`](crate::TypedArray).
///
/// Other formats write and read only the bytes.
///
/// ```
/// # mod capnweb { pub mod typed { pub use capnweb_wire::*; } }
/// use capnweb::typed::{Binary, Container};
///
/// let buffer = Binary::new(Container::ArrayBuffer, vec![1, 2, 3])?;
/// // On the wire: ["bytes","AQID","ArrayBuffer"]
/// # let mut out = Vec::new();
/// # capnweb_wire::to_expr(&buffer, &mut out, &mut capnweb_wire::NoCapabilities).unwrap();
/// # assert_eq!(out, br#"["bytes","AQID","ArrayBuffer"]"#);
///
/// assert!(Binary::new(Container::Float32Array, vec![1, 2, 3]).is_err());
/// # Ok::<(), capnweb_wire::BadLength>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Binary {
    container: Container,
    bytes: Vec<u8>,
}

/// The error for a number of bytes that is not a multiple of the element size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{length} bytes are not a valid {}: their number must be a multiple of {}", container.name(), container.element_size())]
pub struct BadLength {
    container: Container,
    length: usize,
}

impl BadLength {
    /// Checks that `container` can hold `length` bytes.
    pub(crate) fn check(container: Container, length: usize) -> Result<(), Self> {
        if length.is_multiple_of(container.element_size()) {
            Ok(())
        } else {
            Err(Self { container, length })
        }
    }
}

impl Binary {
    /// Creates bytes in a container. Elements of more than a byte are little-endian.
    ///
    /// # Errors
    ///
    /// Returns an error if the number of bytes is not a multiple of the element size.
    pub fn new(container: Container, bytes: impl Into<Vec<u8>>) -> Result<Self, BadLength> {
        let bytes = bytes.into();
        BadLength::check(container, bytes.len())?;
        Ok(Self { container, bytes })
    }

    /// Returns the container of the bytes.
    #[must_use]
    pub fn container(&self) -> Container {
        self.container
    }

    /// Returns the bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the bytes without their container.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl<T: Element> From<TypedArray<T>> for Binary {
    fn from(array: TypedArray<T>) -> Self {
        Self {
            container: T::CONTAINER,
            bytes: bytes_of(&array),
        }
    }
}

impl Serialize for Binary {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(self.container.reserved_name(), &Raw(&self.bytes))
    }
}

/// Bytes that are written as bytes.
struct Raw<'a>(&'a [u8]);

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'de> Deserialize<'de> for Binary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(VALUE, Visitor)
    }
}

struct Visitor;

impl<'de> de::Visitor<'de> for Visitor {
    type Value = Binary;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Binary, D::Error> {
        if is_buffered::<D>() {
            inner.deserialize_any(Restore(self))
        } else if inner.is_human_readable() {
            inner.deserialize_any(self)
        } else {
            inner.deserialize_byte_buf(self)
        }
    }

    fn visit_enum<A: de::EnumAccess<'de>>(self, form: A) -> Result<Binary, A::Error> {
        let (name, content) = form.variant::<String>()?;
        let container = match name.as_str() {
            "bytes" => Container::Uint8Array,
            name => Container::from_name(name)
                .ok_or_else(|| de::Error::custom(format_args!("expected bytes, got {name}")))?,
        };
        let ByteBuf(bytes) = de::VariantAccess::newtype_variant(content)?;
        Binary::new(container, bytes).map_err(de::Error::custom)
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Binary, E> {
        self.visit_byte_buf(bytes.to_vec())
    }

    fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Binary, E> {
        Ok(Binary {
            container: Container::Uint8Array,
            bytes,
        })
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Binary, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = seq.next_element()? {
            bytes.push(byte);
        }
        self.visit_byte_buf(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NoCapabilities, Source, from_expr, to_expr};

    fn write(value: &Binary) -> String {
        let mut out = Vec::new();
        to_expr(value, &mut out, &mut NoCapabilities).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn read(text: &str) -> Result<Binary, String> {
        let source = Source {
            text,
            holes: &[],
            capabilities: &NoCapabilities,
        };
        from_expr(&source).map_err(|error| error.to_string())
    }

    #[test]
    fn every_container_comes_and_goes() {
        for container in Container::ALL {
            let binary = Binary::new(container, [1; 16]).unwrap();
            let text = write(&binary);
            assert_eq!(
                text.contains(container.name()),
                container != Container::Uint8Array,
                "{text}"
            );
            assert_eq!(read(&text).unwrap(), binary);
            let json = serde_json::to_string(&binary).unwrap();
            let bytes: Binary = serde_json::from_str(&json).unwrap();
            assert_eq!(bytes.as_bytes(), [1; 16], "{json}");
        }
        let marked = read(r#"["bytes","AQ","Uint8Array"]"#).unwrap();
        assert_eq!(marked.container(), Container::Uint8Array);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let error = Binary::new(Container::Int16Array, [1]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "1 bytes are not a valid Int16Array: their number must be a multiple of 2"
        );
        assert_eq!(read("[[1,2]]").unwrap().into_bytes(), [1, 2]);
        assert_eq!(
            read(r#"["date",1]"#).unwrap_err(),
            "expected bytes, got date"
        );
        assert!(read(r#""AQ""#).unwrap_err().contains("expected bytes"));
    }
}
