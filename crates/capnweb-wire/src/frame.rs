//! Messages for sessions: the kind of message with its parts as text.

use crate::scan::{Next, Scan, Scanner, fault};
use crate::{Attachment, Hole, Limits, WireError};

/// A scanned message whose expression is still text.
///
/// IDs are from the sender's point of view, as they were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// `["push", expression]`: evaluate the expression. The result takes the sender's next import
    /// ID.
    Push(&'a str),
    /// `["stream", expression]`: a push whose result is sent without a pull, and thereby released.
    Stream(&'a str),
    /// `["pipe"]`: create a pipe. Its writable end takes the sender's next import ID.
    Pipe,
    /// `["pull", id]`: send the outcome of the sender's import.
    Pull(i64),
    /// `["resolve", id, expression]`: the value of the sender's export.
    Resolve(i64, &'a str),
    /// `["reject", id, expression]`: the error of the sender's export.
    Reject(i64, &'a str),
    /// `["release", id, count]`: drop references to the sender's import.
    Release {
        /// The import.
        id: i64,
        /// The number of references.
        count: u64,
    },
    /// `["abort", expression]`: the session is over. The expression is `["undefined"]` if it was
    /// missing.
    Abort(&'a str),
}

impl<'a> Frame<'a> {
    /// Returns the message's expression, if it has one.
    #[must_use]
    pub fn expression(&self) -> Option<&'a str> {
        match *self {
            Self::Push(expr)
            | Self::Stream(expr)
            | Self::Resolve(_, expr)
            | Self::Reject(_, expr)
            | Self::Abort(expr) => Some(expr),
            Self::Pipe | Self::Pull(_) | Self::Release { .. } => None,
        }
    }
}

/// Scans one message, the entry point for everything that a peer sends.
///
/// One pass checks the JSON, the message, every form in its expression, and the limits. `holes` is
/// cleared and then filled with the capabilities of the expression, with spans relative to the
/// *expression's* text. Nothing else is allocated. Extra elements of a message are ignored, as is
/// white space around the message.
///
/// For duplicate keys of an object, JavaScript keeps the last one. Holes in the others are listed
/// nevertheless.
///
/// # Errors
///
/// Returns an error if the text is not a valid message or exceeds a limit. Both end the session.
/// The contents of `holes` are then unspecified.
pub fn scan_frame<'a>(
    text: &'a str,
    limits: &Limits,
    holes: &mut Vec<Hole>,
) -> Result<Frame<'a>, WireError> {
    let mut scanner = Scanner::new(text, limits, holes)?;
    scanner.frame().map_err(|error| *error)
}

/// Scans a message with attachments, in text order, like [`scan_frame`]. Attachments that belong to
/// a value of its expression are holes too, of the form [`Bytes`](crate::Form::Bytes), with their
/// number as ID.
///
/// Other attachments are of no use: their form is a part of something else (such as a path or a
/// map's instructions), or is ignored. Only with the bytes [inlined](Attachment::inline) does the
/// text have the meaning of the message.
///
/// # Errors
///
/// Returns the same errors as [`scan_frame`].
pub fn scan_attached<'a, B: AsRef<[u8]>>(
    text: &'a str,
    attachments: &[Attachment<B>],
    limits: &Limits,
    holes: &mut Vec<Hole>,
) -> Result<Frame<'a>, WireError> {
    let beside = |start: usize| Attachment::find(attachments, start);
    let mut scanner = Scanner::new(text, limits, holes)?.with_beside(&beside);
    scanner.frame().map_err(|error| *error)
}

