//! The serializer of a value.

use std::fmt::{self, Display};

use serde::{Serialize, Serializer};

use super::{compound::Compound, only::Only, special::Special, writer::Writer};
use crate::{
    Container, OPTIONAL, SerError, UNDEFINED,
    write::{write_f32, write_f64, write_i64, write_integer, write_string, write_string_content},
};

const UNDEFINED_FORM: &[u8] = br#"["undefined"]"#;

/// Writes one value.
pub(super) struct Value<'w, 'a> {
    pub(super) writer: &'w mut Writer<'a>,
    pub(super) place: PlaceKind,
}

/// The surroundings of a value, which determine the forms of `()` and `None`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum PlaceKind {
    /// The value is inside another one. `()` and `None` are `null`.
    Inside,
    /// The value is a whole result or argument. `()` is `undefined`.
    Whole,
    /// The value is an argument that can be omitted. `None` is `undefined` too.
    Optional,
}

impl<'w, 'a> Value<'w, 'a> {
    fn compound(self, open: &'static [u8], close: &'static [u8]) -> Compound<'w, 'a> {
        self.writer.put(open);
        Compound::new(self.writer, close)
    }

    /// Opens `{"Variant":`.
    fn variant(&mut self, name: &str) -> Result<(), SerError> {
        self.writer.out.push(b'{');
        write_string(self.writer.out, name);
        self.writer.out.push(b':');
        self.writer.enter()
    }
}

/// Implements the integer types whose numbers all fit into a double.
macro_rules! small_integers {
    ($($method:ident $int:ty)*) => { $(
        #[inline]
        fn $method(self, number: $int) -> Result<(), SerError> {
            write_i64(self.writer.out, number.into());
            Ok(())
        }
    )* };
}

macro_rules! large_integers {
    ($($method:ident $int:ty)*) => { $(
        #[inline]
        fn $method(self, number: $int) -> Result<(), SerError> {
            write_integer(self.writer.out, number);
            Ok(())
        }
    )* };
}

impl<'w, 'a> Serializer for Value<'w, 'a> {
    type Ok = ();
    type Error = SerError;
    type SerializeSeq = Compound<'w, 'a>;
    type SerializeTuple = Compound<'w, 'a>;
    type SerializeTupleStruct = Compound<'w, 'a>;
    type SerializeTupleVariant = Compound<'w, 'a>;
    type SerializeMap = Compound<'w, 'a>;
    type SerializeStruct = Compound<'w, 'a>;
    type SerializeStructVariant = Compound<'w, 'a>;

    fn serialize_bool(self, value: bool) -> Result<(), SerError> {
        self.writer.put(if value { b"true" } else { b"false" });
        Ok(())
    }

    small_integers! {
        serialize_i8 i8
        serialize_i16 i16
        serialize_i32 i32
        serialize_u8 u8
        serialize_u16 u16
        serialize_u32 u32
    }

    large_integers! {
        serialize_i64 i64
        serialize_i128 i128
        serialize_u64 u64
        serialize_u128 u128
    }

    fn serialize_f32(self, number: f32) -> Result<(), SerError> {
        write_f32(self.writer.out, number);
        Ok(())
    }

    #[inline]
    fn serialize_f64(self, number: f64) -> Result<(), SerError> {
        write_f64(self.writer.out, number);
        Ok(())
    }

    fn serialize_char(self, c: char) -> Result<(), SerError> {
        self.serialize_str(c.encode_utf8(&mut [0; 4]))
    }

    #[inline]
    fn serialize_str(self, text: &str) -> Result<(), SerError> {
        self.writer.check(text.len())?;
        write_string(self.writer.out, text);
        Ok(())
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<(), SerError> {
        self.writer.out.push(b'"');
        fmt::write(&mut StringContent(self.writer.out), format_args!("{value}"))
            .map_err(|_| SerError::custom("the value's Display implementation failed"))?;
        self.writer.out.push(b'"');
        Ok(())
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<(), SerError> {
        self.writer.bytes(bytes, Container::Uint8Array)
    }

    fn serialize_none(self) -> Result<(), SerError> {
        let is_left_out = self.place == PlaceKind::Optional;
        self.writer
            .put(if is_left_out { UNDEFINED_FORM } else { b"null" });
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), SerError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), SerError> {
        let is_inside = self.place == PlaceKind::Inside;
        self.writer
            .put(if is_inside { b"null" } else { UNDEFINED_FORM });
        Ok(())
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<(), SerError> {
        let place = match self.place {
            PlaceKind::Inside if name == UNDEFINED => PlaceKind::Whole,
            place => place,
        };
        Value { place, ..self }.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), SerError> {
        self.serialize_str(variant)
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), SerError> {
        match Special::named(name, self.writer) {
            Ok(special) => value.serialize(Only(special)),
            Err(writer) => value.serialize(Value {
                writer,
                place: match self.place {
                    PlaceKind::Whole if name == OPTIONAL => PlaceKind::Optional,
                    place => place,
                },
            }),
        }
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), SerError> {
        self.variant(variant)?;
        value.serialize(Value {
            writer: self.writer,
            place: PlaceKind::Inside,
        })?;
        self.writer.leave();
        self.writer.out.push(b'}');
        Ok(())
    }

    #[inline]
    fn serialize_seq(self, _: Option<usize>) -> Result<Compound<'w, 'a>, SerError> {
        Ok(self.compound(b"[[", b"]]"))
    }

    #[inline]
    fn serialize_tuple(self, _: usize) -> Result<Compound<'w, 'a>, SerError> {
        Ok(self.compound(b"[[", b"]]"))
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Compound<'w, 'a>, SerError> {
        Ok(self.compound(b"[[", b"]]"))
    }

    fn serialize_tuple_variant(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Compound<'w, 'a>, SerError> {
        self.variant(variant)?;
        Ok(self.compound(b"[[", b"]]").in_variant())
    }

    #[inline]
    fn serialize_map(self, _: Option<usize>) -> Result<Compound<'w, 'a>, SerError> {
        Ok(self.compound(b"{", b"}"))
    }

    #[inline]
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Compound<'w, 'a>, SerError> {
        Ok(self.compound(b"{", b"}"))
    }

    fn serialize_struct_variant(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Compound<'w, 'a>, SerError> {
        self.variant(variant)?;
        Ok(self.compound(b"{", b"}").in_variant())
    }
}

/// The inside of a string literal.
struct StringContent<'a>(&'a mut Vec<u8>);

impl fmt::Write for StringContent<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        write_string_content(self.0, text);
        Ok(())
    }
}
