//! JSON's tokens: their ends, their validity, and the contents of strings.
//!
//! [`string`], [`number`] and [`literal`] check every byte. [`skip_value`] is for texts that have
//! been checked before.

use std::borrow::Cow;

/// Returns the first position at or after `at` that is not white space.
#[inline]
pub(crate) fn skip_ws(text: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = text.get(at) {
        at += 1;
    }
    at
}

/// Checks the string literal whose opening quote is at `at`. Returns the position after its closing
/// quote.
#[inline]
pub(crate) fn string(text: &[u8], at: usize) -> Option<usize> {
    let mut at = at + 1;
    loop {
        at = plain_run(text, at);
        match text.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at = escape(text, at + 1)?,
            _ => return None,
        }
    }
}

/// Returns the position of the first byte from `at` on that ends a run of plain string content: a
/// quote, a backslash or a control character. Returns the end of the text if there is none.
#[inline]
fn plain_run(text: &[u8], at: usize) -> usize {
    // Most strings are shorter than this number of words. For longer ones, the setup of the wide
    // loop is worthwhile.
    match word_run(text, at, 4) {
        Run::Stops(at) => at,
        Run::GoesOn(at) => wide_run(text, at),
    }
}

/// The end of a run of plain content.
enum Run {
    /// The run ends here.
    Stops(usize),
    /// The run reaches at least this position.
    GoesOn(usize),
}

/// Follows a run through at most `words` words of eight bytes.
#[inline]
fn word_run(text: &[u8], mut at: usize, words: usize) -> Run {
    for _ in 0..words {
        let Some(word) = text.get(at..).and_then(|rest| rest.first_chunk()) else {
            return Run::Stops(tail_run(text, at));
        };
        let stops = stop_bytes(u64::from_le_bytes(*word));
        if stops != 0 {
            return Run::Stops(at + (stops.trailing_zeros() / 8) as usize);
        }
        at += 8;
    }
    Run::GoesOn(at)
}

/// Works like [`plain_run`] for long content: in whole blocks without branches, which compile to
/// vector instructions.
fn wide_run(text: &[u8], mut at: usize) -> usize {
    loop {
        while let Some(block) = text.get(at..).and_then(|rest| rest.first_chunk::<32>()) {
            if block
                .iter()
                .fold(false, |stop, &byte| stop | is_stop_byte(byte))
            {
                break;
            }
            at += 32;
        }
        match word_run(text, at, 4) {
            Run::Stops(at) => return at,
            Run::GoesOn(end) => at = end,
        }
    }
}

/// Works like [`plain_run`] byte by byte, at the end of a text.
fn tail_run(text: &[u8], mut at: usize) -> usize {
    while text.get(at).is_some_and(|&byte| !is_stop_byte(byte)) {
        at += 1;
    }
    at
}

#[inline]
fn is_stop_byte(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// Marks the bytes of a word that end a run. The lowest mark is exact; the marks above it may be
/// carries.
#[inline]
fn stop_bytes(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word;
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    (control | zeros(word ^ (ONES * b'"' as u64)) | zeros(word ^ (ONES * b'\\' as u64))) & HIGH
}

/// Checks the text after a backslash.
fn escape(text: &[u8], at: usize) -> Option<usize> {
    match text.get(at)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(at + 1),
        b'u' => code_unit(text.get(at + 1..at + 5)?).map(|_| at + 5),
        _ => None,
    }
}

fn code_unit(hex: &[u8]) -> Option<u16> {
    hex.iter().try_fold(0, |unit: u16, &digit| {
        let digit = char::from(digit).to_digit(16)?;
        Some(unit << 4 | u16::try_from(digit).ok()?)
    })
}

/// Checks the number at `at`. Returns the position after it.
#[inline]
pub(crate) fn number(text: &[u8], at: usize) -> Option<usize> {
    let at = at + usize::from(text.get(at) == Some(&b'-'));
    let mut end = match text.get(at)? {
        b'0' => at + 1,
        b'1'..=b'9' => digits(text, at + 1),
        _ => return None,
    };
    if let Some(b'.' | b'e' | b'E') = text.get(end) {
        end = fraction(text, end)?;
    }
    Some(end)
}

/// Checks the fraction and exponent of a number.
fn fraction(text: &[u8], mut at: usize) -> Option<usize> {
    if text.get(at) == Some(&b'.') {
        at = some_digits(text, at + 1)?;
    }
    if let Some(b'e' | b'E') = text.get(at) {
        at += 1;
        at += usize::from(matches!(text.get(at), Some(b'+' | b'-')));
        at = some_digits(text, at)?;
    }
    Some(at)
}

