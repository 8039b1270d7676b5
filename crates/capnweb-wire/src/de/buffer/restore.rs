//! Restoring values from serde's own buffer.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserializer,
    de::{
        DeserializeSeed, EnumAccess, Error, MapAccess, SeqAccess, Unexpected, VariantAccess,
        Visitor,
        value::{
            BytesDeserializer, CowStrDeserializer, F64Deserializer, MapAccessDeserializer,
            StrDeserializer,
        },
    },
};

use super::{is_href, is_safe};
use crate::byte_buf::ByteBuf;

/// A visitor that reads a value from serde's own buffer and visits it as if it were not buffered.
///
/// It is for a deserializer that [`is_buffered`](crate::is_buffered), and a visitor that supports
/// [`VALUE`](crate::VALUE): values beyond plain data arrive as an enum.
pub struct Restore<V>(pub V);

impl<'de, V: Visitor<'de>> Visitor<'de> for Restore<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<V::Value, E> {
        self.0.visit_bool(value)
    }

    fn visit_i32<E: Error>(self, number: i32) -> Result<V::Value, E> {
        bigint(self.0, number)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<V::Value, E> {
        if number < 0 && !is_safe(number) {
            bigint(self.0, number)
        } else if is_safe(number) {
            self.0.visit_i64(number)
        } else {
            #[expect(clippy::cast_precision_loss, reason = "it was made of a double")]
            self.0.visit_f64(number as f64)
        }
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<V::Value, E> {
        bigint(self.0, number)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<V::Value, E> {
        self.0.visit_f64(number)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<V::Value, E> {
        if is_href(text) {
            form(self.0, "url", Content::<NoMap<E>>::Text(text))
        } else {
            self.0.visit_str(text)
        }
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<V::Value, E> {
        self.0.visit_borrowed_str(text)
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<V::Value, E> {
        self.0.visit_bytes(bytes)
    }

    fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<V::Value, E> {
        self.0.visit_byte_buf(bytes)
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.0.visit_unit()
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        form(self.0, "undefined", Content::<NoMap<E>>::Nothing)
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        inner.deserialize_any(Marked(self.0))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.0.visit_newtype_struct(inner)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<V::Value, A::Error> {
        self.0.visit_seq(seq)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<V::Value, A::Error> {
        let first = map.next_key_seed(KeyVisitor)?;
        let is_error = matches!(&first, Some(Key::Owned(key)) if key == "name");
        let map = Reopened { first, rest: map };
        if is_error {
            form(self.0, "error", Content::Map(map))
        } else {
            self.0.visit_map(map)
        }
    }
}

/// Visits a `bigint`.
fn bigint<'de, V: Visitor<'de>, E: Error>(
    visitor: V,
    digits: impl ToString,
) -> Result<V::Value, E> {
    let digits = digits.to_string();
    form(visitor, "bigint", Content::<NoMap<E>>::Text(&digits))
}

/// Visits a form of this name.
fn form<'de, V: Visitor<'de>, A: MapAccess<'de>>(
    visitor: V,
    name: &'static str,
    content: Content<'_, A>,
) -> Result<V::Value, A::Error> {
    visitor.visit_enum(Form { name, content })
}

/// The visitor of the content of options.
struct Marked<V>(V);

impl<'de, V: Visitor<'de>> Visitor<'de> for Marked<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        inner.deserialize_any(self)
    }

    fn visit_f64<E: Error>(self, millis: f64) -> Result<V::Value, E> {
        form(self.0, "date", Content::<NoMap<E>>::Float(millis))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<V::Value, E> {
        bigint(self.0, number)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<V::Value, E> {
        let is_integer = text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'-');
        let name = if is_integer { "bigint" } else { "url" };
        form(self.0, name, Content::<NoMap<E>>::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut pair: A) -> Result<V::Value, A::Error> {
        let missing = || A::Error::custom("bytes without a container");
        let name: String = pair.next_element()?.ok_or_else(missing)?;
        let ByteBuf(bytes) = pair.next_element()?.ok_or_else(missing)?;
        let container = crate::Container::from_name(&name)
            .ok_or_else(|| A::Error::invalid_value(Unexpected::Str(&name), &"a container"))?;
        let content = Content::<NoMap<A::Error>>::Bytes(&bytes);
        form(self.0, container.name(), content)
    }
}

/// A form as an enum. The variant has the form's name.
struct Form<'a, A> {
    name: &'static str,
    content: Content<'a, A>,
}

/// The content of a form.
enum Content<'a, A> {
    Nothing,
    Text(&'a str),
    Float(f64),
    Bytes(&'a [u8]),
    Map(A),
}

impl<'de, A: MapAccess<'de>> EnumAccess<'de> for Form<'_, A> {
    type Error = A::Error;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self), A::Error> {
        let name = seed.deserialize(StrDeserializer::new(self.name))?;
        Ok((name, self))
    }
}

impl<'de, A: MapAccess<'de>> Form<'_, A> {
    fn mismatch<T>(&self, expected: &'static str) -> Result<T, A::Error> {
        Err(A::Error::custom(format_args!(
            "expected {expected}, got {}",
            self.name
        )))
    }
}

impl<'de, A: MapAccess<'de>> VariantAccess<'de> for Form<'_, A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        match self.content {
            Content::Nothing => Ok(()),
            _ => self.mismatch("undefined"),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, A::Error> {
        match self.content {
            Content::Nothing => self.mismatch("a value"),
            Content::Text(text) => seed.deserialize(CowStrDeserializer::new(text.into())),
            Content::Float(number) => seed.deserialize(F64Deserializer::new(number)),
            Content::Bytes(bytes) => seed.deserialize(BytesDeserializer::new(bytes)),
            Content::Map(map) => seed.deserialize(MapAccessDeserializer::new(map)),
        }
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, A::Error> {
        self.mismatch("an array")
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        match self.content {
            Content::Map(map) => visitor.visit_map(map),
            _ => self.mismatch("an object"),
        }
    }
}

/// A key, and whether it was borrowed.
enum Key<'de> {
    Borrowed(&'de str),
    Owned(String),
}

struct KeyVisitor;

impl<'de> DeserializeSeed<'de> for KeyVisitor {
    type Value = Key<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key<'de>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for KeyVisitor {
    type Value = Key<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E: Error>(self, key: &'de str) -> Result<Key<'de>, E> {
        Ok(Key::Borrowed(key))
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Key<'de>, E> {
        Ok(Key::Owned(key.to_owned()))
    }

    fn visit_string<E: Error>(self, key: String) -> Result<Key<'de>, E> {
        Ok(Key::Owned(key))
    }
}

/// A map whose first key was read.
struct Reopened<'de, A> {
    first: Option<Key<'de>>,
    rest: A,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Reopened<'de, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        let key = match self.first.take() {
            None => return self.rest.next_key_seed(seed),
            Some(Key::Borrowed(key)) => CowStrDeserializer::new(key.into()),
            Some(Key::Owned(key)) => CowStrDeserializer::new(key.into()),
        };
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, A::Error> {
        self.rest.next_value_seed(seed)
    }
}

/// The map of forms that hold none.
struct NoMap<E>(std::convert::Infallible, PhantomData<E>);

impl<'de, E: Error> MapAccess<'de> for NoMap<E> {
    type Error = E;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, _: K) -> Result<Option<K::Value>, E> {
        match self.0 {}
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, _: T) -> Result<T::Value, E> {
        match self.0 {}
    }
}
