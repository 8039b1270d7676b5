//! Offsets into a large text, so that picking from it does not walk over it each time.
//!
//! A peer determines both the size of a value and the number of picks, so the total work must not
//! be their product. Three parts ensure that:
//!
//! - The *outline* is computed once per text in one pass: the end of each value of [`LARGE`] bytes
//!   or more, so that walks skip it.
//! - A *listing* exists for each container that was picked from and is long even without its large
//!   values: a [`Mark`] every [`MARK_EVERY`] bytes and, for an object, its keys in hash buckets.
//! - Smaller containers are walked each time, at a cost that is bounded by a constant.
//!
//! Memory is bounded too, since a peer causes its growth: eight bytes per large value, twelve per
//! mark, and little more than four per key, which takes at least five in the text.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::entries::{Entries, Entry, literal_is};
use crate::invariant::Invariant;
use crate::pick::{Target, span};
use crate::{Kind, Span, kind, lex};

/// The size in bytes from which a value is walked only once.
const LARGE: usize = 2048;

/// The minimum distance between two marks of a listing, in bytes.
const MARK_EVERY: usize = 128;

/// The average number of keys in a hash bucket.
const KEYS_PER_BUCKET: usize = 16;

/// An index of positions in one text, for [`pick`](crate::pick).
///
/// Nothing is computed until the first pick from a large container. It is worthwhile for texts of a
/// kilobyte or more, and may be shared between threads.
pub struct Index {
    outline: OnceLock<Outline>,
    /// The listings by the start of their container.
    listings: Mutex<HashMap<u32, Arc<Listing>>>,
    /// The hasher, with a random seed: peers must not know which keys share a bucket.
    hasher: RandomState,
    /// The length of the text, to detect the use of another text.
    length: usize,
}

impl Index {
    /// Creates an index for `text`.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self {
            outline: OnceLock::new(),
            listings: Mutex::default(),
            hasher: RandomState::new(),
            length: text.len(),
        }
    }

    /// Finds `target` in the container at `at`.
    pub(crate) fn find(&self, text: &str, at: Span, target: &Target<'_>) -> Option<Span> {
        debug_assert_eq!(text.len(), self.length, "an index of another text");
        let outline = if at.len() < LARGE {
            &Outline::EMPTY
        } else {
            self.outline.get_or_init(|| Outline::new(text))
        };
        if let Some(listing) = self.listings().get(&at.start).cloned() {
            return listing.find(text, &self.hasher, target);
        }
        match walk(text, at, outline, target) {
            WalkOutcome::Done(found) => found,
            WalkOutcome::TooLong => {
                let listing = Arc::new(Listing::new(text, at, outline, &self.hasher)?);
                let found = listing.find(text, &self.hasher, target);
                self.listings().insert(at.start, listing);
                found
            }
        }
    }

    fn listings(&self) -> std::sync::MutexGuard<'_, HashMap<u32, Arc<Listing>>> {
        self.listings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index")
            .field("length", &self.length)
            .field("listings", &self.listings().len())
            .finish_non_exhaustive()
    }
}

/// The outcome of a search by walking.
enum WalkOutcome {
    /// The search is complete.
    Done(Option<Span>),
    /// The container is too long to walk each time.
    TooLong,
}

/// Searches the entries up to the bound on walking.
fn walk(text: &str, at: Span, outline: &Outline, target: &Target<'_>) -> WalkOutcome {
    let Some(mut entries) = Entries::of(text, at) else {
        return WalkOutcome::Done(None);
    };
    let mut found = None;
    let mut place = 0_u64;
    let mut walked = 0_usize;
    let mut before = at.start as usize;
    while let Some(entry) = entries.next_with(|at| outline.skip(text, at)) {
        // The text between the entries counts as well, since a peer can insert any amount of white
        // space.
        walked += entry.value - before;
        walked += (entry.end - entry.value).min(MARK_EVERY);
        before = entry.end;
        if walked > LARGE {
            return WalkOutcome::TooLong;
        }
        match target {
            Target::Element(wanted) if *wanted == place => {
                return WalkOutcome::Done(span(entry.value, entry.end));
            }
            Target::Property(key) if literal_is(text, entry.start, key).is_some() => {
                found = span(entry.value, entry.end);
            }
            _ => {}
        }
        place += 1;
    }
    WalkOutcome::Done(found)
}