#[inline]
fn digits(text: &[u8], mut at: usize) -> usize {
    while text.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    at
}

fn some_digits(text: &[u8], at: usize) -> Option<usize> {
    let end = digits(text, at);
    (end > at).then_some(end)
}

/// Checks `true`, `false` or `null`. Returns the position after it.
#[inline]
pub(crate) fn literal(text: &[u8], at: usize) -> Option<usize> {
    let word: &[u8] = match text.get(at)? {
        b't' => b"true",
        b'f' => b"false",
        b'n' => b"null",
        _ => return None,
    };
    text.get(at..)?.starts_with(word).then_some(at + word.len())
}

/// Returns the end of the JSON value at `at`, in a text that has been checked before.
///
/// For any other text the result is arbitrary, but within the text. This never recurses.
pub(crate) fn skip_value(text: &[u8], at: usize) -> Option<usize> {
    match text.get(at)? {
        b'"' => skip_string(text, at),
        b'[' | b'{' => skip_container(text, at),
        _ => Some(skip_scalar(text, at)),
    }
}

/// Skips a string without checking it.
#[inline]
pub(crate) fn skip_string(text: &[u8], at: usize) -> Option<usize> {
    let mut at = at + 1;
    loop {
        at = plain_run(text, at);
        match text.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// Skips a number or a literal, which ends at a structural character or white space.
#[inline]
pub(crate) fn skip_scalar(text: &[u8], mut at: usize) -> usize {
    while let Some(b'0'..=b'9' | b'a'..=b'z' | b'+' | b'-' | b'.' | b'E') = text.get(at) {
        at += 1;
    }
    at
}

fn skip_container(text: &[u8], mut at: usize) -> Option<usize> {
    let mut open = 0_usize;
    loop {
        match text.get(at)? {
            b'"' => {
                at = skip_string(text, at)?;
                continue;
            }
            b'[' | b'{' => open += 1,
            b']' | b'}' => {
                open = open.saturating_sub(1);
                if open == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
        at += 1;
    }
}

/// Decodes the content of a string literal, the text between its quotes.
///
/// JavaScript's strings may contain lone surrogates, which a `str` cannot represent: they become
/// U+FFFD. So does a malformed escape, which no scanned text contains.
///
/// ```
/// use capnweb_wire::unescape;
///
/// assert_eq!(unescape("plain"), "plain");
/// assert_eq!(unescape(r"\ud83d\ude00 \ud83d tab\t"), "😀 \u{fffd} tab\t");
/// ```
#[must_use]
pub fn unescape(raw: &str) -> Cow<'_, str> {
    let Some(first) = memchr::memchr(b'\\', raw.as_bytes()) else {
        return Cow::Borrowed(raw);
    };
    let (plain, rest) = raw.split_at(first);
    let mut said = String::with_capacity(raw.len());
    said.push_str(plain);
    for piece in (Pieces { rest }) {
        match piece {
            Piece::Plain(plain) => said.push_str(plain),
            Piece::Char(c) => said.push(c),
            Piece::Surrogate(_) => said.push(char::REPLACEMENT_CHARACTER),
        }
    }
    Cow::Owned(said)
}

/// A part of a string literal's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// Content that represents itself.
    Plain(&'a str),
    /// An escaped character.
    Char(char),
    /// A lone surrogate.
    Surrogate(u16),
}

/// The parts of a string literal's content.
#[derive(Clone, Debug)]
pub(crate) struct Pieces<'a> {
    pub(crate) rest: &'a str,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        let rest = self.rest;
        let Some(escaped) = rest.strip_prefix('\\') else {
            if rest.is_empty() {
                return None;
            }
            let end = memchr::memchr(b'\\', rest.as_bytes()).unwrap_or(rest.len());
            let (plain, rest) = rest.split_at(end);
            self.rest = rest;
            return Some(Piece::Plain(plain));
        };
        let mut chars = escaped.chars();
        let c = match chars.next() {
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => return Some(self.unicode(escaped)),
            Some(c @ ('"' | '\\' | '/')) => c,
            Some(_) | None => char::REPLACEMENT_CHARACTER,
        };
        self.rest = chars.as_str();
        Some(Piece::Char(c))
    }
}

impl<'a> Pieces<'a> {
    /// Returns the piece for `escaped`, which starts with the `u` of an escape.
    fn unicode(&mut self, escaped: &'a str) -> Piece<'a> {
        let unit = |text: &str| code_unit(text.as_bytes().get(1..5)?);
        let after = |text: &'a str| text.get(5..).unwrap_or("");
        let Some(first) = unit(escaped) else {
            self.rest = escaped.get(1..).unwrap_or("");
            return Piece::Char(char::REPLACEMENT_CHARACTER);
        };
        self.rest = after(escaped);
        let second = self
            .rest
            .strip_prefix('\\')
            .filter(|next| next.starts_with('u'))
            .and_then(|next| Some((unit(next)?, next)));
        let pair = second.map_or([first, 0], |(second, _)| [first, second]);
        match char::decode_utf16(pair).next() {
            Some(Ok(c)) => {
                if let (Some((_, next)), true) = (second, c.len_utf16() == 2) {
                    self.rest = after(next);
                }
                Piece::Char(c)
            }
            _ => Piece::Surrogate(first),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings() {
        let long = format!("\"{}\"", "abcdefgh".repeat(40));
        for good in [
            r#""""#,
            r#""abc""#,
            r#""a\"b""#,
            r#""\u00e9\n\/""#,
            r#""\ud800""#,
            "\"é😀\u{2028}\u{7f}\"",
            &long,
        ] {
            for suffix in ["", " ", "]]]]]]]]]]]]]]]]"] {
                let text = format!("{good}{suffix}");
                assert_eq!(string(text.as_bytes(), 0), Some(good.len()), "{text}");
                assert_eq!(skip_string(text.as_bytes(), 0), Some(good.len()), "{text}");
            }
        }
        for bad in [
            r#"""#,
            r#""abc"#,
            r#""\x""#,
            r#""\u12g4""#,
            r#""\u12""#,
            r#""\"#,
            "\"\u{1}\"",
            "\"abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz\n\"",
        ] {
            assert_eq!(string(bad.as_bytes(), 0), None, "{bad}");
        }
    }

    #[test]
    fn every_stop_byte_is_found_wherever_it_stands() {
        for length in [1, 7, 8, 9, 31, 32, 33, 70] {
            for place in 0..length {
                for byte in 0..=255_u8 {
                    let mut text = vec![0xff_u8; length];
                    text[place] = byte;
                    let expected = if is_stop_byte(byte) { place } else { length };
                    assert_eq!(plain_run(&text, 0), expected, "{byte:#x} at {place}");
                }
            }
        }
    }

    #[test]
    fn numbers() {
        for good in [
            "0", "-0", "7", "120", "-1.5", "0.0", "1e400", "1E+2", "1.25e-7",
        ] {
            for suffix in ["", ",", "]"] {
                let text = format!("{good}{suffix}");
                assert_eq!(number(text.as_bytes(), 0), Some(good.len()), "{text}");
                assert_eq!(skip_scalar(text.as_bytes(), 0), good.len(), "{text}");
            }
        }
        for bad in ["", "-", ".5", "1.", "1e", "1e+", "+1", "-a"] {
            assert_eq!(number(bad.as_bytes(), 0), None, "{bad}");
        }
        // The grammar ends a number after a leading zero. The following text is the caller's error.
        assert_eq!(number(b"01", 0), Some(1));
    }

    #[test]
    fn literals() {
        assert_eq!(literal(b"true", 0), Some(4));
        assert_eq!(literal(b"[null]", 1), Some(5));
        assert_eq!(literal(b"fals", 0), None);
    }

    #[test]
    fn values_are_skipped_without_recursion() {
        let deep = format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
        assert_eq!(skip_value(deep.as_bytes(), 0), Some(2_000_000));
        assert_eq!(
            skip_value(br#"{"a]":[1,"\"]"]} "#, 0),
            Some(r#"{"a]":[1,"\"]"]}"#.len())
        );
        assert_eq!(skip_value(b"[1,2", 0), None);
        assert_eq!(skip_value(b"\"ab\\", 0), None);
        assert_eq!(skip_value(b"", 3), None);
    }

    #[test]
    fn unescaping() {
        assert_eq!(unescape(r#"\"\\\/\b\f\n\r\t"#), "\"\\/\u{8}\u{c}\n\r\t");
        assert_eq!(unescape(r"\u0041\u00e9"), "Aé");
        assert_eq!(unescape(r"\ud83d\ude00"), "😀");
        assert_eq!(unescape(r"\ude00\ud83d"), "\u{fffd}\u{fffd}");
        assert_eq!(unescape(r"\ud83dx"), "\u{fffd}x");
        assert_eq!(unescape(r"\ud83d\u0041"), "\u{fffd}A");
        assert_eq!(unescape(r"\ud83d\ud83d\ude00"), "\u{fffd}😀");
        // The scanner would not accept these, but they must not panic either.
        for odd in [r"\", r"\u", r"\u12", r"\ué123", r"\x", r"\é"] {
            assert!(unescape(odd).contains('\u{fffd}'), "{odd}");
        }
    }
}
