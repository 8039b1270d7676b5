//! The deserializer of a value.

use std::borrow::Cow;

use serde::{
    Deserializer,
    de::{
        Visitor,
        value::{BytesDeserializer, CowStrDeserializer, F64Deserializer, StringDeserializer},
    },
};

use super::{
    again::is_again,
    exact::Exact,
    flattened::FLATTENED,
    reader::Reader,
    start::{Form, Start},
};
use crate::{BIGINT, CAPABILITY, Container, DATE, DeError, RAW, URL, VALUE};

impl<'de> Reader<'_, 'de> {
    /// Skips `null` or the `undefined` form. Returns false if the value is neither.
    #[inline]
    fn skip_nothing(&mut self) -> Result<bool, DeError> {
        match self.peek() {
            b'n' => {
                self.skip_value()?;
                Ok(true)
            }
            b'[' => match self.start() {
                Start::Form(Form::Undefined, at) => {
                    self.set_at(at);
                    self.close_array()?;
                    Ok(true)
                }
                _ => Ok(false),
            },
            _ => Ok(false),
        }
    }

    /// Visits a newtype that requests bytes in the container `wanted`.
    fn visit_contained<V: Visitor<'de>>(
        &mut self,
        wanted: Container,
        visitor: V,
    ) -> Result<V::Value, DeError> {
        match self.start() {
            Start::Form(Form::Bytes, at) => {
                let (bytes, container) = self.read_contained_item(at)?;
                if container != wanted && !container.is_plain() {
                    return Err(DeError::mismatch(&visitor, container.name()));
                }
                visitor.visit_newtype_struct(BytesDeserializer::<DeError>::new(&bytes))
            }
            Start::Array(_) => visitor.visit_newtype_struct(self),
            _ => Err(DeError::mismatch(&visitor, self.describe())),
        }
    }

    /// Visits the list of pairs in `["headers", …]`, whose name ends at `at`.
    pub(super) fn visit_headers<V: Visitor<'de>>(
        &mut self,
        at: usize,
        visitor: V,
    ) -> Result<V::Value, DeError> {
        self.next_item(at)?;
        let bare = std::mem::replace(&mut self.bare, true);
        let value = self.visit_array(self.at(), visitor)?;
        self.bare = bare;
        self.close_array()?;
        Ok(value)
    }

    /// Visits a newtype that requests a capability.
    #[inline(never)]
    fn visit_capability<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, DeError> {
        let Start::Hole(hole) = self.start() else {
            return Err(DeError::mismatch(&visitor, self.describe()));
        };
        let token = self.take_hole(hole)?;
        visitor.visit_newtype_struct(BytesDeserializer::<DeError>::new(&token))
    }

    /// Visits a newtype that requests undecoded content.
    #[inline(never)]
    fn visit_raw<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, DeError> {
        let token = self.take_raw()?;
        visitor.visit_newtype_struct(BytesDeserializer::<DeError>::new(&token))
    }

    /// Visits the newtype with another reserved name.
    #[inline(never)]
    fn visit_reserved<V: Visitor<'de>>(
        &mut self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DeError> {
        if let Some(wanted) = Container::from_reserved_name(name) {
            return self.visit_contained(wanted, visitor);
        }
        if is_again(name) {
            return self.visit_again(visitor);
        }
        let mismatch = |reader: &Self| Err(DeError::mismatch(&visitor, reader.describe()));
        let start = self.start();
        match (name, start) {
            (VALUE, _) => visitor.visit_newtype_struct(Exact(self)),
            (DATE, Start::Form(Form::Date, at)) => {
                let millis = self.read_date_item(at)?;
                visitor.visit_newtype_struct(F64Deserializer::<DeError>::new(millis))
            }
            (BIGINT, Start::Form(Form::BigInt, at)) => {
                let digits = self.read_text_item(at)?;
                visitor.visit_newtype_struct(CowStrDeserializer::<DeError>::new(digits))
            }
            (BIGINT, Start::Number) => match self.read_number()?.digits() {
                Some(digits) => {
                    visitor.visit_newtype_struct(StringDeserializer::<DeError>::new(digits))
                }
                None => Err(DeError::mismatch(
                    &visitor,
                    "a number that is not an integer",
                )),
            },
            (URL, Start::String | Start::Form(Form::Url, _)) => visitor.visit_newtype_struct(self),
            (DATE | BIGINT | URL, _) => mismatch(self),
            _ => visitor.visit_newtype_struct(self),
        }
    }
}

