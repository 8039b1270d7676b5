//! The text of a value that is being written.

use crate::{CapabilitySink, Container, SerError, Span, write_form};

/// The depth at which values are rejected. Peers reject them at the same depth by default.
const MAX_DEPTH: u32 = 256;

/// The text being written.
pub(super) struct Writer<'a> {
    pub(super) out: &'a mut Vec<u8>,
    pub(super) sink: &'a mut dyn CapabilitySink,
    /// The depth of the value being written. The outermost value is at depth 0.
    depth: u32,
    /// The length of the text from which writing stops.
    limit: usize,
}

impl<'a> Writer<'a> {
    #[inline]
    pub(super) fn new(
        out: &'a mut Vec<u8>,
        sink: &'a mut dyn CapabilitySink,
        max_len: usize,
    ) -> Self {
        Self {
            limit: out.len().saturating_add(max_len),
            out,
            sink,
            depth: 0,
        }
    }

    /// Checks that `more` bytes may be written.
    #[inline]
    pub(super) fn check(&mut self, more: usize) -> Result<(), SerError> {
        if self.out.len().saturating_add(more) <= self.limit {
            Ok(())
        } else {
            Err(self.stop())
        }
    }

    #[cold]
    fn stop(&mut self) -> SerError {
        self.sink.stopped();
        SerError::custom("the text is longer than it may be")
    }

    pub(super) fn put(&mut self, text: &[u8]) {
        self.out.extend_from_slice(text);
    }

    /// Enters a container.
    pub(super) fn enter(&mut self) -> Result<(), SerError> {
        self.depth += 1;
        if self.depth < MAX_DEPTH {
            Ok(())
        } else {
            Err(SerError::too_deep())
        }
    }

    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Writes a placeholder for the capability of `token`.
    pub(super) fn capability(&mut self, token: &[u8]) -> Result<(), SerError> {
        let span = self.placeholder()?;
        self.out.push(b'0');
        self.sink.capability(token, span)
    }

    /// Writes bytes, or a placeholder if the sink keeps them.
    pub(super) fn bytes(&mut self, bytes: &[u8], container: Container) -> Result<(), SerError> {
        self.check(bytes.len())?;
        let span = self.placeholder()?;
        if self.sink.keep_bytes(bytes, container, span) {
            self.out.push(b'0');
        } else {
            write_form(self.out, bytes, container);
        }
        Ok(())
    }

    /// Returns the span of a placeholder written at the current position.
    fn placeholder(&self) -> Result<Span, SerError> {
        let start = u32::try_from(self.out.len()).map_err(|_| SerError::too_large())?;
        let end = start.checked_add(1).ok_or_else(SerError::too_large)?;
        Ok(Span { start, end })
    }
}
