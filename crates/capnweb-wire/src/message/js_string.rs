//! JavaScript strings, which may contain lone surrogates.

use std::borrow::Cow;
use std::fmt;

use crate::lex::{Piece, Pieces};
use crate::unescape;
use crate::write::write_string_content;

/// A JavaScript string: Unicode, except that it may contain lone surrogates.
///
/// Lone surrogates survive reading and writing. [`to_str`](Self::to_str) replaces them.
///
/// ```
/// use capnweb_wire::{Expr, JsString};
///
/// let Expr::String(odd) = r#""half \ud83d""#.parse()? else { panic!() };
/// assert_eq!(odd.to_str(), "half \u{fffd}");
/// assert_eq!(odd.literal(), r#"half \ud83d"#);
/// assert_eq!(JsString::from("tab\t").literal(), r"tab\t");
/// # Ok::<(), capnweb_wire::WireError>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct JsString {
    /// The content of the JSON literal, in the spelling that JavaScript writes.
    literal: Box<str>,
}

impl JsString {
    /// Returns the string for a JSON literal with this content.
    pub(super) fn from_literal(raw: &str) -> Self {
        if !raw.contains('\\') {
            return Self {
                literal: raw.into(),
            };
        }
        let mut literal = Vec::with_capacity(raw.len());
        for piece in (Pieces { rest: raw }) {
            match piece {
                Piece::Plain(plain) => literal.extend_from_slice(plain.as_bytes()),
                Piece::Char(c) => write_string_content(&mut literal, c.encode_utf8(&mut [0; 4])),
                Piece::Surrogate(unit) => {
                    literal.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
                }
            }
        }
        Self::from_bytes(&literal)
    }

    fn from_bytes(literal: &[u8]) -> Self {
        Self {
            literal: String::from_utf8_lossy(literal).into(),
        }
    }

    /// Returns the string, with U+FFFD for each lone surrogate.
    #[must_use]
    pub fn to_str(&self) -> Cow<'_, str> {
        unescape(&self.literal)
    }

    /// Returns the text between the quotes when the string is written as JSON.
    #[must_use]
    pub fn literal(&self) -> &str {
        &self.literal
    }
}

impl From<&str> for JsString {
    fn from(text: &str) -> Self {
        let mut literal = Vec::with_capacity(text.len());
        write_string_content(&mut literal, text);
        Self::from_bytes(&literal)
    }
}

impl From<String> for JsString {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl fmt::Display for JsString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_str())
    }
}

impl fmt::Debug for JsString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.literal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_string_are_equal() {
        let plain = JsString::from("é\"/\n😀");
        assert_eq!(
            JsString::from_literal(r#"\u00e9\"\/\u000A\ud83d\ude00"#),
            plain
        );
        assert_eq!(plain.literal(), "é\\\"/\\n😀");
        assert_eq!(plain.to_str(), "é\"/\n😀");
        assert_eq!(plain.to_string(), "é\"/\n😀");
    }

    #[test]
    fn lone_surrogates_stay() {
        let odd = JsString::from_literal(r"\uDE00x\uD83D");
        assert_eq!(odd.literal(), r"\ude00x\ud83d");
        assert_eq!(odd.to_str(), "\u{fffd}x\u{fffd}");
        assert_ne!(odd, JsString::from("\u{fffd}x\u{fffd}"));
        assert_eq!(format!("{odd:?}"), r#""\ude00x\ud83d""#);
    }
}
