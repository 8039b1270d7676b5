//! Errors in a peer's messages.
//!
//! There is one variant for each violation, so that tests and logs can distinguish them. Each of
//! them ends the session, and the peer receives the text of the error in the `abort` message. So
//! the text is short, names the problem, and repeats only a few words from the peer.

use crate::invariant::Invariant;

/// The error for a text that is not a valid message or expression, or that exceeds a limit.
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
    /// The text is JSON, but not an array that starts with a string.
    #[error("bad RPC message: not an array that begins with a string: {found}")]
    NotAMessage {
        /// The beginning of the text.
        found: Box<str>,
    },
    /// The protocol has no message with this name.
    #[error("bad RPC message: unknown name: {found}")]
    UnknownMessage {
        /// The beginning of the message.
        found: Box<str>,
    },
    /// A message has no expression.
    #[error("bad RPC message: {message:?} lacks its expression")]
    MissingExpression {
        /// The message's name.
        message: &'static str,
    },
    /// The ID of a message is missing, or is not an integer between −2^53 and 2^53.
    #[error("bad RPC message: {message:?} needs an integer ID")]
    BadMessageId {
        /// The message's name.
        message: &'static str,
    },
    /// The reference count of a `release` is missing, negative, or not an integer.
    #[error("bad RPC message: \"release\" needs a reference count of zero or more")]
    BadRefcount,
    /// An array is neither an escaped array nor a form of the protocol.
    #[error("unknown form of expression: {found}")]
    UnknownForm {
        /// The beginning of the array.
        found: Box<str>,
    },
    /// A form has too few or too many elements.
    #[error("bad {form:?} expression: wrong number of elements")]
    FormLength {
        /// The form's name.
        form: &'static str,
    },
    /// The ID of a capability is missing, or is not an integer between −2^53 and 2^53.
    #[error("bad {form:?} expression: needs an integer ID")]
    BadId {
        /// The form's name.
        form: &'static str,
    },
    /// A property path is not an array of strings and numbers.
    #[error("bad {form:?} expression: the path must be an array of strings and numbers")]
    BadPath {
        /// The form's name.
        form: &'static str,
    },
    /// The arguments of a call are not an array.
    #[error("bad {form:?} expression: the arguments must be an array")]
    BadArguments {
        /// The form's name.
        form: &'static str,
    },
    /// A capture of a map is neither `["import", id]` nor `["export", id]`.
    #[error("bad \"remap\" expression: unknown capture {found}")]
    BadCapture {
        /// The beginning of the capture.
        found: Box<str>,
    },
    /// The captures of a map are not an array.
    #[error("bad \"remap\" expression: the captures must be an array")]
    BadCaptures,
    /// The instructions of a map are not an array.
    #[error("bad \"remap\" expression: the instructions must be an array")]
    BadInstructions,
    /// A bigint is not a string of decimal digits with an optional minus sign.
    #[error("bad \"bigint\" expression: needs a string of decimal digits")]
    BadBigInt,
    /// A date is neither a number nor null.
    #[error("bad \"date\" expression: needs a number of milliseconds, or null")]
    BadDate,
    /// Bytes are not a base64 string.
    #[error("bad \"bytes\" expression: needs a base64 string")]
    BadBytes,
    /// Bytes have a container type that does not exist.
    #[error("bad \"bytes\" expression: unknown container type {found}")]
    UnknownContainer {
        /// The beginning of the type's name.
        found: Box<str>,
    },
    /// Bytes do not fill the elements of their container.
    #[error(
        "bad \"bytes\" expression: {length} bytes do not divide into elements of {element} bytes"
    )]
    BadContainerLength {
        /// The number of bytes received.
        length: usize,
        /// The number of bytes per element.
        element: usize,
    },
    /// An error has no name and message, or its properties are not an object.
    #[error(
        "bad \"error\" expression: needs a name and a message, and an object if it has properties"
    )]
    BadErrorForm,
    /// A URL cannot be parsed.
    #[error("bad {form:?} expression: invalid URL")]
    BadUrl {
        /// The form's name.
        form: &'static str,
    },
    /// Headers are not an array of pairs of strings, or are not allowed by HTTP.
    #[error("bad {form:?} expression: the headers must be an array of valid name-value pairs")]
    BadHeaders {
        /// The form's name.
        form: &'static str,
    },
    /// A body is neither null, a string, bytes, nor a readable stream.
    #[error("bad {form:?} expression: the body must be null, a string, bytes or a stream")]
    BadBody {
        /// The form's name.
        form: &'static str,
    },
    /// The options of a request or response are not an object, or contain an invalid value.
    #[error("bad {form:?} expression: invalid {field}")]
    BadInit {
        /// The form's name.
        form: &'static str,
        /// The name of the invalid field.
        field: &'static str,
    },
    /// A blob has no media type, or its content is not a stream.
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

/// The maximum number of characters of a peer's text in an error.
const EXCERPT: usize = 64;

/// Returns the start of the text at `at`, printable and short enough for an error.
#[cold]
pub(crate) fn excerpt(text: &[u8], at: usize) -> Box<str> {
    // A character takes at most four bytes, so this number always suffices.
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
