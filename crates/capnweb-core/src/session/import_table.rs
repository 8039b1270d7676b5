//! The table of imports: objects and results of the peer that this side can refer to. The states of
//! an import are shown in `graph::import`.

use std::sync::{Arc, Weak};

use crate::{
    graph::{
        error::{Error, Result},
        hook::{Waiter, Waiters, add_waiter, make_room},
        import::Import,
        remote::TakeOutcome,
    },
    util::{invariant::Invariant, seq_table::SeqTable, sharded_map::ShardedMap},
};

/// The table's side of an import.
pub(super) struct ImportEntry {
    import: Weak<Import>,
    /// The number of times that the peer has sent the reference, for the release message.
    refs: u64,
    /// True if it has an outcome. Stubs and pipes have none.
    is_promise: bool,
    pulled: bool,
    is_replaced: bool,
    waiters: Waiters,
    /// The receiver of the answer, for a `stream`, which has no import.
    taker: Option<Box<dyn TakeOutcome>>,
}

impl ImportEntry {
    fn new(import: &Arc<Import>, pulled: bool) -> Self {
        Self {
            import: Arc::downgrade(import),
            refs: 1,
            is_promise: import.is_promise(),
            pulled,
            is_replaced: false,
            waiters: Waiters::new(),
            taker: None,
        }
    }

    /// Returns the import, if it is still held.
    pub(super) fn import(&self) -> Option<Arc<Import>> {
        self.import.upgrade()
    }

    /// Returns whether the entry can get another import: it is a stub that nobody waits for, and
    /// has its first import.
    pub(super) fn is_replaceable(&self) -> bool {
        !self.is_promise && !self.pulled && !self.is_replaced && self.waiters.is_empty()
    }

    /// Makes this the entry of another import of the same export.
    pub(super) fn replace(&mut self, import: &Arc<Import>) {
        self.import = Arc::downgrade(import);
        self.is_replaced = true;
    }

    /// Returns whether this is the entry of `import`. The same ID can have another entry if the
    /// peer sent the reference again.
    pub(super) fn is_of(&self, import: &Import) -> bool {
        std::ptr::eq(self.import.as_ptr(), import)
    }

    pub(super) fn refs(&self) -> u64 {
        self.refs
    }

    /// Records a pull of the import. Returns false if it was already pulled.
    pub(super) fn set_pulled(&mut self) -> bool {
        !std::mem::replace(&mut self.pulled, true)
    }

    /// Registers a waiter, unless it is already registered.
    pub(super) fn add_waiter(&mut self, waiter: &mut Option<Waiter>) {
        add_waiter(&mut self.waiters, waiter);
    }

    /// Registers a waiter that registers only once.
    pub(super) fn watch(&mut self, waiter: Waiter) {
        make_room(&mut self.waiters);
        self.waiters.push(waiter);
    }

    pub(super) fn take_taker(&mut self) -> Option<Box<dyn TakeOutcome>> {
        self.taker.take()
    }

    pub(super) fn into_waiters(self) -> Waiters {
        self.waiters
    }
}

/// The result of receiving an export of the peer.
pub(super) enum Given {
    /// This side already holds it.
    Known(Arc<Import>),
    /// It is new, and was created by `make`.
    New(Arc<Import>),
    /// It is a promise under an ID that is in use.
    Reused,
}

#[cold]
fn no_outcome(id: i64) -> Error {
    Error::protocol(format!(
        "import {id} is not a promise, so it cannot be resolved or rejected"
    ))
}

/// The memory of an entry and its import, in bytes.
const ENTRY_COST: usize = 192;

/// The imports of a session.
#[derive(Default)]
pub(super) struct ImportTable {
    /// The main object, import 0.
    main: Weak<Import>,
    /// The results of our pushes: 1, 2, 3 ….
    calls: SeqTable<ImportEntry>,
    /// The peer's exports: −1, −2, −3 …. The keys are positive.
    given: ShardedMap<ImportEntry>,
    /// The key in `calls` of the last ping.
    ping: u64,
}

impl ImportTable {
    pub(super) fn get_mut(&mut self, id: i64) -> Option<&mut ImportEntry> {
        match id {
            1.. => self.calls.get_mut(id.unsigned_abs()),
            _ => self.given.get_mut(id.unsigned_abs()),
        }
    }

