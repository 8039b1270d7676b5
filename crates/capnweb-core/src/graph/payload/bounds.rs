//! Bounds on values that were not received in one piece.

use crate::{
    limits::{Limit, LimitExceeded, Limits, utf16_len},
    util::invariant::Invariant,
};

/// Returns how deeply the value `text` is nested. Objects and arrays count, forms do not.
pub(crate) fn depth(text: &str) -> usize {
    // For each open bracket, whether it counts. The double bracket of an array counts once.
    let mut open: Vec<bool> = Vec::new();
    let (mut depth, mut deepest) = (0usize, 0);
    // Skip white space, since there may be some between the two brackets of an array.
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
    // A level takes at least two bytes: one to open it and one to close it.
    if text.len() / 2 < levels {
        return true;
    }
    // Usually there are too few brackets for that depth.
    let brackets = text.bytes().filter(|byte| matches!(byte, b'[' | b'{'));
    brackets.count() < levels || depth(text) < levels
}

/// Checks that values at depth `at`, which were assembled from parts, are nested less than
/// `max_depth` deep.
///
/// # Errors
///
/// Returns an error if they are nested deeper.
pub(crate) fn check_depth(text: &str, at: usize, max_depth: usize) -> Result<(), LimitExceeded> {
    if is_less_deep(text, max_depth.saturating_sub(at)) {
        Ok(())
    } else {
        Err(LimitExceeded::depth(max_depth))
    }
}

/// Counts the length of growing content, in UTF-16 code units like the length of messages.
///
/// There are never more code units than bytes. So nothing is counted until the number of bytes
/// exceeds the limit.
#[derive(Default)]
pub(crate) struct Growth {
    /// The number of bytes that have been counted.
    counted: usize,
    units: usize,
}

impl Growth {
    /// Checks that `text` and `extra` further units are within the limit for messages. `extra`
    /// stands for parts that are not in the text. The beginning of `text` may have been checked
    /// before.
    ///
    /// # Errors
    ///
    /// Returns an error if the content is too long.
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