/// The values of [`LARGE`] bytes or more in a text, ordered by their start.
struct Outline {
    large: Vec<Span>,
}

impl Outline {
    const EMPTY: Self = Self { large: Vec::new() };

    fn new(text: &str) -> Self {
        let bytes = text.as_bytes();
        let mut large = Vec::new();
        // The place in `large` of each open container.
        let mut open = Vec::new();
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            let start = at;
            at = match byte {
                b'"' => lex::skip_string(bytes, at).unwrap_or(bytes.len()),
                b'[' | b'{' => {
                    open.push(large.len());
                    large.extend(span(start, start));
                    at += 1;
                    continue;
                }
                b']' | b'}' => {
                    at += 1;
                    let Some(place) = open.pop() else { continue };
                    let Some(container) = large.get_mut(place) else {
                        continue;
                    };
                    container.end = u32::try_from(at).or_bug("indexed texts are short");
                    if container.len() < LARGE {
                        // Everything inside is smaller still, so this is the last one in the list.
                        large.truncate(place);
                    }
                    continue;
                }
                _ => lex::skip_scalar(bytes, at).max(at + 1),
            };
            if at - start >= LARGE {
                large.extend(span(start, at));
            }
        }
        large.shrink_to_fit();
        Self { large }
    }

    /// Returns the end of the value, or key, that starts at `at`.
    fn skip(&self, text: &str, at: usize) -> Option<usize> {
        let known = self
            .large
            .binary_search_by_key(&at, |large| large.start as usize);
        match known.ok().and_then(|place| self.large.get(place)) {
            Some(large) => Some(large.end as usize),
            None => lex::skip_value(text.as_bytes(), at),
        }
    }
}

/// The positions of a container's entries.
struct Listing {
    /// The marks in order. The first is at the first entry, and the last where a further entry
    /// would be.
    marks: Vec<Mark>,
    keys: Option<Keys>,
}

/// A known position among the entries of a container.
#[derive(Clone, Copy)]
struct Mark {
    /// The number of entries before the mark.
    place: u32,
    /// The start of the entry.
    start: u32,
    /// The end of the previous entry. At most [`MARK_EVERY`] bytes separate the entry before that
    /// one from the previous mark.
    before: u32,
}

impl Listing {
    fn new(text: &str, at: Span, outline: &Outline, hasher: &RandomState) -> Option<Self> {
        let object = kind(text, at) == Kind::Object;
        let mut entries = Entries::of(text, at)?;
        let mut marks: Vec<Mark> = Vec::new();
        let mut keys = Vec::new();
        let mut place = 0;
        let mut before = at.start;
        while let Some(entry) = entries.next_with(|at| outline.skip(text, at)) {
            let start = u32::try_from(entry.start).ok()?;
            let due = marks
                .last()
                .is_none_or(|mark| entry.start - mark.start as usize >= MARK_EVERY);
            if due {
                marks.push(Mark {
                    place,
                    start,
                    before,
                });
            }
            if object {
                keys.push(start);
            }
            place += 1;
            before = u32::try_from(entry.end).ok()?;
        }
        marks.push(Mark {
            place,
            start: at.end,
            before,
        });
        marks.shrink_to_fit();
        let keys = object.then(|| Keys::new(text, keys, outline, hasher));
        Some(Self { marks, keys })
    }

    fn find(&self, text: &str, hasher: &RandomState, target: &Target<'_>) -> Option<Span> {
        let entry = match (target, &self.keys) {
            (Target::Element(place), None) => self.element(text, *place)?,
            (Target::Property(key), Some(keys)) => {
                let (start, value) = keys.find(text, hasher, key)?;
                let next = self.marks.partition_point(|mark| mark.start <= start);
                let end = self.value_end(text, value, next)?;
                let start = start as usize;
                Entry { start, value, end }
            }
            _ => return None,
        };
        span(entry.value, entry.end)
    }

