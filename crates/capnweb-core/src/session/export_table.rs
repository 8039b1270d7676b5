//! The table of exports: objects and results that the peer can refer to.
//!
//! ```text
//!  a call's result             NotAsked ──pull──► Owed ──outcome sent──► Sent
//!  a stream's write                ─────────────► Owed ──outcome sent──► removed
//!  a promise of ours               ─────────────► Owed ──outcome sent──► Sent
//!  a stub of ours              NotAsked ──pull──► Owed ──a rejection is sent──► Sent
//!
//!  In every state, the entry is removed when the peer has released all references to it.
//! ```
//!
//! The table owns the counts of its entries: outcomes that are owed, outcomes that were sent and
//! not released, writes to streams, and the cost of retained results.

use std::{
    sync::Arc,
    task::{Poll, Waker},
};

use crate::{
    graph::{
        error::{Error, Result},
        hook::Hook,
        payload::{Cap, Payload},
        stream::{BoxSource, Slot},
    },
    util::{invariant::Invariant, seq_table::SeqTable, wakers},
};

/// An object or result that the peer can refer to.
pub(super) struct Export {
    hook: Hook,
    kind: ExportKind,
    /// The number of references that the peer has.
    refs: u64,
    answer: AnswerState,
    /// The cost of retaining the result, in bytes.
    cost: usize,
    /// True if the cost of the result has been counted.
    cost_counted: bool,
    /// State that only few entries have.
    extra: Option<Box<Extra>>,
}

#[derive(Default)]
struct Extra {
    /// Tasks that wait for the peer to release the entry.
    released: Vec<Waker>,
    /// The readable end of a pipe, until it is taken.
    readable: Option<Arc<Slot<BoxSource>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ExportKind {
    /// The result of a call by the peer.
    Call,
    /// The result of a call that the peer will not refer to: its answer releases it.
    Stream,
    /// A stub of ours.
    Stub,
    /// A promise of ours, whose outcome is sent without a pull.
    Promise,
}

/// The state of the answer to the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AnswerState {
    NotAsked,
    Owed,
    Sent,
}

/// The cost of an entry itself, in bytes.
pub(super) const ENTRY_COST: usize = 128;

impl Export {
    /// Creates the entry for a call that is about to start.
    pub(super) fn starting(kind: ExportKind) -> Self {
        Self::new(Hook::Starting, kind)
    }

    pub(super) fn new(hook: Hook, kind: ExportKind) -> Self {
        let answer = match kind {
            ExportKind::Stream | ExportKind::Promise => AnswerState::Owed,
            ExportKind::Call | ExportKind::Stub => AnswerState::NotAsked,
        };
        Self {
            hook,
            kind,
            refs: 1,
            answer,
            cost: 0,
            cost_counted: false,
            extra: None,
        }
    }

    /// Creates the entry for a pipe, whose readable end is `readable`.
    pub(super) fn pipe(writer: Hook, readable: Arc<Slot<BoxSource>>) -> Self {
        Self {
            extra: Some(Box::new(Extra {
                readable: Some(readable),
                ..Extra::default()
            })),
            ..Self::new(writer, ExportKind::Stub)
        }
    }

    pub(super) fn hook(&self) -> &Hook {
        &self.hook
    }

    /// Returns whether an outcome is owed to the peer.
    pub(super) fn is_owed(&self) -> bool {
        self.answer == AnswerState::Owed
    }

    /// Splits the entry after it was removed from the table: into the hook, the readable end of a
    /// pipe, and the tasks that wait for the release.
    pub(super) fn into_parts(mut self) -> (Hook, Option<Arc<Slot<BoxSource>>>, Vec<Waker>) {
        let extra = self.extra.take().map(|extra| *extra).unwrap_or_default();
        (self.hook, extra.readable, extra.released)
    }
}

/// The result of looking up an ID from the peer.
pub(super) enum Lookup {
    /// A hook. `is_stub` is true if it was sent as a stub.
    Found { hook: Hook, is_stub: bool },
    /// The peer has already released this ID.
    Released,
    /// This ID was never used.
    Never,
}

/// The result of a pull by the peer.
pub(super) enum Pulled<'a> {
    /// The outcome is available, and is counted as sent.
    Ready(&'a Payload),
    /// The outcome is owed from now on.
    Owed,
    /// A stub has no outcome, so a rejection is owed.
    NoPromise,
    /// The peer has pulled it before.
    Again,
}

