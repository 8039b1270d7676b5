//! JavaScript's container types for bytes.

/// The type in `["bytes", base64, type]`: the JavaScript container of the bytes. Without it, the
/// container is a `Uint8Array`.
///
/// Elements of more than a byte are little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are JavaScript's")]
#[non_exhaustive]
pub enum Container {
    ArrayBuffer,
    DataView,
    Int8Array,
    Uint8Array,
    Uint8ClampedArray,
    Int16Array,
    Uint16Array,
    Int32Array,
    Uint32Array,
    BigInt64Array,
    BigUint64Array,
    Float32Array,
    Float64Array,
}

impl Container {
    pub(crate) const ALL: [Self; 13] = [
        Self::ArrayBuffer,
        Self::DataView,
        Self::Int8Array,
        Self::Uint8Array,
        Self::Uint8ClampedArray,
        Self::Int16Array,
        Self::Uint16Array,
        Self::Int32Array,
        Self::Uint32Array,
        Self::BigInt64Array,
        Self::BigUint64Array,
        Self::Float32Array,
        Self::Float64Array,
    ];

    /// Returns the container with this name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|container| container.name() == name)
    }

    /// Returns the type's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ArrayBuffer => "ArrayBuffer",
            Self::DataView => "DataView",
            Self::Int8Array => "Int8Array",
            Self::Uint8Array => "Uint8Array",
            Self::Uint8ClampedArray => "Uint8ClampedArray",
            Self::Int16Array => "Int16Array",
            Self::Uint16Array => "Uint16Array",
            Self::Int32Array => "Int32Array",
            Self::Uint32Array => "Uint32Array",
            Self::BigInt64Array => "BigInt64Array",
            Self::BigUint64Array => "BigUint64Array",
            Self::Float32Array => "Float32Array",
            Self::Float64Array => "Float64Array",
        }
    }

    /// Returns the name of the newtype around bytes that tells this crate's serializer and
    /// deserializer to use this container. See [`CAPABILITY`](crate::CAPABILITY) for such names.
    ///
    /// A deserializer yields bytes for it or, if the peer has sent an array, a sequence. It rejects
    /// containers of other elements, except for those of plain bytes.
    #[must_use]
    pub fn reserved_name(self) -> &'static str {
        match self {
            Self::ArrayBuffer => "$capnweb::ArrayBuffer",
            Self::DataView => "$capnweb::DataView",
            Self::Int8Array => "$capnweb::Int8Array",
            Self::Uint8Array => "$capnweb::Uint8Array",
            Self::Uint8ClampedArray => "$capnweb::Uint8ClampedArray",
            Self::Int16Array => "$capnweb::Int16Array",
            Self::Uint16Array => "$capnweb::Uint16Array",
            Self::Int32Array => "$capnweb::Int32Array",
            Self::Uint32Array => "$capnweb::Uint32Array",
            Self::BigInt64Array => "$capnweb::BigInt64Array",
            Self::BigUint64Array => "$capnweb::BigUint64Array",
            Self::Float32Array => "$capnweb::Float32Array",
            Self::Float64Array => "$capnweb::Float64Array",
        }
    }

    /// Returns the container for such a name.
    pub(crate) fn from_reserved_name(name: &str) -> Option<Self> {
        Self::from_name(name.strip_prefix("$capnweb::")?)
    }

    /// Returns whether its elements are plain bytes.
    pub(crate) fn is_plain(self) -> bool {
        matches!(
            self,
            Self::ArrayBuffer | Self::DataView | Self::Uint8Array | Self::Uint8ClampedArray
        )
    }

    /// Returns the size of an element in bytes. The number of bytes must be a multiple of it.
    #[must_use]
    pub fn element_size(self) -> usize {
        match self {
            Self::ArrayBuffer
            | Self::DataView
            | Self::Int8Array
            | Self::Uint8Array
            | Self::Uint8ClampedArray => 1,
            Self::Int16Array | Self::Uint16Array => 2,
            Self::Int32Array | Self::Uint32Array | Self::Float32Array => 4,
            Self::BigInt64Array | Self::BigUint64Array | Self::Float64Array => 8,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for container in Container::ALL {
            assert_eq!(Container::from_name(container.name()), Some(container));
            let reserved = container.reserved_name();
            assert_eq!(Container::from_reserved_name(reserved), Some(container));
        }
        assert_eq!(Container::from_name("Array"), None);
        assert_eq!(Container::from_name(""), None);
        assert_eq!(Container::from_reserved_name("Int8Array"), None);
        assert_eq!(Container::from_reserved_name(crate::DATE), None);
    }
}
