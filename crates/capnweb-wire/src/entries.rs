//! Iteration over the entries of a container, in a text that the scanner has accepted.

use crate::lex::{self, Piece, Pieces};
use crate::{Kind, Span, kind};

/// An element of an array, or a property of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The start of the element, or of the property's key.
    pub(crate) start: usize,
    /// The start of the value, which is `start` for an element.
    pub(crate) value: usize,
    /// The end of the value.
    pub(crate) end: usize,
}

/// The entries of one container, in order. The iteration ends early if the text is malformed.
#[derive(Clone, Debug)]
pub(crate) struct Entries<'a> {
    text: &'a str,
    object: bool,
    /// The position to look for the next entry or the closing bracket.
    at: usize,
}

impl<'a> Entries<'a> {
    /// Returns the entries of the array or object at `at`, or `None` if there is neither.
    pub(crate) fn of(text: &'a str, at: Span) -> Option<Self> {
        let start = at.start as usize;
        match kind(text, at) {
            Kind::Object => Some(Self::resume(text, true, start + 1)),
            Kind::Array => {
                let inner = lex::skip_ws(text.as_bytes(), start + 1);
                Some(Self::resume(text, false, inner + 1))
            }
            _ => None,
        }
    }

    /// Returns the entries from `at` on, a position where an entry may start.
    pub(crate) fn resume(text: &'a str, object: bool, at: usize) -> Self {
        Self { text, object, at }
    }

    /// Returns the next entry. `skip` finds the end of each part from its start.
    #[inline]
    pub(crate) fn next_with(
        &mut self,
        mut skip: impl FnMut(usize) -> Option<usize>,
    ) -> Option<Entry> {
        let text = self.text.as_bytes();
        let start = lex::skip_ws(text, self.at);
        if let Some(b']' | b'}') | None = text.get(start) {
            return None;
        }
        let mut value = start;
        if self.object {
            if text.get(start) != Some(&b'"') {
                return None;
            }
            let colon = lex::skip_ws(text, skip(start)?);
            value = lex::skip_ws(text, colon + 1);
        }
        let end = skip(value).filter(|&end| end > value)?;
        self.at = lex::skip_ws(text, end);
        if text.get(self.at) == Some(&b',') {
            self.at += 1;
        }
        Some(Entry { start, value, end })
    }
}

impl Iterator for Entries<'_> {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        let text = self.text.as_bytes();
        self.next_with(|at| lex::skip_value(text, at))
    }
}

/// Returns the position after the string literal at `at`, if it equals `key`.
///
/// This examines no more of the literal than the length of the key.
pub(crate) fn literal_is(text: &str, at: usize, key: &str) -> Option<usize> {
    let mut at = at + 1;
    let mut key = key;
    loop {
        let rest = text.get(at..)?;
        match rest.as_bytes().first()? {
            b'"' => return key.is_empty().then_some(at + 1),
            b'\\' => {
                let mut pieces = Pieces { rest };
                let said = match pieces.next()? {
                    Piece::Char(said) => said,
                    Piece::Surrogate(_) => char::REPLACEMENT_CHARACTER,
                    Piece::Plain(_) => return None,
                };
                key = key.strip_prefix(said)?;
                at += rest.len() - pieces.rest.len();
            }
            _ => {
                let said = rest.chars().next()?;
                key = key.strip_prefix(said)?;
                at += said.len_utf8();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> Span {
        Span {
            start: 0,
            end: u32::try_from(text.len()).unwrap(),
        }
    }

    fn values(text: &str) -> Option<Vec<&str>> {
        let entries = Entries::of(text, whole(text))?;
        Some(entries.map(|entry| &text[entry.value..entry.end]).collect())
    }

    #[test]
    fn entries() {
        assert_eq!(values("[[]]").unwrap(), [""; 0]);
        assert_eq!(values("{ }").unwrap(), [""; 0]);
        assert_eq!(
            values(r#"[ [ 1 ,"a,]" , {"b":[[2]]},[[ ]] ] ]"#).unwrap(),
            ["1", r#""a,]""#, r#"{"b":[[2]]}"#, "[[ ]]"]
        );
        assert_eq!(
            values(r#"{"a":1, "\"b" : ["nan"] ,"c":null}"#).unwrap(),
            ["1", r#"["nan"]"#, "null"]
        );
        assert_eq!(values(r#"["date",1]"#), None);
        assert_eq!(values("7"), None);
    }

    #[test]
    fn nonsense_ends_early() {
        for text in [
            "[[", "[[,,", "{a:1}", "{\"a\"", "{\"a\":", "[[1", "[[\"", "{]",
        ] {
            assert!(values(text).unwrap().len() < 2, "{text}");
        }
    }

    #[test]
    fn literals_are_compared_as_they_read() {
        for (literal, key) in [
            (r#""""#, ""),
            (r#""abc""#, "abc"),
            (r#""\u0061b""#, "ab"),
            (r#""a\"b\\""#, "a\"b\\"),
            (r#""\ud83d\ude00é""#, "😀é"),
            (r#""\ud800""#, "\u{fffd}"),
        ] {
            assert_eq!(literal_is(literal, 0, key), Some(literal.len()), "{key}");
        }
        for (literal, key) in [
            (r#""ab""#, "a"),
            (r#""a""#, "ab"),
            (r#""a\"b""#, "a\\"),
            (r#""A""#, "a"),
            ("\"a", "a"),
        ] {
            assert_eq!(literal_is(literal, 0, key), None, "{key}");
        }
    }
}