/// The exports of a session.
#[derive(Default)]
pub(super) struct ExportTable {
    /// The main object, export 0.
    main: Option<Hook>,
    /// The results of the peer's pushes: 1, 2, 3 ….
    pushes: SeqTable<Export>,
    /// The exports with IDs from this side: −1, −2, −3 ….
    offered: SeqTable<Export>,
    /// The number of outcomes that are owed to the peer.
    unanswered: usize,
    /// The number of outcomes that were sent and not released. The peer may not have read them yet.
    unread: usize,
    /// The number of entries that are writes to streams.
    stream_writes: usize,
    /// The cost of retained results, in bytes.
    cost: usize,
}

impl ExportTable {
    pub(super) fn main(&self) -> Option<&Hook> {
        self.main.as_ref()
    }

    pub(super) fn set_main(&mut self, main: Hook) -> Option<Hook> {
        self.main.replace(main)
    }

    pub(super) fn get(&self, id: i64) -> Option<&Export> {
        match id {
            1.. => self.pushes.get(id.unsigned_abs()),
            _ => self.offered.get(id.unsigned_abs()),
        }
    }

    fn get_mut(&mut self, id: i64) -> Option<&mut Export> {
        match id {
            1.. => self.pushes.get_mut(id.unsigned_abs()),
            _ => self.offered.get_mut(id.unsigned_abs()),
        }
    }

    /// Returns the number of entries, without the main object.
    pub(super) fn len(&self) -> usize {
        self.pushes.len() + self.offered.len()
    }

    /// Returns the number of entries that `max_exports` limits. Writes to streams are limited by
    /// their bytes instead, since an honest peer can have very many in progress.
    pub(super) fn bounded_len(&self) -> usize {
        self.len() - self.stream_writes
    }

    /// Returns the cost of the entries and their results, in bytes.
    pub(super) fn cost(&self) -> usize {
        self.cost + self.len() * ENTRY_COST
    }

    /// Returns the number of outcomes that are owed to the peer.
    pub(super) fn unanswered(&self) -> usize {
        self.unanswered
    }

    /// Returns the number of outcomes that were sent and not released.
    pub(super) fn unread(&self) -> usize {
        self.unread
    }

    /// Looks up an ID from the peer.
    pub(super) fn look_up(&self, id: i64) -> Lookup {
        if id == 0 {
            let hook = match &self.main {
                // Wrap it in a payload, so that it can be duplicated, pulled and mapped like any
                // result.
                Some(main) => Hook::Value(Payload::from_cap(Cap::stub(main.clone()))),
                None => Hook::Broken(Error::new("This connection has no main object.")),
            };
            return Lookup::Found {
                hook,
                is_stub: false,
            };
        }
        if let Some(export) = self.get(id) {
            return Lookup::Found {
                hook: export.hook.clone(),
                is_stub: export.kind == ExportKind::Stub,
            };
        }
        let table = if id > 0 { &self.pushes } else { &self.offered };
        if table.was_given(id.unsigned_abs()) {
            Lookup::Released
        } else {
            Lookup::Never
        }
    }

    fn count(&mut self, export: &Export) {
        if export.is_owed() {
            self.unanswered += 1;
        }
        if export.kind == ExportKind::Stream {
            self.stream_writes += 1;
        }
    }

    /// Adds the result of a call by the peer, or a pipe, under the peer's next ID.
    pub(super) fn push(&mut self, export: Export) -> i64 {
        self.count(&export);
        i64::try_from(self.pushes.push(export)).or_bug("IDs fit")
    }

    /// Adds a stub or promise of ours under the next ID.
    pub(super) fn offer(&mut self, hook: Hook, kind: ExportKind) -> i64 {
        let export = Export::new(hook, kind);
        self.count(&export);
        // JavaScript counts up to 2^53, which a table never reaches.
        i64::try_from(self.offered.push(export)).map_or(i64::MIN, |key| -key)
    }

    fn remove(&mut self, id: i64) -> Option<Export> {
        let export = match id {
            1.. => self.pushes.remove(id.unsigned_abs()),
            _ => self.offered.remove(id.unsigned_abs()),
        }?;
        self.cost -= export.cost;
        match export.answer {
            AnswerState::NotAsked => {}
            AnswerState::Owed => self.unanswered -= 1,
            AnswerState::Sent => self.unread -= 1,
        }
        if export.kind == ExportKind::Stream {
            self.stream_writes -= 1;
        }
        Some(export)
    }

