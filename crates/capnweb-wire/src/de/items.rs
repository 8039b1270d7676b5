//! Texts and bytes inside of forms.

use std::borrow::Cow;

use super::reader::Reader;
use crate::{Container, DeError, bytes::read_bytes};

impl<'s, 'de> Reader<'s, 'de> {
    /// Goes on from `at`, past an element of a form, to the element that follows. False if there is
    /// none; the place is then at the closing bracket.
    pub(super) fn next_item(&mut self, at: usize) -> Result<bool, DeError> {
        self.set_at(at);
        if self.next_token() == b']' {
            return Ok(false);
        }
        self.expect(b',')?;
        self.skip_ws();
        Ok(true)
    }

    /// The string that follows the form's name, which ends at `at`. Passes over the whole form.
    pub(super) fn read_text_item(&mut self, at: usize) -> Result<Cow<'de, str>, DeError> {
        self.next_item(at)?;
        let text = self.read_string()?;
        self.close_array()?;
        Ok(text)
    }

    /// The bytes of a form whose name ends at `at`. Passes over the whole form.
    pub(super) fn read_bytes_item(&mut self, at: usize) -> Result<Vec<u8>, DeError> {
        if let Some((bytes, _)) = self.take_kept() {
            return Ok(bytes.to_vec());
        }
        let digits = self.read_text_item(at)?;
        read_bytes(&digits).ok_or_else(DeError::malformed)
    }

    /// Passes over the bytes here that are kept beside the text, if here are some.
    fn take_kept(&mut self) -> Option<(&'s [u8], Container)> {
        let hole = self.hole()?;
        let kept = self.kept_bytes(hole)?;
        self.skip_hole(hole);
        Some(kept)
    }

    /// The bytes of a form whose name ends at `at`, and their container. Passes over the whole
    /// form.
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

    /// The container of the bytes form whose name ends at `at`. The place stays where it is.
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

    /// The container that is named here, past the bytes.
    fn read_container(&mut self) -> Result<Container, DeError> {
        if !self.next_item(self.at())? {
            return Ok(Container::Uint8Array);
        }
        Container::from_name(&self.read_string()?).ok_or_else(DeError::malformed)
    }

    /// The milliseconds of a date whose form's name ends at `at`; NaN if it is invalid. Passes over
    /// the whole form.
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