/// Returns the note after the expression of a push: a third element that is a string of at most
/// 256 bytes without escapes. `text` is the message, and `expression` the part of it that
/// [`scan_frame`] returned.
///
/// ```
/// use capnweb_wire::{Limits, push_note, scan_frame};
///
/// let text = r#"["push",["pipeline",0,["add"],[2,3]],"traced"]"#;
/// let frame = scan_frame(text, &Limits::default(), &mut Vec::new())?;
/// let expression = frame.expression().unwrap_or_default();
/// assert_eq!(push_note(text, expression), Some("traced"));
/// # Ok::<_, capnweb_wire::WireError>(())
/// ```
#[must_use]
pub fn push_note<'a>(text: &'a str, expression: &str) -> Option<&'a str> {
    const MAX_LEN: usize = 256;
    let start = expression
        .as_ptr()
        .addr()
        .checked_sub(text.as_ptr().addr())?;
    let after = text.get(start.checked_add(expression.len())?..)?;
    let third = after.trim_start().strip_prefix(',')?.trim_start();
    let (note, _) = third.strip_prefix('"')?.split_once('"')?;
    (note.len() <= MAX_LEN && !note.contains('\\')).then_some(note)
}

impl<'a> Scanner<'a, '_> {
    fn frame(&mut self) -> Scan<Frame<'a>> {
        if let Some(frame) = self.usual()? {
            return Ok(frame);
        }
        let start = self.ws(0);
        let name = self.ws(start + 1);
        if self.byte(start) != b'[' || self.byte(name) != b'"' {
            return Err(self.not_a_message(start));
        }
        let at = self.string(name)?;
        let (frame, end) = match self.slice(name + 1, at - 1) {
            "push" => {
                let (expr, end) = self.message_expression(at, "push")?;
                (Frame::Push(expr), end)
            }
            "pull" => {
                let (id, end) = self.message_id(at, "pull")?;
                (Frame::Pull(id), end)
            }
            "resolve" => {
                let (id, at) = self.message_id(at, "resolve")?;
                let (expr, end) = self.message_expression(at, "resolve")?;
                (Frame::Resolve(id, expr), end)
            }
            "reject" => {
                let (id, at) = self.message_id(at, "reject")?;
                let (expr, end) = self.message_expression(at, "reject")?;
                (Frame::Reject(id, expr), end)
            }
            "release" => {
                let (id, at) = self.message_id(at, "release")?;
                let (count, end) = self.refcount(at)?;
                (Frame::Release { id, count }, end)
            }
            "stream" => {
                let (expr, end) = self.message_expression(at, "stream")?;
                (Frame::Stream(expr), end)
            }
            "pipe" => (Frame::Pipe, at),
            "abort" => match self.next(at)? {
                Next::Item(at) => {
                    let (expr, end) = self.expression(at)?;
                    (Frame::Abort(expr), end)
                }
                Next::End(_) => (Frame::Abort(r#"["undefined"]"#), at),
            },
            _ => {
                return Err(fault(WireError::UnknownMessage {
                    found: self.excerpt(start),
                }));
            }
        };
        let end = self.rest(end)?;
        self.finish(end)?;
        Ok(frame)
    }

    /// Scans the expression after the element that ends at `at`.
    #[inline]
    fn message_expression(&mut self, at: usize, message: &'static str) -> Scan<(&'a str, usize)> {
        match self.next(at)? {
            Next::Item(at) => self.expression(at),
            Next::End(_) => Err(fault(WireError::MissingExpression { message })),
        }
    }

    /// Scans the ID after the message's name.
    #[inline]
    fn message_id(&self, at: usize, message: &'static str) -> Scan<(i64, usize)> {
        let id = match self.next(at)? {
            Next::Item(at) => self.id(at),
            Next::End(_) => None,
        };
        id.ok_or_else(|| fault(WireError::BadMessageId { message }))
    }

    #[inline]
    fn refcount(&self, at: usize) -> Scan<(u64, usize)> {
        let count = match self.next(at)? {
            Next::Item(at) => self.id(at),
            Next::End(_) => None,
        };
        count
            .and_then(|(count, end)| Some((u64::try_from(count).ok()?, end)))
            .ok_or_else(|| fault(WireError::BadRefcount))
    }

    #[cold]
    fn not_a_message(&self, start: usize) -> Box<WireError> {
        fault(WireError::NotAMessage {
            found: self.excerpt(start),
        })
    }
}

#[cfg(test)]
mod tests;
