//! Objects with duplicate keys. The last one counts, as in JavaScript.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use smallvec::SmallVec;

use crate::invariant::Invariant;
use crate::{lex, sort::sort_by_key, unescape};

/// Returns the positions of all keys in `text` that are followed by the same key in their object,
/// in ascending order.
///
/// This takes one pass over the whole text. A search object by object would visit the innermost
/// object once per level.
pub(super) fn shadowed_keys(text: &str) -> Vec<u32> {
    let bytes = text.as_bytes();
    let mut shadowed = Vec::new();
    let mut open: Vec<HashMap<Cow<'_, str>, u32>> = Vec::new();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'[' | b'{' => open.push(HashMap::new()),
            b']' | b'}' => drop(open.pop()),
            b'"' => {
                let Some(end) = lex::skip_string(bytes, at) else {
                    break;
                };
                let raw = text.get(at + 1..end - 1).or_bug("a key is in quotes");
                let start = at;
                at = lex::skip_ws(bytes, end);
                // Only keys are followed by a colon.
                if let (Some(b':'), Some(keys), Ok(start)) =
                    (bytes.get(at), open.last_mut(), u32::try_from(start))
                {
                    shadowed.extend(keys.insert(unescape(raw), start));
                }
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    sort_by_key(&mut shadowed, |place| *place);
    shadowed
}

/// The keys of one object so far.
#[derive(Default)]
pub(super) struct Seen<'de> {
    few: SmallVec<[Cow<'de, str>; FEW]>,
    many: HashSet<Cow<'de, str>>,
}

/// The number of keys up to which they are compared one by one.
const FEW: usize = 8;

impl<'de> Seen<'de> {
    /// Records `key`. Returns false if it was recorded before.
    pub(super) fn insert(&mut self, key: Cow<'de, str>) -> bool {
        if !self.many.is_empty() {
            return self.many.insert(key);
        }
        if self.few.contains(&key) {
            return false;
        }
        if self.few.len() < FEW {
            self.few.push(key);
        } else {
            self.many.extend(self.few.drain(..));
            self.many.insert(key);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shadowed_keys_are_found_wherever_they_are() {
        for (text, expected) in [
            (r#"{"a":1,"b":2}"#, vec![]),
            (r#"{"a":1,"a":2}"#, vec![1]),
            (r#"{"a":1,"\u0061" : 2,"a":3}"#, vec![1, 7]),
            (r#"{"a":{"a":1},"b":{"a":"a"}}"#, vec![]),
            (r#"[[{"x":{"y":1,"y":2},"x":3}]]"#, vec![3, 8]),
            (r#"["a","a"]"#, vec![]),
            (r#"{"a"#, vec![]),
            ("]}", vec![]),
        ] {
            assert_eq!(shadowed_keys(text), expected, "{text}");
        }
    }

    #[test]
    fn keys_are_seen_once() {
        let mut seen = Seen::default();
        for round in [true, false] {
            for number in 0..40 {
                assert_eq!(seen.insert(number.to_string().into()), round, "{number}");
            }
        }
    }
}
