//! What the peer can name: the table of exports.

use std::{sync::Arc, task::Waker};

use super::{
    shared::{Locked, Role, Shared, State},
    table::SeqTable,
};
use crate::{
    error::{Error, Result},
    hook::Hook,
    payload::{Cap, Payload},
    stream::{BoxSource, Slot},
    work::Work,
};

/// Something the peer can name.
pub(super) struct Export {
    pub(super) hook: Hook,
    pub(super) kind: ExportKind,
    /// How many references the peer has.
    pub(super) refs: u64,
    pub(super) answer: AnswerState,
    /// What it costs to hold what it leads to, in bytes.
    pub(super) weight: usize,
    /// Whether its result has been counted.
    pub(super) weighed: bool,
    /// What only few have.
    extra: Option<Box<Extra>>,
}

#[derive(Default)]
struct Extra {
    /// Tasks that want to know when the peer has let go.
    released: Vec<Waker>,
    /// For a pipe, until it is taken: the end that is read from.
    readable: Option<Arc<Slot<BoxSource>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ExportKind {
    /// The result of a call of the peer's.
    Call,
    /// The result of a call of the peer's that it will not name: released by its answer.
    Stream,
    /// A stub of ours.
    Stub,
    /// A promise of ours, which is resolved unasked.
    Promise,
}

/// Whether the peer wants to know the outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AnswerState {
    NotAsked,
    Owed,
    Sent,
}

/// What an entry of the table is reckoned to cost by itself, in bytes.
const ENTRY_WEIGHT: usize = 128;

impl Export {
    pub(super) fn new(hook: Hook, kind: ExportKind) -> Self {
        Self {
            hook,
            kind,
            refs: 1,
            answer: AnswerState::NotAsked,
            weight: 0,
            weighed: false,
            extra: None,
        }
    }

    fn extra(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }

    /// Tasks that want to know when the peer has let go.
    pub(super) fn released(&mut self) -> &mut Vec<Waker> {
        &mut self.extra().released
    }

    /// Takes those tasks out.
    pub(super) fn take_released(&mut self) -> Vec<Waker> {
        let extra = self.extra.as_mut();
        extra.map_or_else(Vec::new, |extra| std::mem::take(&mut extra.released))
    }

    /// Makes a pipe of it, whose end to read from this is.
    pub(super) fn set_readable(&mut self, readable: Arc<Slot<BoxSource>>) {
        self.extra().readable = Some(readable);
    }

    pub(super) fn take_readable(&mut self) -> Option<Arc<Slot<BoxSource>>> {
        self.extra.as_mut()?.readable.take()
    }
}

/// What an ID of the peer's leads to.
pub(super) enum Found {
    Hook(Hook),
    /// It was there, and the peer has released it.
    Released,
    /// It was never given.
    Never,
}

/// The export `id`, which is in one of the two tables.
pub(super) fn export_in<'a>(
    pushes: &'a mut SeqTable<Export>,
    exports: &'a mut SeqTable<Export>,
    id: i64,
) -> Option<&'a mut Export> {
    match id {
        1.. => pushes.get_mut(id.unsigned_abs()),
        _ => exports.get_mut(id.unsigned_abs()),
    }
}

impl State {
    pub(super) fn export(&self, id: i64) -> Option<&Export> {
        match id {
            1.. => self.pushes.get(id.unsigned_abs()),
            _ => self.exports.get(id.unsigned_abs()),
        }
    }

    pub(super) fn export_mut(&mut self, id: i64) -> Option<&mut Export> {
        export_in(&mut self.pushes, &mut self.exports, id)
    }

    /// Takes an export out of the table.
    pub(super) fn remove_export(&mut self, id: i64) -> Option<Export> {
        let export = match id {
            1.. => self.pushes.remove(id.unsigned_abs()),
            _ => self.exports.remove(id.unsigned_abs()),
        }?;
        self.held = self.held.saturating_sub(export.weight);
        match export.answer {
            AnswerState::NotAsked => {}
            AnswerState::Owed => self.unanswered -= 1,
            AnswerState::Sent => self.unread -= 1,
        }
        if export.kind == ExportKind::Stream {
            self.streams -= 1;
        }
        Some(export)
    }

    pub(super) fn find_export(&self, id: i64) -> Found {
        if id == 0 {
            return match &self.main {
                // As a payload, so that it can be duplicated, pulled and mapped like any result.
                Some(main) => Found::Hook(Hook::Value(Payload::from_cap(Cap::stub(main.clone())))),
                None => Found::Hook(Hook::Broken(Error::new(
                    "This connection has no main object.",
                ))),
            };
        }
        let given = match id {
            1.. => self.pushes.was_given(id.unsigned_abs()),
            _ => self.exports.was_given(id.unsigned_abs()),
        };
        match self.export(id) {
            Some(export) => Found::Hook(export.hook.clone()),
            None if given => Found::Released,
            None => Found::Never,
        }
    }

