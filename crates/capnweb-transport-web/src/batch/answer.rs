//! Incremental parsing of the answer to a batch.

/// The byte order mark, which some programs write at the start of a text.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// The number of characters that are quoted from a text that is not an answer.
const QUOTED: usize = 100;

/// Collects the bytes of an answer into complete lines.
#[derive(Default)]
pub(super) struct Lines {
    /// The incomplete line at the end of the bytes read so far.
    left: Vec<u8>,
    /// The number of bytes read so far.
    len: usize,
    /// True once the answer is known to contain messages.
    has_begun: bool,
}

/// The reason why a response is not an answer.
pub(super) enum NoAnswer {
    NotUtf8,
    /// A text without messages. The string is its start.
    Other(String),
}

impl Lines {
    /// Adds a part of the answer, and returns the lines that are now complete.
    ///
    /// # Errors
    ///
    /// Returns an error if the lines contain no messages.
    pub(super) fn take(&mut self, part: &[u8]) -> Result<Option<String>, NoAnswer> {
        self.len = self.len.saturating_add(part.len());
        let newline = part.iter().rposition(|byte| *byte == b'\n');
        let Some(newline) = newline else {
            self.left.extend_from_slice(part);
            return Ok(None);
        };
        let (whole, left) = part.split_at(newline + 1);
        self.left.extend_from_slice(whole);
        let whole = std::mem::replace(&mut self.left, left.to_vec());
        self.text(whole).map(Some)
    }

    /// Returns the last line.
    ///
    /// # Errors
    ///
    /// Returns an error if the line is not a message.
    pub(super) fn finish(mut self) -> Result<String, NoAnswer> {
        let rest = std::mem::take(&mut self.left);
        self.text(rest)
    }

    /// Returns the number of bytes read so far.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    fn text(&mut self, bytes: Vec<u8>) -> Result<String, NoAnswer> {
        let mut text = String::from_utf8(bytes).map_err(|_| NoAnswer::NotUtf8)?;
        if !self.has_begun {
            if text.starts_with(BYTE_ORDER_MARK) {
                text.drain(..BYTE_ORDER_MARK.len());
            }
            let start = text.trim_ascii_start();
            if !start.is_empty() {
                if !start.starts_with('[') {
                    // This is usually an HTML page from a proxy or other intermediary.
                    return Err(NoAnswer::Other(quote(start)));
                }
                self.has_begun = true;
            }
        }
        Ok(text)
    }
}

/// Returns the start of a text.
pub(super) fn quote(text: &str) -> String {
    let text = text.trim();
    let mut quoted: String = text.chars().take(QUOTED).collect();
    if text.chars().nth(QUOTED).is_some() {
        quoted.push('…');
    }
    quoted
}
