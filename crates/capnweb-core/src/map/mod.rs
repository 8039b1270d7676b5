//! `.map()`: a function that is recorded here and applied there.

mod apply;
mod record;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

pub(crate) use self::{
    apply::apply,
    record::{Placeholder, escaped, is_recording, record, record_map},
};
use crate::{
    error::{Error, Result},
    hook::Hook,
    payload::{Cap, Payload},
    session::Limits,
};

/// A recorded function, and what it refers to besides its input.
#[derive(Clone)]
pub(crate) struct Mapping {
    captures: Vec<Hook>,
    /// A bare array of expressions. Inside, IDs mean captures (negative), the input (0) and the
    /// results of earlier instructions (positive).
    instructions: Arc<str>,
    /// What this map may still use, with those that it is nested in.
    budget: Option<Arc<Budget>>,
}

impl Mapping {
    pub(crate) fn received(
        captures: Vec<Hook>,
        instructions: &str,
        budget: Option<Arc<Budget>>,
    ) -> Self {
        Self {
            captures,
            instructions: instructions.into(),
            budget,
        }
    }

    pub(crate) fn instructions(&self) -> &str {
        &self.instructions
    }

    /// The captures as a bare array of stubs, as they are written on the wire.
    pub(crate) fn captures_as_payload(&self) -> Payload {
        let mut draft = crate::payload::Draft::default();
        draft.text.push(b'[');
        for hook in &self.captures {
            if draft.text.len() > 1 {
                draft.text.push(b',');
            }
            // Fails only past 4 GiB.
            let _ = draft.push_cap(Cap::stub(hook.clone()));
        }
        draft.text.push(b']');
        draft.take_payload()
    }
}

/// What a map, with all that is nested in it, may use.
pub(crate) struct Budget {
    instructions: AtomicUsize,
    bytes: AtomicUsize,
}

impl Budget {
    fn new(limits: &Limits) -> Self {
        Self {
            instructions: AtomicUsize::new(limits.max_map_instructions()),
            bytes: AtomicUsize::new(limits.max_map_bytes()),
        }
    }

    fn spend_instructions(&self, count: usize) -> Result<()> {
        spend(
            &self.instructions,
            count,
            "instructions (limit max_map_instructions)",
        )
    }

    fn spend_bytes(&self, count: usize) -> Result<()> {
        spend(&self.bytes, count, "bytes (limit max_map_bytes)")
    }
}

fn spend(left: &AtomicUsize, count: usize, what: &str) -> Result<()> {
    // Once exceeded nothing is left, not even for less: the map around a nested one fails too.
    let spent = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
        Some(left.saturating_sub(count))
    });
    match spent {
        Ok(left) if left >= count => Ok(()),
        _ => Err(Error::limit(format!("a map exceeds its number of {what}"))),
    }
}
