//! The keys of maps: strings, and values that are written as strings.

use serde::{Serialize, ser::Impossible};

use super::only::{Only, Place};
use crate::{SerError, write::write_string};

/// The place of a map's key.
pub(super) struct Key<'a> {
    pub(super) out: &'a mut Vec<u8>,
}

impl Place for Key<'_> {
    type Sequence = Impossible<(), SerError>;

    #[cold]
    fn refuse(self, found: &str) -> SerError {
        SerError::custom(format_args!(
            "a map's key must be a string, an integer, a boolean, a character or a unit variant, not {found}"
        ))
    }

    fn boolean(self, value: bool) -> Result<(), SerError> {
        self.string(if value { "true" } else { "false" })
    }

    fn integer(self, digits: &str) -> Result<(), SerError> {
        self.string(digits)
    }

    #[inline]
    fn string(self, text: &str) -> Result<(), SerError> {
        write_string(self.out, text);
        Ok(())
    }

    fn some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), SerError> {
        value.serialize(Only(self))
    }

    fn variant(self, name: &'static str) -> Result<(), SerError> {
        self.string(name)
    }
}
