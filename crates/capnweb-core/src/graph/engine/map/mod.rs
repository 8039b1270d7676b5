//! `.map()`: functions that are recorded on one side and applied on the other.

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

/// A recorded function, and everything that it refers to apart from its input.
#[derive(Clone)]
pub(crate) struct Mapping {
    captures: Vec<Hook>,
    /// A bare array of expressions. In them, IDs refer to captures (negative), the input (0), and
    /// the results of earlier instructions (positive).
    instructions: Arc<str>,
    /// The remaining budget of this map and the maps that contain it.
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

    /// Returns the length of the captures that are available as text, in bytes.
    fn captured_len(&self) -> usize {
        let len = |hook: &Hook| match hook.follow() {
            Settled::Yes(Hook::Value(payload)) => payload.view().text.len(),
            _ => 0,
        };
        self.captures.iter().map(len).sum()
    }

    /// Returns the captures as a bare array of stubs, their wire format.
    pub(crate) fn captures_as_payload(&self) -> Payload {
        let mut draft = crate::graph::payload::Draft::default();
        draft.text.push(b'[');
        for hook in &self.captures {
            if draft.text.len() > 1 {
                draft.text.push(b',');
            }
            // This fails only beyond 4 GiB.
            let _ = draft.push_cap(Cap::stub(hook.clone()));
        }
        draft.text.push(b']');
        draft.take_payload()
    }
}

/// The resources that a map may use, including all maps nested in it.
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

    /// Returns bytes that were spent and are no longer used.
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
        // Once the budget is exceeded nothing is left, not even for smaller amounts: the outer map
        // fails along with a nested one.
        let rest = |left: usize| left.saturating_sub(count);
        // Nested maps share the budget, possibly on other threads, but usually there are none.
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