    pub(super) fn remove(&mut self, id: i64) -> Option<ImportEntry> {
        match id {
            1.. => self.calls.remove(id.unsigned_abs()),
            _ => self.given.remove(id.unsigned_abs()),
        }
    }

    /// Removes the entry whose outcome the peer has sent. Returns `None` if it was already
    /// released.
    ///
    /// # Errors
    ///
    /// Returns an error for a stub or stream that was not pulled, since it has no outcome.
    pub(super) fn settle(&mut self, id: i64) -> Result<Option<ImportEntry>> {
        let check = |entry: &ImportEntry| {
            // A peer answers the pull of a stub with a rejection.
            if entry.is_promise || entry.pulled {
                return Ok(());
            }
            Err(no_outcome(id))
        };
        match id {
            1.. => self.calls.remove_checked(id.unsigned_abs(), check),
            _ => {
                self.given.get(id.unsigned_abs()).map(check).transpose()?;
                Ok(self.given.remove(id.unsigned_abs()))
            }
        }
    }

    /// Returns the peer's main object, which `make` creates unless it is held.
    pub(super) fn main(&mut self, make: impl FnOnce() -> Arc<Import>) -> Arc<Import> {
        self.main.upgrade().unwrap_or_else(|| {
            let main = make();
            self.main = Arc::downgrade(&main);
            main
        })
    }

    /// Returns the ID of the next push.
    pub(super) fn next_id(&self) -> i64 {
        i64::try_from(self.calls.next_key()).or_bug("IDs fit")
    }

    /// Adds the result of a push or pipe under the next ID. `make` creates the import.
    pub(super) fn push(&mut self, make: impl FnOnce(i64) -> Arc<Import>) -> Arc<Import> {
        let import = make(self.next_id());
        self.calls.push(ImportEntry::new(&import, false));
        import
    }

    /// Returns the ID of the next call.
    #[inline]
    pub(super) fn next_call(&self) -> i64 {
        i64::try_from(self.calls.next_key()).unwrap_or(i64::MAX)
    }

    /// Adds a message that takes the next ID. It is answered without a pull, and never released.
    pub(super) fn push_stream(&mut self, taker: Box<dyn TakeOutcome>) {
        self.calls.push(ImportEntry {
            import: Weak::new(),
            refs: 0,
            is_promise: true,
            pulled: false,
            is_replaced: false,
            waiters: Waiters::new(),
            taker: Some(taker),
        });
    }

    /// Adds a message that takes the next ID and is released right afterwards.
    pub(super) fn push_announcement(&mut self) -> i64 {
        let key = self.calls.push(ImportEntry {
            import: Weak::new(),
            refs: 1,
            is_promise: true,
            pulled: false,
            is_replaced: false,
            waiters: Waiters::new(),
            taker: None,
        });
        self.calls.remove(key);
        i64::try_from(key).unwrap_or(i64::MAX)
    }

    /// Adds a ping under the next ID: a call that is pulled, and whose outcome only `taker` waits
    /// for. If there is a taker, it releases the ping.
    pub(super) fn push_ping(&mut self, taker: Option<Box<dyn TakeOutcome>>) -> i64 {
        self.ping = self.calls.push(ImportEntry {
            import: Weak::new(),
            refs: 1,
            is_promise: true,
            pulled: true,
            is_replaced: false,
            waiters: Waiters::new(),
            taker,
        });
        i64::try_from(self.ping).unwrap_or(i64::MAX)
    }

    /// Returns whether there is an unanswered ping.
    pub(super) fn is_pinging(&self) -> bool {
        self.calls.get(self.ping).is_some()
    }

    /// Adds a reference to the peer's export `id`. `make` creates the import unless it is held.
    pub(super) fn give(
        &mut self,
        id: i64,
        is_promise: bool,
        make: impl FnOnce(bool) -> Arc<Import>,
    ) -> Given {
        let key = id.unsigned_abs();
        let Some(entry) = self.given.get_mut(key) else {
            let import = make(is_promise);
            self.given
                .insert(key, ImportEntry::new(&import, is_promise));
            return Given::New(import);
        };
        if is_promise {
            return Given::Reused;
        }
        entry.refs += 1;
        if let Some(import) = entry.import.upgrade() {
            return Given::Known(import);
        }
        // The last reference was dropped just now, and its release waits for our lock. All
        // references will be released together with the new import.
        let import = make(entry.is_promise);
        entry.import = Arc::downgrade(&import);
        Given::New(import)
    }

