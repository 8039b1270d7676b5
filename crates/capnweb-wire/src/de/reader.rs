//! A position in a text, and the operations that advance it.

use std::borrow::Cow;

use super::{duplicates, rereads::Rereads};
use crate::{
    CapabilitySource, Container, DeError, Span, TOKEN_LEN, lex, scan::MAX_DEPTH, unescape,
};

/// Reads with `f` from position `at` of a text.
///
/// Duplicate keys are rare, and are only noticed when they cause a wrong result. Then the text is
/// read again, with the positions of the shadowed keys known.
#[inline]
pub(super) fn read<'de, T>(
    text: &'de str,
    at: usize,
    holes: &'de [Span],
    capabilities: &dyn CapabilitySource,
    f: impl Fn(&mut Reader<'_, 'de>) -> Result<T, DeError>,
) -> Result<T, DeError> {
    let rereads = Rereads::of(text);
    let mut reader = Reader::new(text, at, holes, capabilities, &rereads);
    let result = f(&mut reader);
    let is_simple = !reader.duplicate && !rereads.is_repeated();
    if is_simple && result.is_ok() {
        return result;
    }
    if rereads.is_exhausted() {
        return Err(DeError::read_too_often());
    }
    if result.is_ok() && !reader.duplicate {
        return result;
    }
    let shadowed = duplicates::shadowed_keys(text);
    if shadowed.is_empty() {
        return result;
    }
    let rereads = Rereads::of(text);
    let mut reader = Reader::new(text, at, holes, capabilities, &rereads);
    reader.shadowed = &shadowed;
    let result = f(&mut reader);
    if rereads.is_exhausted() {
        return Err(DeError::read_too_often());
    }
    result
}

/// A position in a text.
pub(super) struct Reader<'s, 'de> {
    text: &'de str,
    at: usize,
    holes: &'de [Span],
    capabilities: &'s dyn CapabilitySource,
    rereads: &'s Rereads,
    /// The number of open containers.
    depth: u32,
    /// True inside plain JSON, where no array is a form or escaped.
    pub(super) bare: bool,
    /// The positions of keys that do not count, because the same key follows.
    shadowed: &'s [u32],
    /// The position of an object that is the content of an enum variant, apart from its tag.
    content: Option<usize>,
    /// The keys of that object that are not part of the content.
    hidden: &'static [&'static str],
    /// True once a key equals an earlier one of its object. The error alone may get lost, since an
    /// untagged enum continues with the next variant.
    pub(super) duplicate: bool,
}

impl<'s, 'de> Reader<'s, 'de> {
    #[inline]
    pub(super) fn new(
        text: &'de str,
        at: usize,
        holes: &'de [Span],
        capabilities: &'s dyn CapabilitySource,
        rereads: &'s Rereads,
    ) -> Self {
        let at = lex::skip_ws(text.as_bytes(), at);
        Self {
            text,
            at,
            holes,
            capabilities,
            rereads,
            depth: 0,
            bare: false,
            shadowed: &[],
            content: None,
            hidden: &[],
            duplicate: false,
        }
    }

