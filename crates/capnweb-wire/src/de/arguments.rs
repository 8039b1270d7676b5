//! The arguments of a call: a bare array.

use memchr::memchr;
use serde::{Deserialize, Deserializer, de::Visitor, forward_to_deserialize_any};

use super::{
    place::path_of_expr,
    reader::{self, Reader},
    rereads::Rereads,
};
use crate::{CapabilitySource, DeError, Span, lex};

/// Reads a bare array of arguments as a whole.
pub(super) struct Arguments<'r, 's, 'de> {
    pub(super) reader: &'r mut Reader<'s, 'de>,
}

impl<'de> Arguments<'_, '_, 'de> {
    /// Visits at least `at_least` arguments. Missing ones are `undefined`.
    #[inline]
    fn visit<V: Visitor<'de>>(self, at_least: usize, visitor: V) -> Result<V::Value, DeError> {
        let args = self.reader.visit_elements(at_least, visitor)?;
        if self.reader.next_token() != b']' {
            self.skip_rest()?;
        } else {
            self.reader.set_at(self.reader.at() + 1);
        }
        Ok(args)
    }

    /// Skips arguments that were not requested.
    #[cold]
    fn skip_rest(self) -> Result<(), DeError> {
        // There is no comma before the first one.
        if self.reader.peek() != b',' {
            self.reader.skip_value()?;
        }
        self.reader.close_array()
    }
}

impl<'de> Deserializer<'de> for Arguments<'_, '_, 'de> {
    type Error = DeError;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        self.visit(0, visitor)
    }

    #[inline]
    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, DeError> {
        self.visit(length, visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, DeError> {
        self.visit(length, visitor)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        self.reader.skip_value()?;
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, DeError> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, DeError> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf seq map struct enum
        identifier
    }
}

/// Deserializes the arguments of a call one after another.
///
/// ```
/// use capnweb_wire::{ArgsReader, NoCapabilities};
///
/// let mut args = ArgsReader::new(r#"["Ann",7]"#, &[]);
/// assert_eq!(args.next::<&str>(&NoCapabilities)?, "Ann");
/// assert_eq!(args.next::<u8>(&NoCapabilities)?, 7);
/// assert_eq!(args.next::<Option<u8>>(&NoCapabilities)?, None);
/// # Ok::<(), capnweb_wire::DeError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ArgsReader<'a> {
    text: &'a str,
    holes: &'a [Span],
    /// The position after the bracket or comma before the next argument, or `None` after the last
    /// one.
    at: Option<usize>,
}

impl<'a> ArgsReader<'a> {
    /// Creates a reader for `text`, a bare array of expressions, with capabilities at `holes`, in
    /// ascending order.
    #[must_use]
    #[inline]
    pub fn new(text: &'a str, holes: &'a [Span]) -> Self {
        let at = lex::skip_ws(text.as_bytes(), 0);
        let mut reader = Self {
            text,
            holes,
            at: None,
        };
        if text.as_bytes().get(at) == Some(&b'[') {
            reader.settle(at + 1, true);
        }
        reader
    }

    /// Returns the next argument, or `undefined` after the last one.
    ///
    /// # Errors
    ///
    /// Returns an error if the argument is not of type `T`. The reader then continues with the
    /// following argument.
    #[inline]
    pub fn next<T: Deserialize<'a>>(
        &mut self,
        capabilities: &dyn CapabilitySource,
    ) -> Result<T, DeError> {
        let Some(at) = self.at else {
            let rereads = Rereads::of(self.text);
            let at = self.text.len();
            return Reader::new(self.text, at, self.holes, capabilities, &rereads)
                .read_missing(|missing| T::deserialize(missing));
        };
        let read = reader::read(self.text, at, self.holes, capabilities, |reader| {
            let value = T::deserialize(&mut *reader)?;
            Ok((value, reader.at()))
        });
        match read {
            Ok((value, end)) => {
                self.settle(end, false);
                Ok(value)
            }
            Err(error) => {
                self.next_span();
                Err(error.located(|place| path_of_expr(self.text, at, place)))
            }
        }
    }

    /// Skips the next argument and returns its span, if it looks like bytes in the form that
    /// [`read_form`](crate::read_form) reads. It may turn out not to be bytes: finding it takes
    /// less time than a string with arbitrary content would.
    pub fn next_form(&mut self) -> Option<Span> {
        let start = self.at?;
        let digits = start + r#"["bytes",""#.len();
        let form = self.text.get(start..)?;
        let rest = form.strip_prefix(r#"["bytes",""#)?.as_bytes();
        let len = memchr(b'"', rest)?;
        let end = match rest.get(len..)? {
            [b'"', b']', ..] => digits + len + 2,
            _ => return None,
        };
        self.settle(end, false);
        Some(Span {
            start: u32::try_from(start).ok()?,
            end: u32::try_from(end).ok()?,
        })
    }

    /// Skips the next argument and returns the index of its hole, if it is one.
    pub fn next_hole(&mut self) -> Option<usize> {
        let at = u32::try_from(self.at?).ok()?;
        let number = self.holes.binary_search_by_key(&at, |hole| hole.start);
        let number = number.ok()?;
        self.settle(self.holes.get(number)?.end as usize, false);
        Some(number)
    }

    /// Skips the next argument and returns its span, or `None` after the last one.
    pub fn next_span(&mut self) -> Option<Span> {
        let start = self.at?;
        let Some(end) = lex::skip_value(self.text.as_bytes(), start) else {
            self.at = None;
            return None;
        };
        self.settle(end, false);
        Some(Span {
            start: u32::try_from(start).ok()?,
            end: u32::try_from(end).ok()?,
        })
    }

    /// Finds the next argument, after the previous one or, for the `first`, after the opening
    /// bracket.
    #[inline]
    fn settle(&mut self, at: usize, first: bool) {
        let bytes = self.text.as_bytes();
        let mut at = lex::skip_ws(bytes, at);
        if !first {
            if bytes.get(at) != Some(&b',') {
                self.at = None;
                return;
            }
            at = lex::skip_ws(bytes, at + 1);
        }
        self.at = bytes
            .get(at)
            .is_some_and(|&byte| byte != b']')
            .then_some(at);
    }
}
