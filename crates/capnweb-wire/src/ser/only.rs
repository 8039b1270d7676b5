//! Places that accept few kinds of values.

use serde::{
    Serialize, Serializer,
    ser::{Impossible, SerializeSeq, SerializeTuple, SerializeTupleStruct},
};

use crate::SerError;

/// A place that accepts few kinds of values. All others are rejected by default.
pub(super) trait Place: Sized {
    /// A sequence in this place.
    type Sequence: SerializeSeq<Ok = (), Error = SerError>
        + SerializeTuple<Ok = (), Error = SerError>
        + SerializeTupleStruct<Ok = (), Error = SerError>;

    /// The answer to types with different forms for people and machines.
    const HUMAN_READABLE: bool = true;

    /// Returns the error that states what is accepted here.
    fn refuse(self, found: &str) -> SerError;

    fn boolean(self, _: bool) -> Result<(), SerError> {
        Err(self.refuse("a boolean"))
    }

    fn integer(self, _digits: &str) -> Result<(), SerError> {
        Err(self.refuse("an integer"))
    }

    fn string(self, _: &str) -> Result<(), SerError> {
        Err(self.refuse("a string"))
    }

    fn bytes(self, _: &[u8]) -> Result<(), SerError> {
        Err(self.refuse("bytes"))
    }

    fn none(self) -> Result<(), SerError> {
        Err(self.refuse("an option"))
    }

    fn some<T: Serialize + ?Sized>(self, _: &T) -> Result<(), SerError> {
        Err(self.refuse("an option"))
    }

    fn unit(self) -> Result<(), SerError> {
        Err(self.refuse("a unit"))
    }

    fn variant(self, _: &'static str) -> Result<(), SerError> {
        Err(self.refuse("an enum"))
    }

    fn sequence(self) -> Result<Self::Sequence, SerError> {
        Err(self.refuse("a sequence"))
    }
}

/// The serializer of a [`Place`].
pub(super) struct Only<P>(pub(super) P);

macro_rules! integers {
    ($($method:ident $int:ty)*) => { $(
        fn $method(self, number: $int) -> Result<(), SerError> {
            self.0.integer(itoa::Buffer::new().format(number))
        }
    )* };
}

impl<P: Place> Serializer for Only<P> {
    type Ok = ();
    type Error = SerError;
    type SerializeSeq = P::Sequence;
    type SerializeTuple = P::Sequence;
    type SerializeTupleStruct = P::Sequence;
    type SerializeTupleVariant = Impossible<(), SerError>;
    type SerializeMap = Impossible<(), SerError>;
    type SerializeStruct = Impossible<(), SerError>;
    type SerializeStructVariant = Impossible<(), SerError>;

    fn is_human_readable(&self) -> bool {
        P::HUMAN_READABLE
    }

    fn serialize_bool(self, value: bool) -> Result<(), SerError> {
        self.0.boolean(value)
    }

    integers! {
        serialize_i8 i8
        serialize_i16 i16
        serialize_i32 i32
        serialize_i64 i64
        serialize_i128 i128
        serialize_u8 u8
        serialize_u16 u16
        serialize_u32 u32
        serialize_u64 u64
        serialize_u128 u128
    }

    fn serialize_f32(self, _: f32) -> Result<(), SerError> {
        Err(self.0.refuse("a float"))
    }

    fn serialize_f64(self, _: f64) -> Result<(), SerError> {
        Err(self.0.refuse("a float"))
    }

    fn serialize_char(self, c: char) -> Result<(), SerError> {
        self.0.string(c.encode_utf8(&mut [0; 4]))
    }

    #[inline]
    fn serialize_str(self, text: &str) -> Result<(), SerError> {
        self.0.string(text)
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<(), SerError> {
        self.0.bytes(bytes)
    }

    fn serialize_none(self) -> Result<(), SerError> {
        self.0.none()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), SerError> {
        self.0.some(value)
    }

    fn serialize_unit(self) -> Result<(), SerError> {
        self.0.unit()
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), SerError> {
        self.0.unit()
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), SerError> {
        self.0.variant(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), SerError> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), SerError> {
        Err(self.0.refuse("an enum"))
    }

    #[inline]
    fn serialize_seq(self, _: Option<usize>) -> Result<P::Sequence, SerError> {
        self.0.sequence()
    }

    #[inline]
    fn serialize_tuple(self, _: usize) -> Result<P::Sequence, SerError> {
        self.0.sequence()
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<P::Sequence, SerError> {
        self.0.sequence()
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, SerError> {
        Err(self.0.refuse("an enum"))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, SerError> {
        Err(self.0.refuse("a map"))
    }

    fn serialize_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStruct, SerError> {
        Err(self.0.refuse("a struct"))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, SerError> {
        Err(self.0.refuse("an enum"))
    }
}