    /// Returns the peer's promises that are being awaited.
    pub(super) fn waiting(&self) -> Vec<i64> {
        let calls = self
            .calls
            .iter()
            .filter_map(|(key, entry)| entry.pulled.then(|| i64::try_from(key).ok()).flatten());
        let given = self
            .given
            .iter()
            .filter(|(_, entry)| entry.pulled)
            .map(|(key, _)| key.cast_signed().wrapping_neg());
        calls.chain(given).collect()
    }

    /// Returns the number of entries, without the main object and pings.
    pub(super) fn len(&self) -> usize {
        self.len_with_pings() - usize::from(self.is_pinging())
    }

    fn len_with_pings(&self) -> usize {
        self.calls.len() + self.given.len()
    }

    /// Returns the cost of retaining the entries, in bytes.
    pub(super) fn cost(&self) -> usize {
        self.len_with_pings() * ENTRY_COST
    }

    /// Removes everything at the end of the session, in the order of the IDs: first the main
    /// object, then the entries.
    pub(super) fn take_all(&mut self) -> (Option<Arc<Import>>, Vec<ImportEntry>) {
        let mut entries = self.calls.take_all();
        entries.extend(self.given.take_all().into_iter().map(|(_, entry)| entry));
        (std::mem::take(&mut self.main).upgrade(), entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Session, SessionOptions, graph::hook::Hook};

    fn import(id: i64, is_promise: bool) -> Arc<Import> {
        let (session, connection) = Session::client(SessionOptions::new());
        let Hook::Import(main) = session.main().into_hook() else {
            panic!("the main object is an import");
        };
        drop(connection);
        Import::new(main.peer().clone(), id, is_promise)
    }

    #[test]
    fn pushes_take_ids_in_order() {
        let mut table = ImportTable::default();
        let first = table.push(|id| import(id, true));
        let second = table.push(|id| import(id, true));
        assert_eq!((first.id(), second.id(), table.len()), (1, 2, 2));
        assert!(table.remove(1).is_some() && table.remove(1).is_none());
        assert_eq!(table.push(|id| import(id, true)).id(), 3);
    }

    #[test]
    fn a_ping_is_no_entry_of_the_application() {
        let mut table = ImportTable::default();
        assert!(!table.is_pinging());
        let _call = table.push(|id| import(id, true));
        assert_eq!((table.push_ping(None), table.len()), (2, 1));
        assert!(table.is_pinging());
        let answered = table.settle(2).unwrap().unwrap();
        assert_eq!((answered.refs(), table.len()), (1, 1));
        assert!(!table.is_pinging());
    }

    #[test]
    fn only_what_is_pulled_waits() {
        let mut table = ImportTable::default();
        let _first = table.push(|id| import(id, true));
        let _second = table.push(|id| import(id, true));
        assert!(table.waiting().is_empty());
        let entry = table.get_mut(2).unwrap();
        assert!(entry.set_pulled() && !entry.set_pulled());
        assert_eq!(table.waiting(), [2]);
    }

    #[test]
    fn exports_of_the_peer_are_counted() {
        let mut table = ImportTable::default();
        let Given::New(stub) = table.give(-1, false, |promise| import(-1, promise)) else {
            panic!("it is new");
        };
        let again = table.give(-1, false, |promise| import(-1, promise));
        assert!(matches!(again, Given::Known(known) if Arc::ptr_eq(&known, &stub)));
        let reused = table.give(-1, true, |promise| import(-1, promise));
        assert!(matches!(reused, Given::Reused));
        assert_eq!(table.get_mut(-1).unwrap().refs(), 2);
        // After it is dropped, the next reference creates another import under the same entry.
        stub.resolve(Hook::Starting);
        drop(stub);
        let new = table.give(-1, false, |promise| import(-1, promise));
        assert!(matches!(new, Given::New(_)));
        assert_eq!(table.get_mut(-1).unwrap().refs(), 3);
        assert_eq!(table.take_all().1.len(), 1);
        assert_eq!(table.len(), 0);
    }
}
