//! The arguments of a call: a bare array.

use serde::Serialize;

use super::{
    compound::Compound,
    only::{Only, Place},
    writer::Writer,
};
use crate::SerError;

/// The place of a call's arguments.
pub(super) struct Arguments<'w, 'a> {
    pub(super) writer: &'w mut Writer<'a>,
}

impl<'w, 'a> Place for Arguments<'w, 'a> {
    type Sequence = Compound<'w, 'a>;

    #[cold]
    fn refuse(self, found: &str) -> SerError {
        SerError::custom(format_args!(
            "the arguments of a call must be a tuple, an array or a list, such as `(2, 3)` or `(value,)`, not {found}"
        ))
    }

    fn some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), SerError> {
        value.serialize(Only(self))
    }

    fn unit(self) -> Result<(), SerError> {
        self.writer.put(b"[]");
        Ok(())
    }

    #[inline]
    fn sequence(self) -> Result<Compound<'w, 'a>, SerError> {
        self.writer.out.push(b'[');
        Ok(Compound::new(self.writer, b"]").of_arguments())
    }
}
