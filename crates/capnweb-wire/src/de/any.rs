//! Values for types that accept anything.

use std::borrow::Cow;

use serde::de::{Visitor, value::BytesDeserializer};

use super::{
    buffer::is_buffer,
    reader::Reader,
    start::{Form, Start},
};
use crate::DeError;

impl<'de> Reader<'_, 'de> {
    /// Visits any value as the closest plain data.
    pub(super) fn visit_any<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, DeError> {
        if is_buffer::<V>() {
            return self.visit_buffer(visitor);
        }
        self.visit_plain(self.start(), visitor)
    }

    /// Visits the value that starts here.
    pub(super) fn visit_plain<V: Visitor<'de>>(
        &mut self,
        start: Start,
        visitor: V,
    ) -> Result<V::Value, DeError> {
        match start {
            Start::Null => {
                self.skip_value()?;
                visitor.visit_unit()
            }
            Start::Bool(value) => {
                self.skip_value()?;
                visitor.visit_bool(value)
            }
            Start::Number => self.read_number()?.visit_any(visitor),
            Start::String => match self.read_string()? {
                Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
                Cow::Owned(text) => visitor.visit_string(text),
            },
            Start::Array(inner) => self.visit_array(inner, visitor),
            Start::Object => self.visit_map(visitor),
            Start::Form(form, at) => self.visit_form(form, at, visitor),
            Start::Hole(hole) => {
                let token = self.take_hole(hole)?;
                // serde's own buffer keeps a newtype as one, and types that take bytes reject it.
                visitor.visit_newtype_struct(BytesDeserializer::<DeError>::new(&token))
            }
            Start::Malformed => Err(DeError::malformed()),
        }
    }

    /// Visits the form here, whose name ends at `at`.
    pub(super) fn visit_form<V: Visitor<'de>>(
        &mut self,
        form: Form,
        at: usize,
        visitor: V,
    ) -> Result<V::Value, DeError> {
        match form {
            Form::Undefined => {
                self.set_at(at);
                self.close_array()?;
                visitor.visit_unit()
            }
            Form::Infinity | Form::NegativeInfinity | Form::Nan => {
                let number = self.read_f64(&visitor)?;
                visitor.visit_f64(number)
            }
            Form::BigInt => {
                let digits = self.read_text_item(at)?;
                if let Ok(number) = digits.parse() {
                    visitor.visit_u64(number)
                } else if let Ok(number) = digits.parse() {
                    visitor.visit_i64(number)
                } else {
                    // Do not use 128 bits: serde's buffer, and most types that accept anything,
                    // reject them.
                    visitor.visit_str(&digits)
                }
            }
            Form::Date => {
                let millis = self.read_date_item(at)?;
                visitor.visit_f64(millis)
            }
            Form::Bytes => {
                let bytes = self.read_bytes_item(at)?;
                visitor.visit_byte_buf(bytes)
            }
            Form::Url => {
                let href = self.read_text_item(at)?;
                visitor.visit_str(&href)
            }
            Form::Headers => self.visit_headers(at, visitor),
            Form::Error | Form::Request | Form::Response | Form::Blob => {
                self.visit_fields(form, at, false, visitor)
            }
        }
    }
}