    /// Drops `count` references of the peer to `id`. Returns the entry if they were the last ones.
    ///
    /// # Errors
    ///
    /// Returns an error if the peer has fewer references.
    pub(super) fn release(&mut self, id: i64, count: u64) -> Result<Option<Export>> {
        let Some(export) = self.get_mut(id) else {
            return Err(no_such_export(id));
        };
        let Some(left) = export.refs.checked_sub(count) else {
            return Err(Error::protocol(format!(
                "refcount would go negative: {} < {count}",
                export.refs
            )));
        };
        export.refs = left;
        Ok(if left == 0 { self.remove(id) } else { None })
    }

    /// Sets the result of call `id`. Returns the previous hook, or the result itself if the entry
    /// is gone.
    pub(super) fn set_result(&mut self, id: i64, result: Hook) -> Hook {
        match self.get_mut(id) {
            Some(export) => std::mem::replace(&mut export.hook, result),
            None => result,
        }
    }

    /// Counts the cost of the result of `id`, in bytes. Returns false if it was already counted or
    /// the entry is gone.
    pub(super) fn count_result(&mut self, id: i64, cost: usize) -> bool {
        let Some(export) = self.get_mut(id) else {
            return false;
        };
        if std::mem::replace(&mut export.cost_counted, true) {
            return false;
        }
        export.cost += cost;
        self.cost += cost;
        true
    }

    /// Records a pull of `id` by the peer. If the outcome is plain data that `fits` into a message,
    /// it counts as sent.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no such entry.
    pub(super) fn pull(
        &mut self,
        id: i64,
        fits: impl FnOnce(&Payload) -> bool,
    ) -> Result<Pulled<'_>> {
        let export = match id {
            1.. => self.pushes.get_mut(id.unsigned_abs()),
            _ => self.offered.get_mut(id.unsigned_abs()),
        };
        let Some(export) = export else {
            return Err(no_such_export(id));
        };
        if export.answer != AnswerState::NotAsked {
            return Ok(Pulled::Again);
        }
        match &export.hook {
            Hook::Value(payload) if payload.is_text() && fits(payload) => {
                export.answer = AnswerState::Sent;
                self.unread += 1;
                Ok(Pulled::Ready(payload))
            }
            hook => {
                export.answer = AnswerState::Owed;
                self.unanswered += 1;
                if export.kind == ExportKind::Stub && !hook.is_promise() {
                    Ok(Pulled::NoPromise)
                } else {
                    Ok(Pulled::Owed)
                }
            }
        }
    }

    /// Counts the owed outcome of `id` as sent. Returns false if none is owed.
    pub(super) fn claim_answer(&mut self, id: i64) -> bool {
        match self.get_mut(id) {
            Some(export) if export.is_owed() => {
                export.answer = AnswerState::Sent;
                self.unanswered -= 1;
                self.unread += 1;
                true
            }
            _ => false,
        }
    }

    /// Reverts [`claim_answer`](Self::claim_answer) because the outcome was not sent.
    pub(super) fn unclaim_answer(&mut self, id: i64) {
        if let Some(export) = self.get_mut(id) {
            debug_assert_eq!(export.answer, AnswerState::Sent, "claimed before");
            export.answer = AnswerState::Owed;
            self.unanswered += 1;
            self.unread -= 1;
        }
    }

    /// Removes `id` if its answer releases it. Call this after writing the answer.
    pub(super) fn remove_if_stream(&mut self, id: i64) -> Option<Export> {
        match self.get(id)?.kind {
            ExportKind::Stream => self.remove(id),
            ExportKind::Call | ExportKind::Stub | ExportKind::Promise => None,
        }
    }

    /// Registers a task for the release of `id`. Ready if it has already been released.
    pub(super) fn poll_released(&mut self, id: i64, waker: &mut Option<Waker>) -> Poll<()> {
        let Some(export) = self.get_mut(id) else {
            return Poll::Ready(());
        };
        let extra = export.extra.get_or_insert_default();
        wakers::register(&mut extra.released, waker);
        Poll::Pending
    }

    /// Takes the readable end of pipe `id`.
    ///
    /// # Errors
    ///
    /// Returns an error if `id` is not a pipe, or if its readable end was already taken.
    pub(super) fn take_readable(&mut self, id: i64) -> Result<Arc<Slot<BoxSource>>> {
        self.get_mut(id)
            .and_then(|export| export.extra.as_mut()?.readable.take())
            .ok_or_else(|| {
                Error::protocol(format!(
                    "Export {id} is not a pipe or its readable end was already consumed."
                ))
            })
    }

    /// Removes everything at the end of the session: the main object and the entries.
    pub(super) fn take_all(&mut self) -> (Option<Hook>, Vec<Export>) {
        let mut exports = self.pushes.take_all();
        exports.extend(self.offered.take_all());
        self.unanswered = 0;
        self.unread = 0;
        self.stream_writes = 0;
        self.cost = 0;
        (self.main.take(), exports)
    }
}

