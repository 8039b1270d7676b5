//! Bounds on what no frame contained.

use crate::{
    limits::{Limit, LimitExceeded, Limits, utf16_len},
    util::invariant::Invariant,
};

/// How deep the value `text` is nested: objects and arrays count, forms do not.
pub(crate) fn depth(text: &str) -> usize {
    // What each open bracket counts. The double bracket of an array counts once.
    let mut open: Vec<bool> = Vec::new();
    let (mut depth, mut deepest) = (0usize, 0);
    // White space is not part of it: a bracket may be far from the one that it doubles.
    let mut bytes = text
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .peekable();
    let mut inner = false;
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => skip_string(&mut bytes),
            b'[' | b'{' => {
                let counts = inner || byte == b'{';
                inner = !counts && bytes.peek() == Some(&b'[');
                open.push(counts);
                depth += usize::from(counts);
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth -= usize::from(open.pop().or_bug("brackets of a payload match")),
            _ => {}
        }
    }
    deepest
}

fn skip_string(bytes: &mut impl Iterator<Item = u8>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => {
                bytes.next();
            }
            _ => {}
        }
    }
}

/// Returns whether content is nested less than `levels` deep.
pub(crate) fn is_less_deep(text: &str, levels: usize) -> bool {
    // A level takes two bytes at the least, to open it and to close it.
    if text.len() / 2 < levels {
        return true;
    }
    // Mostly there are not even so many brackets.
    let brackets = text.bytes().filter(|byte| matches!(byte, b'[' | b'{'));
    brackets.count() < levels || depth(text) < levels
}

/// Checks that values which stand at depth `at` and were put together of parts are nested less than
/// `max_depth` deep.
///
/// # Errors
///
/// Fails if they are deeper.
pub(crate) fn check_depth(text: &str, at: usize, max_depth: usize) -> Result<(), LimitExceeded> {
    if is_less_deep(text, max_depth.saturating_sub(at)) {
        Ok(())
    } else {
        Err(LimitExceeded::depth(max_depth))
    }
}

/// Counts the length of content that grows, in UTF-16 code units as messages are measured.
///
/// There are never more code units than bytes, so nothing is counted before the bytes are too many.
#[derive(Default)]
pub(crate) struct Growth {
    /// The number of bytes that have been counted.
    counted: usize,
    units: usize,
}

impl Growth {
    /// Checks that `text`, of which the beginning may have been checked before, and `extra` units
    /// that stand for what is not in it are within the limit for messages.
    ///
    /// # Errors
    ///
    /// Fails if the content is larger.
    pub(crate) fn check(
        &mut self,
        text: &[u8],
        extra: usize,
        limits: &Limits,
    ) -> Result<(), LimitExceeded> {
        let limit = limits.max_message_size();
        if text.len().saturating_add(extra) <= limit {
            return Ok(());
        }
        self.units += utf16_len(text.get(self.counted..).or_bug("text only grows"));
        self.counted = text.len();
        if self.units.saturating_add(extra) <= limit {
            return Ok(());
        }
        Err(LimitExceeded::new(
            Limit::MessageSize,
            format!(
                "a computed value exceeds the maximum message size of {limit} UTF-16 code units \
                 (limit max_message_size)"
            ),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_that_of_the_value() {
        for (text, expected) in [
            ("1", 0),
            (r#"["date",0]"#, 0),
            (r#""[[{""#, 0),
            ("[[1]]", 1),
            ("[[[[1]],[[]]]]", 2),
            (r#"{"a":[[{"\"[":1}]]}"#, 3),
            (r#"[[["bytes","AA"],{}]]"#, 2),
            ("[ \t[ [\r\n[1] ] , [ [ ] ] ] ]", 2),
            (r#"{ "[ [" : [ [ "\\" , "\" [[" , [ [ ] ] ] ] }"#, 3),
        ] {
            assert_eq!(depth(text), expected, "{text}");
        }
    }

    #[test]
    fn growth_is_measured_in_code_units() {
        let limits = Limits::default().with_max_message_size(10);
        let (mut text, mut growth) = (String::new(), Growth::default());
        for _ in 0..10 {
            text.push('€');
            assert!(growth.check(text.as_bytes(), 0, &limits).is_ok(), "{text}");
        }
        assert!(growth.check(text.as_bytes(), 1, &limits).is_err());
        text.push('a');
        let error = growth.check(text.as_bytes(), 0, &limits).unwrap_err();
        assert_eq!(error.limit, Limit::MessageSize);
    }
}
