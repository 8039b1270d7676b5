//! Bytes as the protocol writes them: base64.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

use self::digits::{decode, encode};
use crate::Container;
use crate::invariant::Invariant;

mod digits;

/// Returns the number of base64 digits for this number of bytes.
#[must_use]
pub fn base64_len(bytes: usize) -> usize {
    bytes / 3 * 4 + [0, 2, 3][bytes % 3]
}

/// Appends `["bytes","…"]`: the standard alphabet, no padding.
pub(crate) fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(b"[\"bytes\",\"");
    write_base64(out, bytes);
    out.extend_from_slice(b"\"]");
}

/// Appends bytes as base64 digits: in the standard alphabet, without padding.
pub fn write_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    let start = out.len();
    out.resize(start + base64_len(bytes.len()), 0);
    let digits = out.get_mut(start..).or_bug("the text has just grown");
    encode(bytes, digits);
}

/// Appends bytes like [`write_bytes`], with the name of a container.
pub(crate) fn write_contained(out: &mut Vec<u8>, bytes: &[u8], container: Container) {
    write_bytes(out, bytes);
    // The name goes before the closing bracket.
    out.pop();
    out.extend_from_slice(b",\"");
    out.extend_from_slice(container.name().as_bytes());
    out.extend_from_slice(b"\"]");
}

/// Decodes base64 in either alphabet, padded or not; `None` if the text is not base64.
pub(crate) fn read_bytes(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=').as_bytes();
    let digits = if memchr2(b'-', b'_', digits).is_some() {
        let standard = |&digit: &u8| match digit {
            b'-' => b'+',
            b'_' => b'/',
            other => other,
        };
        Cow::Owned(digits.iter().map(standard).collect())
    } else {
        Cow::Borrowed(digits)
    };
    let mut bytes = Vec::new();
    decode(&digits, &mut bytes)?;
    Some(bytes)
}

/// Reads bytes in their most common spelling: without white space, and in the standard alphabet.
/// Appends them to `out` and returns their container, or returns `None` if `text` is anything else.
pub fn read_form(text: &str, out: &mut Vec<u8>) -> Option<Container> {
    let rest = text.strip_prefix(r#"["bytes",""#)?;
    let end = memchr(b'"', rest.as_bytes())?;
    let (digits, rest) = rest.split_at_checked(end)?;
    let container = match rest {
        r#""]"# => Container::Uint8Array,
        _ => {
            let name = rest.strip_prefix(r#"",""#)?.strip_suffix(r#""]"#)?;
            Container::from_name(name)?
        }
    };
    let start = out.len();
    let digits = digits.trim_end_matches('=').as_bytes();
    if decode(digits, out).is_none() {
        out.truncate(start);
        return None;
    }
    Some(container)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_spelling_is_read() {
        for (text, bytes) in [
            ("", Some(vec![])),
            ("AQ", Some(vec![1])),
            ("AQ==", Some(vec![1])),
            ("AR", Some(vec![1])),
            ("AQI=", Some(vec![1, 2])),
            ("AQID", Some(vec![1, 2, 3])),
            ("-_+/", Some(vec![0xfb, 0xff, 0xbf])),
            ("A", None),
            ("A Q", None),
            ("é1", None),
        ] {
            assert_eq!(read_bytes(text), bytes, "{text}");
        }
    }

    #[test]
    fn a_whole_form_is_read() {
        let read = |text: &str| {
            let mut out = vec![7];
            let container = read_form(text, &mut out);
            assert_eq!(out.remove(0), 7);
            (container, out)
        };
        for (text, container, bytes) in [
            (r#"["bytes","AQI"]"#, Container::Uint8Array, vec![1, 2]),
            (
                r#"["bytes","AQ==","DataView"]"#,
                Container::DataView,
                vec![1],
            ),
            (r#"["bytes",""]"#, Container::Uint8Array, vec![]),
        ] {
            assert_eq!(read(text), (Some(container), bytes), "{text}");
        }
        for text in [
            r#"["bytes","A\u0051"]"#,
            r#"["bytes","AQ","Unheard"]"#,
            r#"["bytes","AQ"],["bytes","AQ"]"#,
            r#"["bytes", "AQ"]"#,
            r#"["bytes","-_"]"#,
            r#"["bytes","AQ"#,
            r#"["bytes",7]"#,
        ] {
            assert_eq!(read(text), (None, vec![]), "{text}");
        }
    }

    proptest! {
        #[test]
        fn bytes_read_back_as_they_were(bytes: Vec<u8>) {
            let mut out = b"x".to_vec();
            write_bytes(&mut out, &bytes);
            let text = String::from_utf8(out).unwrap();
            let digits = text.strip_prefix(r#"x["bytes",""#).and_then(|text| text.strip_suffix(r#""]"#)).unwrap();
            prop_assert!(!digits.contains('='));
            prop_assert_eq!(digits.len(), base64_len(bytes.len()));
            prop_assert_eq!(read_bytes(digits), Some(bytes));
        }
    }
}