    fn element(&self, text: &str, place: u64) -> Option<Entry> {
        let place = u32::try_from(place).ok()?;
        let next = self.marks.partition_point(|mark| mark.place <= place);
        // The last mark is not an entry.
        self.marks.get(next)?;
        let mark = self.marks.get(next.checked_sub(1)?)?;
        let mut entries = Entries::resume(text, false, mark.start as usize);
        let mut entry = None;
        for _ in mark.place..=place {
            entry = entries.next_with(|at| self.value_end(text, at, next));
        }
        entry
    }

    /// Returns the end of the value at `value`, which is before the mark at `next`.
    fn value_end(&self, text: &str, value: usize, next: usize) -> Option<usize> {
        let mark = self.marks.get(next.checked_sub(1)?)?;
        // Unless it is the last entry before the next mark, the following entry starts within this
        // stretch.
        let stretch = (mark.start as usize + MARK_EVERY).min(text.len());
        let near = text
            .as_bytes()
            .get(..stretch)
            .or_bug("a stretch is within the text");
        let end = lex::skip_value(near, value).filter(|&end| end < stretch);
        match end {
            Some(end) => Some(end),
            None => Some(self.marks.get(next)?.before as usize),
        }
    }
}

/// The keys of an object, grouped by hash.
struct Keys {
    /// The index in `starts` at which each bucket begins, and the end of the last one.
    buckets: Vec<u32>,
    /// The starts of the keys' literals, in text order within each bucket.
    starts: Vec<u32>,
}

impl Keys {
    fn new(text: &str, keys: Vec<u32>, outline: &Outline, hasher: &RandomState) -> Self {
        let count = keys.len() / KEYS_PER_BUCKET + 1;
        let bucket_of = |start: u32| {
            let start = start as usize;
            let end = outline.skip(text, start).unwrap_or(start);
            let raw = text
                .get(start + 1..end.saturating_sub(1))
                .or_bug("a key is in quotes");
            bucket(hasher, &lex::unescape(raw), count)
        };
        let chosen: Vec<usize> = keys.iter().map(|&start| bucket_of(start)).collect();
        let mut buckets = vec![0_u32; count + 1];
        for &chosen in &chosen {
            if let Some(size) = buckets.get_mut(chosen) {
                *size += 1;
            }
        }
        // These are sizes. Turn them into ends and then, by filling from the back, into starts.
        let mut end = 0;
        for size in &mut buckets {
            end += *size;
            *size = end;
        }
        let mut starts = vec![0; keys.len()];
        for (&start, &chosen) in keys.iter().zip(&chosen).rev() {
            if let Some(begin) = buckets.get_mut(chosen) {
                *begin -= 1;
                if let Some(slot) = starts.get_mut(*begin as usize) {
                    *slot = start;
                }
            }
        }
        Self { buckets, starts }
    }

    /// Returns the starts of the last key equal to `key` and of its value.
    fn find(&self, text: &str, hasher: &RandomState, key: &str) -> Option<(u32, usize)> {
        let bucket = bucket(hasher, key, self.buckets.len() - 1);
        let (begin, end) = (*self.buckets.get(bucket)?, *self.buckets.get(bucket + 1)?);
        let starts = self.starts.get(begin as usize..end as usize)?;
        starts.iter().rev().find_map(|&start| {
            let end = literal_is(text, start as usize, key)?;
            let bytes = text.as_bytes();
            let colon = lex::skip_ws(bytes, end);
            Some((start, lex::skip_ws(bytes, colon + 1)))
        })
    }
}

fn bucket(hasher: &RandomState, key: &str, count: usize) -> usize {
    // The remainder of a division by the count always fits.
    usize::try_from(hasher.hash_one(key) % count.max(1) as u64).or_bug("it is below a `usize`")
}

#[cfg(test)]
mod tests;