    #[inline]
    pub(super) fn bytes(&self) -> &'de [u8] {
        self.text.as_bytes()
    }

    #[inline]
    pub(super) fn at(&self) -> usize {
        self.at
    }

    #[inline]
    pub(super) fn set_at(&mut self, at: usize) {
        self.at = at;
    }

    /// Returns the current byte, or 0 at the end of the text.
    #[inline]
    pub(super) fn peek(&self) -> u8 {
        self.bytes().get(self.at).copied().unwrap_or(0)
    }

    #[inline]
    pub(super) fn skip_ws(&mut self) {
        self.at = lex::skip_ws(self.bytes(), self.at);
    }

    /// Skips white space and returns the byte after it.
    #[inline]
    pub(super) fn next_token(&mut self) -> u8 {
        self.skip_ws();
        self.peek()
    }

    /// Skips white space and then `byte`.
    #[inline]
    pub(super) fn expect(&mut self, byte: u8) -> Result<(), DeError> {
        if self.next_token() == byte {
            self.at += 1;
            Ok(())
        } else {
            Err(DeError::malformed())
        }
    }

    /// Returns the text between two positions.
    #[inline]
    pub(super) fn slice(&self, start: usize, end: usize) -> &'de str {
        self.text.get(start..end).unwrap_or("")
    }

    /// Skips the value, whatever it is.
    pub(super) fn skip_value(&mut self) -> Result<(), DeError> {
        let end = if self.rereads.is_repeated() && matches!(self.peek(), b'[' | b'{') {
            self.rereads.end_of_container(self.bytes(), self.at)
        } else {
            lex::skip_value(self.bytes(), self.at)
        };
        self.at = end.ok_or_else(DeError::malformed)?;
        Ok(())
    }

    /// Skips the rest of an array, including its closing bracket. The position must be after one of
    /// its elements.
    pub(super) fn close_array(&mut self) -> Result<(), DeError> {
        while self.next_token() == b',' {
            self.at += 1;
            self.skip_ws();
            self.skip_value()?;
        }
        self.expect(b']')
    }

    /// Reads the string literal.
    #[inline]
    pub(super) fn read_string(&mut self) -> Result<Cow<'de, str>, DeError> {
        let start = self.at + 1;
        let rest = self.bytes().get(start..).unwrap_or_default();
        if self.peek() == b'"'
            && let Some(length) = memchr::memchr2(b'"', b'\\', rest)
            && rest.get(length) == Some(&b'"')
        {
            self.at = start + length + 1;
            Ok(Cow::Borrowed(self.slice(start, start + length)))
        } else {
            self.read_escaped_string()
        }
    }

    #[cold]
    fn read_escaped_string(&mut self) -> Result<Cow<'de, str>, DeError> {
        if self.peek() != b'"' {
            return Err(DeError::malformed());
        }
        let start = self.at + 1;
        self.at = lex::skip_string(self.bytes(), self.at).ok_or_else(DeError::malformed)?;
        Ok(unescape(self.slice(start, self.at - 1)))
    }

    /// Checks that only white space follows.
    #[inline]
    pub(super) fn finish(&mut self) -> Result<(), DeError> {
        self.skip_ws();
        if self.at == self.text.len() {
            Ok(())
        } else {
            Err(DeError::malformed())
        }
    }

    /// Enters a container.
    #[inline]
    pub(super) fn enter(&mut self) -> Result<(), DeError> {
        self.depth += 1;
        if self.depth <= MAX_DEPTH {
            Ok(())
        } else {
            Err(DeError::too_deep())
        }
    }

    #[inline]
    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Returns whether the key that starts at `at` does not count.
    pub(super) fn is_shadowed(&self, at: usize) -> bool {
        !self.shadowed.is_empty()
            && u32::try_from(at).is_ok_and(|at| self.shadowed.binary_search(&at).is_ok())
    }

    /// Returns the positions of keys that do not count, in ascending order.
    pub(super) fn shadowed(&self) -> &'s [u32] {
        self.shadowed
    }

    /// Reads the object with other keys that do not count, and without the `hidden` ones.
    pub(super) fn hiding<T>(
        &mut self,
        shadowed: &[u32],
        hidden: &'static [&'static str],
        f: impl FnOnce(&mut Reader<'_, 'de>) -> Result<T, DeError>,
    ) -> Result<T, DeError> {
        let mut reader = Reader {
            shadowed,
            content: Some(self.at),
            hidden,
            ..*self
        };
        let result = f(&mut reader);
        let Reader { at, duplicate, .. } = reader;
        self.at = at;
        self.duplicate = duplicate;
        result
    }

    /// Returns the keys of the object that are hidden.
    #[inline]
    pub(super) fn hidden(&self) -> &'static [&'static str] {
        if self.is_content() { self.hidden } else { &[] }
    }

    /// Returns whether the object is the content of an enum variant.
    pub(super) fn is_content(&self) -> bool {
        self.content == Some(self.at)
    }

    /// Returns the record of earlier readings of the text's parts.
    pub(super) fn rereads(&self) -> &'s Rereads {
        self.rereads
    }

    /// Reads something that starts at `start` with `f`. Reading it `again` has a cost, which is
    /// bounded.
    pub(super) fn rereading<T>(
        &mut self,
        start: usize,
        again: bool,
        f: impl FnOnce(&mut Self) -> Result<T, DeError>,
    ) -> Result<T, DeError> {
        if self.rereads.is_exhausted() {
            return Err(DeError::read_too_often());
        }
        let before = self.rereads.spent();
        self.at = start;
        let result = f(self);
        if again {
            let bytes = self.at.saturating_sub(start);
            self.rereads.charge(bytes, before);
        }
        result
    }

    /// Reads something that may fail, in which case something else is read.
    pub(super) fn trying<T>(
        &mut self,
        f: impl FnOnce(&mut Self) -> Result<T, DeError>,
    ) -> Result<T, DeError> {
        let (depth, bare) = (self.depth, self.bare);
        let result = f(self);
        if result.is_err() {
            (self.depth, self.bare) = (depth, bare);
        }
        result
    }

    /// Returns the index of the hole at the current position, if there is one.
    #[inline]
    pub(super) fn hole(&self) -> Option<usize> {
        if self.holes.is_empty() {
            None
        } else {
            self.find_hole()
        }
    }

    fn find_hole(&self) -> Option<usize> {
        let at = u32::try_from(self.at).ok()?;
        self.holes.binary_search_by_key(&at, |hole| hole.start).ok()
    }

    /// Returns the bytes of a hole, if it contains bytes.
    pub(super) fn kept_bytes(&self, hole: usize) -> Option<(&'s [u8], Container)> {
        self.capabilities.kept_bytes(hole)
    }

    /// Skips a hole, and returns a token for its capability.
    pub(super) fn take_hole(&mut self, hole: usize) -> Result<[u8; TOKEN_LEN], DeError> {
        self.skip_hole(hole);
        self.capabilities
            .capability(hole)
            .ok_or_else(|| DeError::custom("stubs and promises cannot be received here"))
    }

    /// Skips the value, and returns a token for all of it.
    pub(super) fn take_raw(&mut self) -> Result<[u8; TOKEN_LEN], DeError> {
        let start = self.at;
        let is_bare_array = self.bare && self.peek() == b'[';
        match self.hole() {
            Some(hole) => self.skip_hole(hole),
            None => self.skip_value()?,
        }
        u32::try_from(start)
            .ok()
            .zip(u32::try_from(self.at).ok())
            .and_then(|(start, end)| {
                let span = Span { start, end };
                if is_bare_array {
                    self.capabilities.raw_array(span)
                } else {
                    self.capabilities.raw(span)
                }
            })
            .ok_or_else(|| DeError::custom("payloads cannot be received here"))
    }

    pub(super) fn skip_hole(&mut self, hole: usize) {
        if let Some(hole) = self.holes.get(hole) {
            self.at = hole.end as usize;
        }
    }

    /// Reads a missing argument.
    pub(super) fn read_missing<T>(
        &self,
        f: impl FnOnce(&mut Reader<'_, 'de>) -> Result<T, DeError>,
    ) -> Result<T, DeError> {
        let missing = Missing {
            capabilities: self.capabilities,
            end: self.text.len(),
        };
        let text = r#"["undefined"]"#;
        f(&mut Reader::new(text, 0, &[], &missing, &Rereads::of(text)))
    }
}

/// The source of a missing argument.
struct Missing<'s> {
    capabilities: &'s dyn CapabilitySource,
    end: usize,
}

impl CapabilitySource for Missing<'_> {
    fn capability(&self, _: usize) -> Option<[u8; TOKEN_LEN]> {
        None
    }

    fn raw(&self, _: Span) -> Option<[u8; TOKEN_LEN]> {
        let end = u32::try_from(self.end).ok()?;
        self.capabilities.raw(Span { start: end, end })
    }
}
