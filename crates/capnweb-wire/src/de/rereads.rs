//! Bounds on the repeated reading of parts of a text.
//!
//! An untagged enum is read once per variant, and each of its variants may contain another such
//! enum. Without a bound, the time to read a short text that fits none of the variants would double
//! with each level. Tags at the end of objects would make each level search for its own.

use std::{
    cell::{Cell, OnceCell, RefCell},
    collections::HashMap,
};

use smallvec::SmallVec;

use crate::{invariant::Invariant, lex};

/// The cost that any text may have, however short it is.
const BASE: usize = 256 * 1024;

/// The additional cost that a text may have per byte.
const COST_PER_BYTE: usize = 64;

/// The cost of reading a value again, in addition to its bytes.
const COST_PER_ATTEMPT: usize = 16;

/// The size up to which the end of a container is searched each time.
const SHORT: usize = 256;

/// A record of the earlier readings of a text's parts.
///
/// Most texts are read once, and pay only for a word that says so.
pub(super) struct Rereads {
    text_len: usize,
    seen: OnceCell<Box<Seen>>,
}

/// The record for a text whose parts are read more than once.
#[derive(Default)]
struct Seen {
    /// The start of the last value, in text order, that was read for the first time.
    furthest: Cell<usize>,
    /// The cost of repeated reading so far.
    spent: Cell<usize>,
    /// The ends of containers by their starts.
    ends: RefCell<HashMap<usize, usize>>,
}

impl Rereads {
    #[inline]
    pub(super) fn of(text: &str) -> Self {
        Self {
            text_len: text.len(),
            seen: OnceCell::new(),
        }
    }

    #[cold]
    fn seen(&self) -> &Seen {
        self.seen.get_or_init(Box::default)
    }

    /// Notes that parts of the text are read more than once.
    pub(super) fn expect_more(&self) {
        self.seen();
    }

    /// Returns whether parts of the text are read more than once.
    #[inline]
    pub(super) fn is_repeated(&self) -> bool {
        self.seen.get().is_some()
    }

    /// Notes that the value at `start` is about to be read. Returns whether it was read before.
    pub(super) fn begin(&self, start: usize) -> bool {
        let furthest = &self.seen().furthest;
        let is_again = start < furthest.get();
        if !is_again {
            furthest.set(start);
        }
        is_again
    }

    /// Returns the cost so far.
    pub(super) fn spent(&self) -> usize {
        self.seen.get().map_or(0, |seen| seen.spent.get())
    }

    /// Adds the cost of having read `bytes` again. This includes the costs added since the total
    /// was `before`.
    pub(super) fn charge(&self, bytes: usize, before: usize) {
        let spent = &self.seen().spent;
        let inner = spent.get().saturating_sub(before);
        let cost = bytes.saturating_sub(inner) + COST_PER_ATTEMPT;
        spent.set(spent.get().saturating_add(cost));
    }

    /// Returns whether parts of the text have been read too often.
    #[inline]
    pub(super) fn is_exhausted(&self) -> bool {
        self.seen.get().is_some_and(|seen| {
            let limit = self.text_len.saturating_mul(COST_PER_BYTE);
            seen.spent.get() > limit.saturating_add(BASE)
        })
    }

    /// Returns the end of the container at `start`. Distant ends are remembered, including those of
    /// the containers inside.
    pub(super) fn end_of_container(&self, text: &[u8], start: usize) -> Option<usize> {
        let mut ends = self.seen().ends.borrow_mut();
        if let Some(&end) = ends.get(&start) {
            return Some(end);
        }
        let mut open = SmallVec::<[usize; 32]>::new();
        let mut at = start;
        loop {
            match text.get(at)? {
                b'"' => {
                    at = lex::skip_string(text, at)?;
                    continue;
                }
                b'[' | b'{' => open.push(at),
                b']' | b'}' => {
                    let begun = open.pop().or_bug("a container was opened");
                    if at - begun > SHORT {
                        ends.insert(begun, at + 1);
                    }
                    if open.is_empty() {
                        return Some(at + 1);
                    }
                }
                _ => {}
            }
            at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_found_once() {
        let inner = format!("[{}\"]\"]", "1,".repeat(SHORT));
        let text = format!("[{{\"a\":{inner}}},[]]");
        let rereads = Rereads::of(&text);
        assert_eq!(
            rereads.end_of_container(text.as_bytes(), 0),
            Some(text.len())
        );
        let start = r#"[{"a":"#.len();
        let end = start + inner.len();
        assert_eq!(rereads.end_of_container(text.as_bytes(), start), Some(end));
        // The text is not searched again.
        assert_eq!(rereads.end_of_container(b"", start), Some(end));
        assert_eq!(rereads.end_of_container(b"", 1), Some(end + 1));
        assert_eq!(rereads.end_of_container(b"", 0), Some(text.len()));
        assert_eq!(rereads.end_of_container(b"", text.len() - 3), None);
        assert_eq!(rereads.end_of_container(b"[[", 5), None);
    }

    #[test]
    fn only_what_is_read_again_has_a_cost() {
        let rereads = Rereads::of("12345");
        assert!(!rereads.begin(0) && !rereads.begin(3) && !rereads.begin(3));
        assert!(rereads.begin(1));
        rereads.charge(100, 0);
        assert_eq!(rereads.spent(), 100 + COST_PER_ATTEMPT);
        // The cost of inner values is not counted twice.
        rereads.charge(150, 0);
        assert_eq!(rereads.spent(), 150 + COST_PER_ATTEMPT);
        assert!(!rereads.is_exhausted());
        rereads.charge(BASE + 5 * COST_PER_BYTE, rereads.spent());
        assert!(rereads.is_exhausted());
    }
}
