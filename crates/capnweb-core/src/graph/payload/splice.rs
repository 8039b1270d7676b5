//! Copying of content with promises replaced by their outcomes.

use super::{Cap, Payload};
use crate::{graph::error::Result, limits::LimitExceeded, util::invariant::Invariant};

/// The consumer of the content that [`splice`] copies.
pub(crate) trait Splicer {
    /// Takes a piece of text.
    ///
    /// # Errors
    ///
    /// Returns an error if the content gets too long.
    fn text(&mut self, text: &str) -> Result<()>;

    /// Takes a capability, or returns the content that replaces it. `is_whole` is true if the
    /// capability makes up its whole payload.
    ///
    /// # Errors
    ///
    /// Returns an error if the capability cannot be used.
    fn cap(&mut self, cap: &Cap, is_whole: bool) -> Result<Option<Payload>>;

    /// Returns whether the rest must be copied later, on another thread.
    fn pauses(&self) -> bool {
        false
    }
}

/// The maximum number of levels of values that contain one another through promises.
const MAX_LEVELS: usize = 512;

/// A payload that is being copied.
struct Level {
    payload: Payload,
    /// The index of the next capability.
    cap: usize,
    /// The number of bytes of text that have been copied.
    copied: usize,
}

impl Level {
    fn new(payload: Payload) -> Self {
        Self {
            payload,
            cap: 0,
            copied: 0,
        }
    }
}

/// Copies `payload` piece by piece. Content that replaces a capability is copied in the same way.
/// This does not recurse, because a peer determines the depth.
///
/// # Errors
///
/// Returns an error if `splicer` fails, or if values are nested through too many promises.
pub(crate) fn splice(payload: Payload, splicer: &mut impl Splicer) -> Result<()> {
    let mut splice = Splice::new(payload);
    while !splice.advance(splicer)? {}
    Ok(())
}

/// A copy in progress, which can be interrupted.
pub(crate) struct Splice {
    levels: Vec<Level>,
}

impl Splice {
    pub(crate) fn new(payload: Payload) -> Self {
        Self {
            levels: vec![Level::new(payload)],
        }
    }

    /// Copies until `splicer` pauses. Returns whether everything has been copied.
    ///
    /// # Errors
    ///
    /// Returns the error of `splicer`, or an error if values refer to values too often.
    pub(crate) fn advance(&mut self, splicer: &mut impl Splicer) -> Result<bool> {
        let levels = &mut self.levels;
        while let Some(level) = levels.last_mut() {
            let view = level.payload.view();
            let hole = view.spans.get(level.cap).zip(view.caps.get(level.cap));
            let until = hole.map_or(view.text.len(), |(span, _)| span.start as usize);
            let text = view.text.get(level.copied..until);
            splicer.text(text.or_bug("holes are in order, within the text"))?;
            let Some((span, cap)) = hole else {
                levels.pop();
                continue;
            };
            level.copied = span.end as usize;
            level.cap += 1;
            let is_whole = span.len() == view.text.len();
            if let Some(content) = splicer.cap(cap, is_whole)? {
                if levels.len() >= MAX_LEVELS {
                    return Err(LimitExceeded::depth(MAX_LEVELS).into());
                }
                levels.push(Level::new(content));
            }
            if splicer.pauses() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