    /// How many exports there are, the main object included.
    pub(super) fn export_count(&self) -> usize {
        self.pushes.len() + self.exports.len() + usize::from(self.ended.is_none())
    }
}

impl Locked<'_> {
    /// Adds a stub or promise of ours under the next ID.
    pub(super) fn add_export(&mut self, hook: Hook, kind: ExportKind) -> i64 {
        let mut export = Export::new(hook, kind);
        if kind == ExportKind::Promise {
            export.answer = AnswerState::Owed;
            self.unanswered += 1;
        }
        let key = self.exports.push(export);
        // JavaScript counts to 2^53, and a table does not get there.
        i64::try_from(key).map_or(i64::MIN, |key| -key)
    }

    /// Adds the result of a call of the peer's under the peer's next ID.
    pub(super) fn add_push(&mut self, export: Export) -> i64 {
        if export.answer == AnswerState::Owed {
            self.unanswered += 1;
        }
        if export.kind == ExportKind::Stream {
            self.streams += 1;
        }
        i64::try_from(self.pushes.push(export)).unwrap_or(i64::MAX)
    }

    /// Drops an export that was taken out of the table.
    pub(super) fn discard(&mut self, mut export: Export) {
        if export.extra.is_some() {
            let readable = export.take_readable();
            self.later
                .extend(readable.map(|readable| Work::DropCaps(vec![Cap::Readable(readable)])));
            self.wake(export.take_released());
        }
        if !export.hook.is_text() {
            self.later(Work::DropHook(export.hook));
        }
        self.check_drained();
        if !self.parked.is_empty() {
            // There may be room for one that waits.
            self.wake_driver();
        }
    }

    /// Wakes those who wait for all answers to be given, if they are.
    pub(super) fn check_drained(&mut self) {
        if self.is_drained() && !self.drained.is_empty() {
            let drained = std::mem::take(&mut self.drained);
            self.wake(drained);
        }
    }
}

impl Shared {
    /// The peer drops `count` references to export `id`.
    pub(super) fn peer_releases(&self, id: i64, count: u64) -> Result<()> {
        let mut state = self.lock();
        if id == 0 {
            // The reference counts its main object like any other. Ours stays.
            return Ok(());
        }
        let Some(export) = state.export_mut(id) else {
            return Err(Error::protocol(format!("no such export ID: {id}")));
        };
        let Some(left) = export.refs.checked_sub(count) else {
            return Err(Error::protocol(format!(
                "refcount would go negative: {} < {count}",
                export.refs
            )));
        };
        export.refs = left;
        if left == 0
            && let Some(export) = state.remove_export(id)
        {
            state.discard(export);
        }
        Ok(())
    }

    /// Whether what the peer holds, or makes us hold, is within the hard limits.
    pub(super) fn check_limits(&self, state: &State) -> Result<()> {
        let limits = &self.limits;
        // Writes to streams are bounded by their bytes: an honest peer can have very many under way.
        let exports = state.pushes.len() + state.exports.len() - state.streams;
        let (what, limit) = if exports > limits.max_exports() {
            ("exports (limit max_exports)", limits.max_exports())
        } else if state.running + state.parked.len() > limits.max_calls() {
            ("calls in flight (limit max_calls)", limits.max_calls())
        } else if state.held_in_all() > limits.max_held_bytes() {
            (
                "bytes held for the peer (limit max_held_bytes)",
                limits.max_held_bytes(),
            )
        } else if state.stream_bytes > limits.max_stream_bytes() {
            (
                "bytes written to streams and not read (limit max_stream_bytes)",
                limits.max_stream_bytes(),
            )
        } else {
            return Ok(());
        };
        Err(Error::limit(format!("the session exceeds {limit} {what}")))
    }

    /// Whether new calls have to wait.
    pub(super) fn is_busy(&self, state: &State) -> bool {
        // What waits to be sent gets less by itself, but for a batch, which is sent at its end. What
        // is held until the peer lets go of it would be a reason to wait for ever.
        let unread =
            self.role != Role::BatchServer && state.unsent() >= self.limits.soft_unsent_bytes();
        state.running >= self.limits.soft_calls() || unread
    }
}

impl State {
    /// Whether everything is answered, and everything written that was to be.
    pub(super) fn is_drained(&self) -> bool {
        self.unanswered == 0 && self.pumping == 0
    }

    fn held_in_all(&self) -> usize {
        let entries = self.pushes.len() + self.exports.len();
        self.held + self.unsent() + self.parked_bytes + entries * ENTRY_WEIGHT
    }

    fn unsent(&self) -> usize {
        self.out.bytes() + self.sending
    }
}
