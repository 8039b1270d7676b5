//! Typed arrays as sequences of their elements.

use serde::de::{IntoDeserializer, Visitor, value::SeqDeserializer};

use super::reader::Reader;
use crate::{
    Container, DeError,
    typed_array::{Element, elements_of},
};

impl<'de> Reader<'_, 'de> {
    /// Visits the elements of the bytes form whose name ends at `at`.
    pub(super) fn visit_contained_as_seq<V: Visitor<'de>>(
        &mut self,
        at: usize,
        visitor: V,
    ) -> Result<V::Value, DeError> {
        let (bytes, container) = self.read_contained_item(at)?;
        match container {
            Container::ArrayBuffer
            | Container::DataView
            | Container::Uint8Array
            | Container::Uint8ClampedArray => visit::<u8, V>(&bytes, visitor),
            Container::Int8Array => visit::<i8, V>(&bytes, visitor),
            Container::Int16Array => visit::<i16, V>(&bytes, visitor),
            Container::Uint16Array => visit::<u16, V>(&bytes, visitor),
            Container::Int32Array => visit::<i32, V>(&bytes, visitor),
            Container::Uint32Array => visit::<u32, V>(&bytes, visitor),
            Container::BigInt64Array => visit::<i64, V>(&bytes, visitor),
            Container::BigUint64Array => visit::<u64, V>(&bytes, visitor),
            Container::Float32Array => visit::<f32, V>(&bytes, visitor),
            Container::Float64Array => visit::<f64, V>(&bytes, visitor),
        }
    }
}

fn visit<'de, T, V>(bytes: &[u8], visitor: V) -> Result<V::Value, DeError>
where
    T: Element + IntoDeserializer<'de, DeError>,
    V: Visitor<'de>,
{
    let mut elements = SeqDeserializer::<_, DeError>::new(elements_of::<T>(bytes));
    let value = visitor.visit_seq(&mut elements)?;
    elements.end()?;
    Ok(value)
}
