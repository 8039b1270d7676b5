//! The forms for values that JSON lacks: big integers, dates, bytes, errors, URLs.
//!
//! They are checked to the extent that decoding requires, so that accepted text can be decoded.

use memchr::memchr;

use super::{Next, Scan, Scanner, fault};
use crate::{Container, Form, WireError, unescape, url::is_url};

impl<'a> Scanner<'a, '_> {
    /// Scans `["bigint", digits]` after its name.
    pub(super) fn bigint(&self, at: usize) -> Scan<usize> {
        let at = self.item(at, "bigint")?;
        let Some((raw, end)) = self.text_item(at)? else {
            return Err(fault(WireError::BadBigInt));
        };
        let limit = self.max_bigint_digits;
        if raw.len() > limit {
            return Err(fault(WireError::BigIntTooLong { limit }));
        }
        let digits = raw.strip_prefix('-').unwrap_or(raw);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(fault(WireError::BadBigInt));
        }
        self.rest(end)
    }

    /// Scans `["date", ms]` after its name.
    pub(super) fn date(&self, at: usize) -> Scan<usize> {
        let at = self.item(at, "date")?;
        let end = match self.byte(at) {
            b'-' | b'0'..=b'9' => self.number(at)?,
            b'n' => self.literal(at)?,
            _ => return Err(fault(WireError::BadDate)),
        };
        self.rest(end)
    }

    /// Scans `["bytes", base64, container?]` after its name.
    ///
    /// If its bytes are an attachment, it becomes a hole. Only at this point is it known to be a
    /// value: a path, a name in an array, an ignored element, or text for other readers can look
    /// the same.
    pub(super) fn bytes(&mut self, start: usize, at: usize) -> Scan<usize> {
        let at = self.item(at, "bytes")?;
        let (length, end) = match self.plain_digits(at) {
            Some(found) => found,
            None => {
                let Some((raw, end)) = self.text_item(at)? else {
                    return Err(fault(WireError::BadBytes));
                };
                let Some(length) = base64_len(&unescape(raw)) else {
                    return Err(fault(WireError::BadBytes));
                };
                (length, end)
            }
        };
        let (container, end) = match self.next(end)? {
            Next::Item(at) => self.container(at)?,
            Next::End(_) => (Container::Uint8Array, end),
        };
        let beside = self
            .beside
            .and_then(|find| find(start))
            .filter(|beside| length == 0 && beside.container == container);
        let length = beside.as_ref().map_or(length, |beside| beside.len);
        let element = container.element_size();
        if !length.is_multiple_of(element) {
            return Err(fault(WireError::BadContainerLength { length, element }));
        }
        let end = self.rest(end)?;
        if let Some(beside) = beside.filter(|beside| beside.end == end) {
            let hole = self.open_hole(Form::Bytes, start, beside.number);
            self.close_hole(hole, end, None, None);
        }
        Ok(end)
    }

    /// Scans the container's name at `at`. Returns the container and the position after its name.
    fn container(&self, at: usize) -> Scan<(Container, usize)> {
        let name = self.text_item(at)?;
        let container = name.and_then(|(name, end)| Some((Container::from_name(name)?, end)));
        match container {
            Some(container) => Ok(container),
            None => {
                self.json(at)?;
                Err(fault(WireError::UnknownContainer {
                    found: self.excerpt(at),
                }))
            }
        }
    }

    /// Returns the number of bytes that the base64 in this string represents, and the end of the
    /// string. Returns `None` if it contains anything else, such as an escape. Since the string may
    /// be long, it is not first searched for characters that are no digits anyway.
    fn plain_digits(&self, at: usize) -> Option<(usize, usize)> {
        let digits = self.source.get(at..)?.strip_prefix('"')?;
        let len = memchr(b'"', digits.as_bytes())?;
        let length = base64_len(digits.get(..len)?)?;
        Some((length, at + len + 2))
    }

    /// Scans `["error", name, message, stack?, props?]` after its name.
    pub(super) fn error(&mut self, at: usize, depth: u32) -> Scan<usize> {
        let mut at = at;
        for _ in ["name", "message"] {
            at = self.item(at, "error")?;
            let Some((_, end)) = self.text_item(at)? else {
                return Err(fault(WireError::BadErrorForm));
            };
            at = end;
        }
        let Next::Item(stack) = self.next(at)? else {
            return self.rest(at);
        };
        // A stack that is not a string counts as absent.
        at = self.json(stack)?;
        let Next::Item(props) = self.next(at)? else {
            return self.rest(at);
        };
        if self.byte(props) != b'{' {
            self.json(props)?;
            return Err(fault(WireError::BadErrorForm));
        }
        let depth = depth + 1;
        at = self.members(props, depth, |scanner, key, at| {
            // These three belong to the form itself. As properties they are not even evaluated.
            if is_key(key, &["name", "message", "stack"]) {
                scanner.json(at)
            } else {
                scanner.value(at, depth)
            }
        })?;
        self.rest(at)
    }

    /// Scans `["url", href]` after its name.
    pub(super) fn url(&self, at: usize) -> Scan<usize> {
        let at = self.item(at, "url")?;
        let end = self.href(at, "url")?;
        self.close(end, "url")
    }

    /// Scans a string that is an absolute URL.
    pub(super) fn href(&self, at: usize, form: &'static str) -> Scan<usize> {
        let href = self.text_item(at)?;
        let valid = href.filter(|(raw, _)| is_url(&unescape(raw)));
        valid
            .map(|(_, end)| end)
            .ok_or_else(|| fault(WireError::BadUrl { form }))
    }

    /// Returns the content of the string literal at `at` and the position after it, or `None` if
    /// there is no string.
    #[inline]
    pub(super) fn text_item(&self, at: usize) -> Scan<Option<(&'a str, usize)>> {
        if self.byte(at) != b'"' {
            return Ok(None);
        }
        let end = self.string(at)?;
        Ok(Some((self.slice(at + 1, end - 1), end)))
    }
}

/// Returns whether the content of a key's literal is one of `names`.
pub(super) fn is_key(raw: &str, names: &[&str]) -> bool {
    let key = unescape(raw);
    names.iter().any(|name| *name == key)
}

/// Returns the number of bytes that a base64 text represents, or `None` if it is not base64.
///
/// Both alphabets are accepted, with or without padding, since peers differ.
fn base64_len(text: &str) -> Option<usize> {
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    let valid = digits.bytes().fold(true, |valid, byte| {
        valid & (byte.is_ascii_alphanumeric() | matches!(byte, b'+' | b'/' | b'-' | b'_'))
    });
    let needed = match digits.len() % 4 {
        0 => 0,
        2 => 2,
        3 => 1,
        _ => return None,
    };
    (valid && padding <= needed).then_some(digits.len() / 4 * 3 + (digits.len() % 4 * 3 / 4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_lengths() {
        for (text, length) in [
            ("", Some(0)),
            ("AQ", Some(1)),
            ("AQ=", Some(1)),
            ("AQ==", Some(1)),
            ("AQI", Some(2)),
            ("AQI=", Some(2)),
            ("AQID", Some(3)),
            ("-_+/", Some(3)),
            ("AQIDBA", Some(4)),
            ("A", None),
            ("AQID=", None),
            ("AQ===", None),
            ("A Q", None),
            ("AQ=A", None),
            ("=", None),
            ("é1", None),
        ] {
            assert_eq!(base64_len(text), length, "{text}");
        }
    }
}
