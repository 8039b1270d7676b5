//! Bounds on what no frame contained.

use crate::{graph::error::Error, limits::Limits};

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
            b']' | b'}' => depth -= usize::from(open.pop().unwrap_or_default()),
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

/// Whether values that stand at depth `at` and were put together of parts are nested no deeper than
/// peers take by default.
pub(crate) fn check_depth(text: &str, at: usize) -> Result<(), Error> {
    let limit = capnweb_wire::Limits::default().max_depth;
    // Mostly there are not even so many brackets.
    let brackets = text
        .bytes()
        .filter(|byte| matches!(byte, b'[' | b'{'))
        .count();
    if brackets + at < limit || depth(text) + at < limit {
        return Ok(());
    }
    Err(Error::limit(format!(
        "a value that is to be sent exceeds the maximum depth of {limit}"
    )))
}

/// Whether content that substitution made is within the limits that hold for frames.
pub(crate) fn check_size(text_len: usize, caps: usize, limits: &Limits) -> Result<(), Error> {
    if text_len.saturating_add(caps.saturating_mul(crate::graph::payload::Cap::COST))
        > limits.max_message_bytes()
    {
        return Err(Error::limit(format!(
            "a value with promises filled in exceeds the maximum message size of {} bytes",
            limits.max_message_bytes()
        )));
    }
    Ok(())
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
}
