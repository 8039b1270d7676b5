//! `.map()`: a function that is recorded here and applied there.

mod apply;
mod program;
mod record;
mod template;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering, fence},
};

pub(crate) use self::{
    apply::apply,
    record::{Placeholder, escaped, is_recording, record, record_map},
};
use crate::{
    graph::{
        error::Result,
        hook::{Hook, Settled},
        payload::{Cap, Payload},
    },
    limits::{Limit, LimitExceeded, Limits},
    util::invariant::Invariant,
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

    /// Returns the length of the captures that are there as text, in bytes.
    fn captured_len(&self) -> usize {
        let len = |hook: &Hook| match hook.follow() {
            Settled::Yes(Hook::Value(payload)) => payload.view().text.len(),
            _ => 0,
        };
        self.captures.iter().map(len).sum()
    }

    /// The captures as a bare array of stubs, as they are written on the wire.
    pub(crate) fn captures_as_payload(&self) -> Payload {
        let mut draft = crate::graph::payload::Draft::default();
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

    fn spend_instructions(self: &Arc<Self>, count: usize) -> Result<()> {
        self.spend(
            &self.instructions,
            count,
            Limit::MapInstructions,
            "instructions (limit max_map_instructions)",
        )
    }

    fn spend_bytes(self: &Arc<Self>, count: usize) -> Result<()> {
        self.spend(
            &self.bytes,
            count,
            Limit::MapBytes,
            "bytes (limit max_map_bytes)",
        )
    }

    /// What has been spent is not used any more.
    fn return_bytes(&self, count: usize) {
        self.bytes.fetch_add(count, Ordering::Relaxed);
    }

    fn spend(
        self: &Arc<Self>,
        left: &AtomicUsize,
        count: usize,
        limit: Limit,
        what: &str,
    ) -> Result<()> {
        // Once exceeded nothing is left, not even for less: the map around a nested one fails too.
        let rest = |left: usize| left.saturating_sub(count);
        // Maps that are nested in this one have it too, on other threads perhaps, but mostly there are none.
        let had = if Arc::strong_count(self) == 1 {
            fence(Ordering::Acquire);
            let had = left.load(Ordering::Relaxed);
            left.store(rest(had), Ordering::Relaxed);
            had
        } else {
            let (set, read) = (Ordering::Relaxed, Ordering::Relaxed);
            let spent = left.fetch_update(set, read, |left| Some(rest(left)));
            spent.or_bug("the update always succeeds")
        };
        if had >= count {
            Ok(())
        } else {
            let message = format!("a map exceeds its number of {what}");
            Err(LimitExceeded::new(limit, message).into())
        }
    }
}