macro_rules! integers {
    ($visit:ident: $($method:ident)*) => { $(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
            self.$visit(visitor)
        }
    )* };
}

impl<'de> Deserializer<'de> for &mut Reader<'_, 'de> {
    type Error = DeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        self.visit_any(visitor)
    }

    integers! {
        visit_integer: deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
               deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }

    integers! { visit_large_integer: deserialize_i128 deserialize_u128 }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        match self.start() {
            Start::Bool(value) => {
                self.skip_value()?;
                visitor.visit_bool(value)
            }
            _ => Err(DeError::mismatch(&visitor, self.describe())),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        let number = self.read_f32(&visitor)?;
        visitor.visit_f32(number)
    }

    #[inline]
    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        let number = self.read_f64(&visitor)?;
        visitor.visit_f64(number)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        self.deserialize_str(visitor)
    }

    #[inline]
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        // No hole starts with a quote.
        let text = if self.peek() == b'"' {
            self.read_string()?
        } else if let Start::Form(Form::Url, at) = self.start() {
            self.read_text_item(at)?
        } else {
            return Err(DeError::mismatch(&visitor, self.describe()));
        };
        match text {
            Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
            Cow::Owned(text) => visitor.visit_string(text),
        }
    }

    #[inline]
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        match self.start() {
            Start::Form(Form::Bytes, at) => {
                let bytes = self.read_bytes_item(at)?;
                visitor.visit_byte_buf(bytes)
            }
            Start::Array(inner) => self.visit_array(inner, visitor),
            _ => Err(DeError::mismatch(&visitor, self.describe())),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        self.deserialize_bytes(visitor)
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        if self.skip_nothing()? {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        if self.skip_nothing()? {
            visitor.visit_unit()
        } else if self.is_content() {
            // This is a variant that consists of only its tag.
            self.skip_value()?;
            visitor.visit_unit()
        } else {
            Err(DeError::mismatch(&visitor, self.describe()))
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, DeError> {
        self.deserialize_unit(visitor)
    }

    /// The compiler knows the name if it inlines this. Then a type that takes a token has no code
    /// in the program for any other value.
    #[inline(always)]
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DeError> {
        if name == RAW {
            self.visit_raw(visitor)
        } else if name == CAPABILITY {
            self.visit_capability(visitor)
        } else if name.starts_with('$') && !self.bare {
            self.visit_reserved(name, visitor)
        } else {
            visitor.visit_newtype_struct(self)
        }
    }

    #[inline]
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        match self.start() {
            Start::Array(inner) => self.visit_array(inner, visitor),
            Start::Form(Form::Bytes, at) => self.visit_contained_as_seq(at, visitor),
            Start::Form(Form::Headers, at) => self.visit_headers(at, visitor),
            _ => Err(DeError::mismatch(&visitor, self.describe())),
        }
    }

    #[inline]
    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, DeError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, DeError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        match self.start() {
            Start::Object => self.visit_map(visitor),
            Start::Form(form @ (Form::Error | Form::Request | Form::Response | Form::Blob), at) => {
                self.visit_fields(form, at, false, visitor)
            }
            _ => Err(DeError::mismatch(&visitor, self.describe())),
        }
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DeError> {
        if name == FLATTENED {
            return self.visit_flattened(fields, visitor);
        }
        // No hole starts with a brace.
        if self.peek() == b'{' {
            match fields {
                [first, second] if self.has_first_key(second) => {
                    self.visit_struct_from(first, visitor)
                }
                _ => self.visit_struct(visitor),
            }
        } else {
            self.deserialize_map(visitor)
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DeError> {
        if name.starts_with('$') {
            self.visit_part(name, variants, visitor)
        } else {
            self.visit_enum(visitor)
        }
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        match self.hole() {
            Some(hole) => self.skip_hole(hole),
            None => self.skip_value()?,
        }
        visitor.visit_unit()
    }
}
