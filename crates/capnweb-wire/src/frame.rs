//! Messages as the session sees them: which one it is, and its parts, still text.

use crate::scan::{Next, Scan, Scanner, fault};
use crate::{Attachment, Hole, Limits, WireError};

/// A message that has been scanned, its expression left as text.
///
/// IDs are as the sender wrote them, that is, from the sender's point of view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// `["push", expression]`: evaluate it; the result takes the sender's next import ID.
    Push(&'a str),
    /// `["stream", expression]`: a push whose result is sent unasked and released with that.
    Stream(&'a str),
    /// `["pipe"]`: make a pipe; its writable end takes the sender's next import ID.
    Pipe,
    /// `["pull", id]`: send the outcome of this import of the sender's.
    Pull(i64),
    /// `["resolve", id, expression]`: the value of this export of the sender's.
    Resolve(i64, &'a str),
    /// `["reject", id, expression]`: the error that this export of the sender's came to.
    Reject(i64, &'a str),
    /// `["release", id, count]`: drop references to this import of the sender's.
    Release {
        /// The import.
        id: i64,
        /// The number of references.
        count: u64,
    },
    /// `["abort", expression]`: the session is over. The expression is `["undefined"]` if there was
    /// none.
    Abort(&'a str),
}

impl<'a> Frame<'a> {
    /// The message's expression, if it has one.
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

/// Scans one message: the way in for everything a peer sends.
///
/// One pass checks the JSON, the message, every form in its expression, and the limits. `holes` is
/// cleared and then filled with the capabilities of the expression, their spans relative to the
/// *expression's* text. Nothing else is allocated. Elements that follow those a message needs are
/// ignored, as is white space around the message.
///
/// Of an object's duplicate keys JavaScript keeps the last. Holes in the others are listed all the
/// same.
///
/// # Errors
///
/// If the text is no valid message, or exceeds a limit. Both end the session. `holes` then holds an
/// arbitrary part of them.
pub fn scan_frame<'a>(
    text: &'a str,
    limits: &Limits,
    holes: &mut Vec<Hole>,
) -> Result<Frame<'a>, WireError> {
    let mut scanner = Scanner::new(text, limits, holes)?;
    scanner.frame().map_err(|error| *error)
}

/// [`scan_frame`] for a message with bytes beside its text, in the order of the text: those that
/// belong in a value of its expression are holes too, of the form [`Bytes`](crate::Form::Bytes),
/// with their number as ID.
///
/// The others are of no use: what looks like their form is a part of something else (a path, a
/// map's instructions), or is ignored. As text it says what the message says only with the bytes
/// [in it](Attachment::inline).
///
/// # Errors
///
/// As for [`scan_frame`].
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

    /// The expression that follows the element which ends at `at`.
    #[inline]
    fn message_expression(&mut self, at: usize, message: &'static str) -> Scan<(&'a str, usize)> {
        match self.next(at)? {
            Next::Item(at) => self.expression(at),
            Next::End(_) => Err(fault(WireError::MissingExpression { message })),
        }
    }

    /// The ID that follows the message's name.
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
