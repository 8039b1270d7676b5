//! JavaScript's typed arrays.

use std::{
    fmt,
    marker::PhantomData,
    ops::{Deref, DerefMut},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{BadLength, Container, Restore, byte_buf::ByteBuf, is_buffered};

/// A list of numbers that JavaScript sees as a typed array: `TypedArray<f32>` as a `Float32Array`,
/// and so on.
///
/// It is sent as bytes, which is shorter and faster than a list, and exact. Deserializing accepts
/// the typed array of that name, plain bytes (`Uint8Array`, `ArrayBuffer` and so on) as the bytes
/// of the elements, and a list of numbers. In other formats it is a list, or bytes if the format is
/// not human-readable.
///
/// ```
/// # mod capnweb { pub mod typed { pub use capnweb_wire::*; } }
/// use capnweb::typed::TypedArray;
///
/// let samples = TypedArray::from(vec![1.0_f32, -0.5]);
/// assert_eq!(samples.iter().sum::<f32>(), 0.5);
///
/// // On the wire: ["bytes","AACAPwAAAL8","Float32Array"]
/// # let mut out = Vec::new();
/// # capnweb_wire::to_expr(&samples, &mut out, &mut capnweb_wire::NoCapabilities)?;
/// # assert_eq!(out, br#"["bytes","AACAPwAAAL8","Float32Array"]"#);
/// # Ok::<(), capnweb_wire::SerError>(())
/// ```
///
/// A `TypedArray<u8>` is a `Uint8Array`, like any bytes. For containers that are not arrays of
/// numbers, use [`Binary`](crate::Binary).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TypedArray<T>(pub Vec<T>);

/// A number type for the elements of a typed array.
///
/// `i64` and `u64` correspond to JavaScript's `BigInt64Array` and `BigUint64Array`.
pub trait Element: Copy + private::Bytes {
    /// The array's type.
    const CONTAINER: Container;
}

mod private {
    /// An element's bytes, little-endian.
    pub trait Bytes: Sized {
        type Array: AsRef<[u8]>;

        fn to_bytes(self) -> Self::Array;

        /// Returns the element in the first bytes of `bytes`, or `None` if there are too few.
        fn from_bytes(bytes: &[u8]) -> Option<Self>;
    }
}

macro_rules! elements {
    ($($element:ty => $container:ident),* $(,)?) => { $(
        impl Element for $element {
            const CONTAINER: Container = Container::$container;
        }

        impl private::Bytes for $element {
            type Array = [u8; size_of::<$element>()];

            #[inline]
            fn to_bytes(self) -> Self::Array {
                self.to_le_bytes()
            }

            #[inline]
            fn from_bytes(bytes: &[u8]) -> Option<Self> {
                bytes.first_chunk().map(|bytes| Self::from_le_bytes(*bytes))
            }
        }
    )* };
}

elements! {
    i8 => Int8Array,
    u8 => Uint8Array,
    i16 => Int16Array,
    u16 => Uint16Array,
    i32 => Int32Array,
    u32 => Uint32Array,
    i64 => BigInt64Array,
    u64 => BigUint64Array,
    f32 => Float32Array,
    f64 => Float64Array,
}

/// Returns the elements in `bytes`, ignoring an incomplete one at the end.
fn elements_of<T: Element>(bytes: &[u8]) -> impl Iterator<Item = T> {
    bytes.chunks_exact(size_of::<T>()).filter_map(T::from_bytes)
}

/// Returns the bytes of these elements.
pub(crate) fn bytes_of<T: Element>(elements: &[T]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size_of_val(elements));
    for element in elements {
        bytes.extend_from_slice(element.to_bytes().as_ref());
    }
    bytes
}

impl<T> TypedArray<T> {
    /// Returns the numbers.
    #[must_use]
    pub fn into_inner(self) -> Vec<T> {
        self.0
    }
}

impl<T> Deref for TypedArray<T> {
    type Target = Vec<T>;

    fn deref(&self) -> &Vec<T> {
        &self.0
    }
}

impl<T> DerefMut for TypedArray<T> {
    fn deref_mut(&mut self) -> &mut Vec<T> {
        &mut self.0
    }
}

impl<T> From<Vec<T>> for TypedArray<T> {
    fn from(elements: Vec<T>) -> Self {
        Self(elements)
    }
}

impl<T> From<TypedArray<T>> for Vec<T> {
    fn from(array: TypedArray<T>) -> Self {
        array.0
    }
}

impl<T> FromIterator<T> for TypedArray<T> {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        Self(elements.into_iter().collect())
    }
}

impl<T: Element + Serialize> Serialize for TypedArray<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(T::CONTAINER.reserved_name(), &Elements(&self.0))
    }
}

struct Elements<'a, T>(&'a [T]);

impl<T: Element + Serialize> Serialize for Elements<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.collect_seq(self.0);
        }
        serializer.serialize_bytes(&bytes_of(self.0))
    }
}

impl<'de, T: Element + Deserialize<'de>> Deserialize<'de> for TypedArray<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = T::CONTAINER.reserved_name();
        deserializer.deserialize_newtype_struct(name, Visitor(PhantomData))
    }
}

struct Visitor<T>(PhantomData<T>);

