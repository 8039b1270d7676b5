//! Errors in a peer's messages.
//!
//! One variant for each violation, so that tests and logs can tell them apart. Every one of them
//! ends the session: the text of the error is what the peer reads in the `abort` message, so it is
//! short, names the thing, and never repeats more than a few words of what the peer sent.

use crate::invariant::Invariant;

/// A text that is no message or expression, or one that exceeds a limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The message is longer than [`Limits::max_message_size`](crate::Limits::max_message_size).
    #[error("message is larger than the limit of {limit} UTF-16 code units")]
    MessageTooLarge {
        /// The bound, in UTF-16 code units.
        limit: usize,
    },
    /// Values are nested more deeply than [`Limits::max_depth`](crate::Limits::max_depth).
    #[error("message is nested more deeply than the limit of {limit} levels")]
    TooDeep {
        /// The bound, in levels.
        limit: usize,
    },
    /// A `["bigint", …]` is longer than
    /// [`Limits::max_bigint_digits`](crate::Limits::max_bigint_digits).
    #[error("bigint is longer than the limit of {limit} digits")]
    BigIntTooLong {
        /// The bound, in digits, a sign included.
        limit: usize,
    },
    /// The text is not JSON.
    #[error("invalid JSON at byte {at}: expected {expected}")]
    Syntax {
        /// Byte offset into the text.
        at: usize,
        /// The text that was expected.
        expected: &'static str,
    },
    /// JSON, but not an array that begins with a string.
    #[error("bad RPC message: not an array that begins with a string: {found}")]
    NotAMessage {
        /// The beginning of the text.
        found: Box<str>,
    },
    /// A message of a name that the protocol does not have.
    #[error("bad RPC message: unknown name: {found}")]
    UnknownMessage {
        /// The beginning of the message.
        found: Box<str>,
    },
    /// A message without its expression.
    #[error("bad RPC message: {message:?} lacks its expression")]
    MissingExpression {
        /// The message's name.
        message: &'static str,
    },
    /// A message whose ID is missing or not an integer between −2^53 and 2^53.
    #[error("bad RPC message: {message:?} needs an integer ID")]
    BadMessageId {
        /// The message's name.
        message: &'static str,
    },
    /// A `release` whose reference count is missing, negative, or no integer.
    #[error("bad RPC message: \"release\" needs a reference count of zero or more")]
    BadRefcount,
    /// An array that is neither an escaped array nor a form the protocol has.
    #[error("unknown form of expression: {found}")]
    UnknownForm {
        /// The beginning of the array.
        found: Box<str>,
    },
    /// A form with too few or too many elements.
    #[error("bad {form:?} expression: wrong number of elements")]
    FormLength {
        /// The form's name.
        form: &'static str,
    },
    /// A capability whose ID is missing or not an integer between −2^53 and 2^53.
    #[error("bad {form:?} expression: needs an integer ID")]
    BadId {
        /// The form's name.
        form: &'static str,
    },
    /// A property path that is no array of strings and numbers.
    #[error("bad {form:?} expression: the path must be an array of strings and numbers")]
    BadPath {
        /// The form's name.
        form: &'static str,
    },
    /// Call arguments that are no array.
    #[error("bad {form:?} expression: the arguments must be an array")]
    BadArguments {
        /// The form's name.
        form: &'static str,
    },
    /// A capture of a map that is neither `["import", id]` nor `["export", id]`.
    #[error("bad \"remap\" expression: unknown capture {found}")]
    BadCapture {
        /// The beginning of the capture.
        found: Box<str>,
    },
    /// Captures of a map that are no array.
    #[error("bad \"remap\" expression: the captures must be an array")]
    BadCaptures,
    /// Instructions of a map that are no array.
    #[error("bad \"remap\" expression: the instructions must be an array")]
    BadInstructions,
    /// A bigint that is no string of decimal digits with an optional minus sign.
    #[error("bad \"bigint\" expression: needs a string of decimal digits")]
    BadBigInt,
    /// A date that is neither a number nor null.
    #[error("bad \"date\" expression: needs a number of milliseconds, or null")]
    BadDate,
    /// Bytes that are no base64 string.
    #[error("bad \"bytes\" expression: needs a base64 string")]
    BadBytes,
    /// Bytes with a container type that does not exist.
    #[error("bad \"bytes\" expression: unknown container type {found}")]
    UnknownContainer {
        /// The beginning of the type's name.
        found: Box<str>,
    },
    /// Bytes that do not fill the elements of their container.
    #[error(
        "bad \"bytes\" expression: {length} bytes do not divide into elements of {element} bytes"
    )]
    BadContainerLength {
        /// Number of bytes received.
        length: usize,
        /// Bytes an element.
        element: usize,
    },
    /// An error without a name and message, or with properties that are no object.
    #[error(
        "bad \"error\" expression: needs a name and a message, and an object if it has properties"
    )]
    BadErrorForm,
    /// A URL that cannot be parsed.
    #[error("bad {form:?} expression: invalid URL")]
    BadUrl {
        /// The form's name.
        form: &'static str,
    },
    /// Headers that are no array of pairs of strings, or that HTTP does not allow.
    #[error("bad {form:?} expression: the headers must be an array of valid name-value pairs")]
    BadHeaders {
        /// The form's name.
        form: &'static str,
    },
    /// A body that is neither null, a string, bytes, nor a readable stream.
    #[error("bad {form:?} expression: the body must be null, a string, bytes or a stream")]
    BadBody {
        /// The form's name.
        form: &'static str,
    },
    /// The description of a request or response is no object, or holds what this form cannot have.
    #[error("bad {form:?} expression: invalid {field}")]
    BadInit {
        /// The form's name.
        form: &'static str,
        /// The field that is wrong.
        field: &'static str,
    },
    /// A blob without a media type or whose content is no stream.
    #[error("bad \"blob\" expression: needs a media type and a stream")]
    BadBlob,
}

