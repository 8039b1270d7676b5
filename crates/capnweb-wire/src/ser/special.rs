//! Values that serialize themselves under a reserved name.

use serde::{Serialize, ser::Impossible};

use super::{
    only::{Only, Place},
    writer::Writer,
};
use crate::{
    BIGINT, BadLength, CAPABILITY, Container, DATE, RAW, SerError, URL,
    write::{write_bigint, write_string},
};

/// The place inside a newtype with a reserved name.
pub(super) struct Special<'w, 'a> {
    writer: &'w mut Writer<'a>,
    name: &'static str,
}

impl<'w, 'a> Special<'w, 'a> {
    /// Returns the place inside a newtype called `name`, or the writer if the name is not reserved.
    #[inline]
    pub(super) fn named(
        name: &'static str,
        writer: &'w mut Writer<'a>,
    ) -> Result<Self, &'w mut Writer<'a>> {
        let reserved = name.starts_with('$')
            && (matches!(name, CAPABILITY | RAW | DATE | BIGINT | URL)
                || Container::from_reserved_name(name).is_some());
        if reserved {
            Ok(Self { writer, name })
        } else {
            Err(writer)
        }
    }
}

impl Special<'_, '_> {
    fn contained(self, bytes: &[u8], container: Container) -> Result<(), SerError> {
        BadLength::check(container, bytes.len()).map_err(SerError::custom)?;
        self.writer.bytes(bytes, container)
    }
}

impl Place for Special<'_, '_> {
    type Sequence = Impossible<(), SerError>;

    // Types that write a list of numbers for people write bytes here.
    const HUMAN_READABLE: bool = false;

    #[cold]
    fn refuse(self, found: &str) -> SerError {
        SerError::custom(format_args!(
            "{} is a reserved name and cannot hold {found}",
            self.name
        ))
    }

    fn bytes(self, bytes: &[u8]) -> Result<(), SerError> {
        match self.name {
            CAPABILITY => self.writer.capability(bytes),
            RAW => self.writer.sink.raw(bytes, self.writer.out),
            name => match Container::from_reserved_name(name) {
                Some(container) => self.contained(bytes, container),
                None => Err(self.refuse("bytes")),
            },
        }
    }

    fn none(self) -> Result<(), SerError> {
        match self.name {
            DATE => {
                self.writer.put(br#"["date",null]"#);
                Ok(())
            }
            _ => Err(self.refuse("an option")),
        }
    }

    fn some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), SerError> {
        value.serialize(Only(self))
    }

    fn integer(self, digits: &str) -> Result<(), SerError> {
        match self.name {
            DATE => {
                self.writer.put(br#"["date","#);
                self.writer.put(digits.as_bytes());
                self.writer.put(b"]");
                Ok(())
            }
            BIGINT => {
                write_bigint(self.writer.out, digits);
                Ok(())
            }
            _ => Err(self.refuse("an integer")),
        }
    }

    fn string(self, text: &str) -> Result<(), SerError> {
        match self.name {
            BIGINT if is_integer(text) => {
                write_bigint(self.writer.out, text);
                Ok(())
            }
            URL => {
                self.writer.put(br#"["url","#);
                write_string(self.writer.out, text);
                self.writer.put(b"]");
                Ok(())
            }
            _ => Err(self.refuse("such a string")),
        }
    }
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}
