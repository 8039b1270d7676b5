//! Texts and bytes within forms.

use std::borrow::Cow;

use super::reader::Reader;
use crate::{Container, DeError, bytes::read_bytes};

impl<'s, 'de> Reader<'s, 'de> {
    /// Advances from `at`, the end of an element of a form, to the following element. Returns false
    /// if there is none, at the closing bracket.
    pub(super) fn next_item(&mut self, at: usize) -> Result<bool, DeError> {
        self.set_at(at);
        if self.next_token() == b']' {
            return Ok(false);
        }
        self.expect(b',')?;
        self.skip_ws();
        Ok(true)
    }

    /// Reads the string after the form's name, which ends at `at`, and skips the rest of the form.
    pub(super) fn read_text_item(&mut self, at: usize) -> Result<Cow<'de, str>, DeError> {
        self.next_item(at)?;
        let text = self.read_string()?;
        self.close_array()?;
        Ok(text)
    }

    /// Reads the bytes of a form whose name ends at `at`, and skips the rest of the form.
    pub(super) fn read_bytes_item(&mut self, at: usize) -> Result<Vec<u8>, DeError> {
        if let Some((bytes, _)) = self.take_kept() {
            return Ok(bytes.to_vec());
        }
        let digits = self.read_text_item(at)?;
        read_bytes(&digits).ok_or_else(DeError::malformed)
    }

    /// Skips an attachment and returns it, if there is one at the current position.
    fn take_kept(&mut self) -> Option<(&'s [u8], Container)> {
        let hole = self.hole()?;
        let kept = self.kept_bytes(hole)?;
        self.skip_hole(hole);
        Some(kept)
    }

    /// Reads the bytes of a form whose name ends at `at`, with their container, and skips the rest
    /// of the form.
    pub(super) fn read_contained_item(
        &mut self,
        at: usize,
    ) -> Result<(Cow<'s, [u8]>, Container), DeError> {
        if let Some((bytes, container)) = self.take_kept() {
            return Ok((Cow::Borrowed(bytes), container));
        }
        self.next_item(at)?;
        let digits = self.read_string()?;
        let bytes = read_bytes(&digits).ok_or_else(DeError::malformed)?;
        let container = self.read_container()?;
        self.close_array()?;
        Ok((Cow::Owned(bytes), container))
    }

    /// Returns the container of the bytes form whose name ends at `at`, without advancing.
    pub(super) fn container(&mut self, at: usize) -> Result<Container, DeError> {
        if let Some((_, container)) = self.hole().and_then(|hole| self.kept_bytes(hole)) {
            return Ok(container);
        }
        let place = self.at();
        self.next_item(at)?;
        self.skip_value()?;
        let container = self.read_container();
        self.set_at(place);
        container
    }

    /// Reads the container's name, which follows the bytes.
    fn read_container(&mut self) -> Result<Container, DeError> {
        if !self.next_item(self.at())? {
            return Ok(Container::Uint8Array);
        }
        Container::from_name(&self.read_string()?).ok_or_else(DeError::malformed)
    }

    /// Reads the milliseconds of a date whose form's name ends at `at`, and skips the rest of the
    /// form. They are NaN if the date is invalid.
    pub(super) fn read_date_item(&mut self, at: usize) -> Result<f64, DeError> {
        self.next_item(at)?;
        let millis = if self.peek() == b'n' {
            self.skip_value()?;
            f64::NAN
        } else {
            self.read_number()?.as_f64()
        };
        self.close_array()?;
        Ok(millis)
    }
}