impl WireError {
    /// Returns whether a limit was exceeded, so that a receiver with larger
    /// [`Limits`](crate::Limits) could have accepted it.
    #[must_use]
    pub fn is_limit(&self) -> bool {
        matches!(
            self,
            Self::MessageTooLarge { .. } | Self::TooDeep { .. } | Self::BigIntTooLong { .. }
        )
    }
}

/// The most characters of a peer's own text that an error repeats.
const EXCERPT: usize = 64;

/// Returns the beginning of the text at `at`, printable and short enough for an error.
#[cold]
pub(crate) fn excerpt(text: &[u8], at: usize) -> Box<str> {
    // A character takes at most four bytes, so this many are always enough.
    let end = text.len().min(at.saturating_add(4 * (EXCERPT + 1)));
    let rest = String::from_utf8_lossy(
        text.get(at.min(end)..end)
            .or_bug("an excerpt is within the text"),
    );
    let mut chars = rest.chars();
    let mut found: String = chars
        .by_ref()
        .take(EXCERPT)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if chars.next().is_some() {
        found.push('…');
    }
    found.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excerpts_are_bounded() {
        assert_eq!(&*excerpt(b"[\"foo\"]", 0), "[\"foo\"]");
        assert_eq!(&*excerpt(b"abc", 7), "");
        let long = "é".repeat(100);
        assert_eq!(excerpt(long.as_bytes(), 0).chars().count(), EXCERPT + 1);
        assert_eq!(&*excerpt(b"a\nb", 0), "a b");
    }

    #[test]
    fn limits_are_told_apart() {
        assert!(WireError::TooDeep { limit: 3 }.is_limit());
        assert!(!WireError::BadDate.is_limit());
        assert_eq!(
            WireError::BadId { form: "import" }.to_string(),
            "bad \"import\" expression: needs an integer ID"
        );
    }
}