fn no_such_export(id: i64) -> Error {
    Error::protocol(format!("no such export ID: {id}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value() -> Hook {
        Hook::Value(Payload::from_text("7"))
    }

    fn counts(table: &ExportTable) -> (usize, usize, usize) {
        (table.len(), table.unanswered(), table.unread())
    }

    #[test]
    fn a_call_is_pulled_answered_and_released() {
        let mut table = ExportTable::default();
        let id = table.push(Export::starting(ExportKind::Call));
        assert_eq!((id, counts(&table)), (1, (1, 0, 0)));
        assert!(matches!(table.pull(id, |_| true), Ok(Pulled::Owed)));
        assert_eq!(counts(&table), (1, 1, 0));
        assert!(matches!(table.pull(id, |_| true), Ok(Pulled::Again)));
        assert!(matches!(table.set_result(id, value()), Hook::Starting));
        assert!(table.count_result(id, 10) && !table.count_result(id, 10));
        assert_eq!(table.cost(), 10 + ENTRY_COST);
        assert!(table.claim_answer(id) && !table.claim_answer(id));
        assert_eq!(counts(&table), (1, 0, 1));
        table.unclaim_answer(id);
        assert_eq!(counts(&table), (1, 1, 0));
        assert!(table.claim_answer(id));
        assert!(table.remove_if_stream(id).is_none());
        assert!(table.release(id, 2).is_err());
        assert!(table.release(id, 1).unwrap().is_some());
        assert_eq!((counts(&table), table.cost()), ((0, 0, 0), 0));
        assert!(matches!(table.look_up(id), Lookup::Released));
        assert!(matches!(table.look_up(id + 1), Lookup::Never));
        assert!(table.pull(id, |_| true).is_err() && table.release(id, 1).is_err());
    }

    #[test]
    fn an_outcome_that_is_there_is_sent_at_once_if_it_fits() {
        let mut table = ExportTable::default();
        for (fits, expected) in [(true, (1, 0, 1)), (false, (2, 1, 1))] {
            let id = table.push(Export::new(value(), ExportKind::Call));
            let ready = matches!(table.pull(id, |_| fits), Ok(Pulled::Ready(_)));
            assert_eq!((ready, counts(&table)), (fits, expected));
        }
    }

    #[test]
    fn the_answer_to_a_write_releases_it() {
        let mut table = ExportTable::default();
        let id = table.push(Export::starting(ExportKind::Stream));
        assert_eq!((counts(&table), table.bounded_len()), ((1, 1, 0), 0));
        assert!(table.claim_answer(id));
        assert!(table.remove_if_stream(id).is_some());
        assert_eq!(counts(&table), (0, 0, 0));
    }

    #[test]
    fn a_promise_is_owed_unasked_and_a_stub_has_no_outcome() {
        let mut table = ExportTable::default();
        let promise = table.offer(value(), ExportKind::Promise);
        let object = crate::Object::new().into_stub().into_hook();
        let stub = table.offer(object, ExportKind::Stub);
        assert_eq!((promise, stub, counts(&table)), (-1, -2, (2, 1, 0)));
        assert!(matches!(table.pull(promise, |_| true), Ok(Pulled::Again)));
        assert!(matches!(table.pull(stub, |_| true), Ok(Pulled::NoPromise)));
        assert!(matches!(
            table.look_up(stub),
            Lookup::Found { is_stub: true, .. }
        ));
        assert!(matches!(
            table.look_up(0),
            Lookup::Found {
                hook: Hook::Broken(_),
                ..
            }
        ));
        let (main, exports) = table.take_all();
        assert!(main.is_none() && exports.len() == 2);
        assert_eq!(counts(&table), (0, 0, 0));
    }
}