impl<'de, T: Element + Deserialize<'de>> de::Visitor<'de> for Visitor<T> {
    type Value = TypedArray<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::CONTAINER.name())
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(
        self,
        inner: D,
    ) -> Result<TypedArray<T>, D::Error> {
        if is_buffered::<D>() {
            inner.deserialize_any(Restore(self))
        } else {
            inner.deserialize_byte_buf(self)
        }
    }

    fn visit_enum<A: de::EnumAccess<'de>>(self, form: A) -> Result<TypedArray<T>, A::Error> {
        let (name, content) = form.variant::<String>()?;
        let is_plain = || Container::from_name(&name).is_some_and(Container::is_plain);
        if name != T::CONTAINER.name() && !is_plain() {
            return Err(de::Error::custom(format_args!(
                "expected {}, got {name}",
                T::CONTAINER.name()
            )));
        }
        let ByteBuf(bytes) = de::VariantAccess::newtype_variant(content)?;
        self.visit_bytes(&bytes)
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<TypedArray<T>, E> {
        BadLength::check(T::CONTAINER, bytes.len()).map_err(E::custom)?;
        Ok(elements_of(bytes).collect())
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<TypedArray<T>, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element()? {
            elements.push(element);
        }
        Ok(TypedArray(elements))
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use serde::de::DeserializeOwned;

    use super::*;
    use crate::{NoCapabilities, Source, from_expr, to_expr};

    fn write<T: Serialize>(value: &T) -> String {
        let mut out = Vec::new();
        to_expr(value, &mut out, &mut NoCapabilities).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn read<T: DeserializeOwned>(text: &str) -> Result<T, String> {
        let mut holes = Vec::new();
        crate::scan_expr(text, &crate::Limits::default(), &mut holes).unwrap();
        let source = Source {
            text,
            holes: &[],
            capabilities: &NoCapabilities,
        };
        from_expr(&source).map_err(|error| error.to_string())
    }

    fn crosses<T>(elements: Vec<T>, text: &str)
    where
        T: Element + Serialize + DeserializeOwned + PartialEq + Debug,
    {
        let array = TypedArray(elements);
        assert_eq!(write(&array), text);
        assert_eq!(read::<TypedArray<T>>(text).unwrap(), array);
        // This also works from a list, and from bytes in a plain container.
        assert_eq!(read::<TypedArray<T>>(&write(&array.0)).unwrap(), array);
        let plain = write(&serde_bytes::Bytes::new(&bytes_of(&array)));
        assert_eq!(read::<TypedArray<T>>(&plain).unwrap(), array);
        // A list that was not requested as bytes contains the elements.
        assert_eq!(read::<Vec<T>>(text).unwrap(), array.0);
        // Other formats see a list.
        let json = serde_json::to_string(&array).unwrap();
        assert_eq!(json, serde_json::to_string(&array.0).unwrap());
        assert_eq!(serde_json::from_str::<TypedArray<T>>(&json).unwrap(), array);
    }

    #[test]
    fn each_has_its_type() {
        crosses::<i8>(vec![-1, 127], r#"["bytes","/38","Int8Array"]"#);
        crosses::<u8>(vec![255, 0], r#"["bytes","/wA"]"#);
        crosses::<i16>(vec![-2, 1], r#"["bytes","/v8BAA","Int16Array"]"#);
        crosses::<u16>(vec![1, 65535], r#"["bytes","AQD//w","Uint16Array"]"#);
        crosses::<i32>(vec![-1], r#"["bytes","/////w","Int32Array"]"#);
        crosses::<u32>(vec![1], r#"["bytes","AQAAAA","Uint32Array"]"#);
        crosses::<i64>(vec![i64::MIN], r#"["bytes","AAAAAAAAAIA","BigInt64Array"]"#);
        crosses::<u64>(
            vec![u64::MAX],
            r#"["bytes","//////////8","BigUint64Array"]"#,
        );
        crosses::<f32>(vec![1.5], r#"["bytes","AADAPw","Float32Array"]"#);
        crosses::<f64>(vec![1.5], r#"["bytes","AAAAAAAA+D8","Float64Array"]"#);
        crosses::<f64>(vec![], r#"["bytes","","Float64Array"]"#);
    }

    #[test]
    fn infinities_and_nan_are_kept() {
        let array = TypedArray(vec![f64::NAN, f64::NEG_INFINITY, -0.0]);
        let read = read::<TypedArray<f64>>(&write(&array)).unwrap();
        let bits = |array: &[f64]| array.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&read), bits(&array));
    }

    #[test]
    fn other_elements_are_refused() {
        let error = read::<TypedArray<f32>>(r#"["bytes","AAAAAAAA+D8","Float64Array"]"#);
        assert_eq!(
            error.unwrap_err(),
            "expected Float32Array, got Float64Array"
        );
        let error = read::<TypedArray<u8>>(r#"["bytes","AQ","Int8Array"]"#);
        assert_eq!(error.unwrap_err(), "expected Uint8Array, got Int8Array");
        let error = read::<TypedArray<f32>>(r#"["bytes","AQ"]"#).unwrap_err();
        assert!(
            error.starts_with("1 bytes are not a valid Float32Array"),
            "{error}"
        );
        let error = read::<TypedArray<f32>>(r#""AQ""#).unwrap_err();
        assert_eq!(error, "expected Float32Array, got a string");
    }

    #[test]
    fn what_serde_has_read_ahead_is_read_all_the_same() {
        #[derive(Deserialize, Debug)]
        struct Inner {
            samples: TypedArray<f32>,
        }
        #[derive(Deserialize, Debug)]
        struct Outer {
            #[serde(flatten)]
            inner: Inner,
        }
        let outer: Outer = read(r#"{"samples":["bytes","AADAPw","Float32Array"]}"#).unwrap();
        assert_eq!(*outer.inner.samples, [1.5]);
    }
}
