//! Arrays and objects that are being written.

use serde::{Serialize, ser};

use super::{
    key::Key,
    only::Only,
    value::{PlaceKind, Value},
    writer::Writer,
};
use crate::{SerError, write::write_string};

/// An open array or object.
pub(super) struct Compound<'w, 'a> {
    writer: &'w mut Writer<'a>,
    close: &'static [u8],
    empty: bool,
    /// The surroundings of the elements.
    place: PlaceKind,
    /// True if the object of an enum variant is closed as well.
    in_variant: bool,
}

impl<'w, 'a> Compound<'w, 'a> {
    /// Creates a compound whose opening text has been written.
    pub(super) fn new(writer: &'w mut Writer<'a>, close: &'static [u8]) -> Self {
        Self {
            writer,
            close,
            empty: true,
            place: PlaceKind::Inside,
            in_variant: false,
        }
    }

    /// Returns the same compound as the list of a call's arguments.
    pub(super) fn of_arguments(self) -> Self {
        Self {
            place: PlaceKind::Whole,
            ..self
        }
    }

    /// Returns the same compound as the content of an enum variant, within an object.
    pub(super) fn in_variant(self) -> Self {
        Self {
            in_variant: true,
            ..self
        }
    }

    /// Starts another element or property. The first one enters a level, so an empty container has
    /// none.
    #[inline]
    fn next(&mut self) -> Result<(), SerError> {
        if self.empty {
            self.empty = false;
            self.writer.enter()
        } else {
            self.writer.out.push(b',');
            self.writer.check(0)
        }
    }

    #[inline]
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), SerError> {
        self.next()?;
        value.serialize(Value {
            writer: self.writer,
            place: self.place,
        })
    }

    #[inline]
    fn property<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), SerError> {
        self.writer.out.push(b':');
        value.serialize(Value {
            writer: self.writer,
            place: PlaceKind::Inside,
        })
    }

    #[inline]
    fn field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), SerError> {
        self.next()?;
        write_string(self.writer.out, name);
        self.property(value)
    }

    #[inline]
    fn close(self) {
        if !self.empty {
            self.writer.leave();
        }
        self.writer.put(self.close);
        if self.in_variant {
            self.writer.leave();
            self.writer.out.push(b'}');
        }
    }
}

macro_rules! sequences {
    ($($name:ident :: $method:ident)*) => { $(
        impl ser::$name for Compound<'_, '_> {
            type Ok = ();
            type Error = SerError;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), SerError> {
                self.element(value)
            }

            #[inline]
            fn end(self) -> Result<(), SerError> {
                self.close();
                Ok(())
            }
        }
    )* };
}

sequences! {
    SerializeSeq::serialize_element
    SerializeTuple::serialize_element
    SerializeTupleStruct::serialize_field
    SerializeTupleVariant::serialize_field
}

macro_rules! structs {
    ($($name:ident)*) => { $(
        impl ser::$name for Compound<'_, '_> {
            type Ok = ();
            type Error = SerError;

            #[inline]
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), SerError> {
                self.field(name, value)
            }

            #[inline]
            fn end(self) -> Result<(), SerError> {
                self.close();
                Ok(())
            }
        }
    )* };
}

structs! { SerializeStruct SerializeStructVariant }

impl ser::SerializeMap for Compound<'_, '_> {
    type Ok = ();
    type Error = SerError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), SerError> {
        self.next()?;
        key.serialize(Only(Key {
            out: self.writer.out,
        }))
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), SerError> {
        self.property(value)
    }

    fn end(self) -> Result<(), SerError> {
        self.close();
        Ok(())
    }
}
