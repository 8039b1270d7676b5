//! Slots for single-use values that have several references.

use std::sync::{Arc, Mutex, MutexGuard};

use crate::util::lock::LockExt;

/// A slot for one end of a stream.
///
/// A payload can be copied, and sent or decoded many times; the stream in it cannot. All copies
/// share the same slot. The stream belongs to whatever takes it out first. It is dropped with the
/// last reference to the slot, which cancels or aborts it.
pub(crate) struct Slot<S>(Mutex<Option<S>>);

impl<S> Slot<S> {
    pub(crate) fn new(stream: S) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Some(stream))))
    }

    fn lock(&self) -> MutexGuard<'_, Option<S>> {
        self.0.acquire()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_none()
    }

    pub(crate) fn take(&self) -> Option<S> {
        self.lock().take()
    }

    pub(crate) fn put(&self, stream: S) {
        let old = self.lock().replace(stream);
        drop(old);
    }

    /// Uses the stream outside the lock. Returns `None` if it is gone.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut S) -> R) -> Option<R> {
        let mut stream = self.take()?;
        let result = f(&mut stream);
        self.put(stream);
        Some(result)
    }

    /// Takes the stream out for an operation that may fail.
    pub(crate) fn reserve(self: &Arc<Self>) -> Option<Reserved<S>> {
        let stream = self.take()?;
        Some(Reserved {
            slot: self.clone(),
            stream: Some(stream),
        })
    }
}

/// A stream that returns to its slot unless it is used.
pub(crate) struct Reserved<S> {
    slot: Arc<Slot<S>>,
    /// The stream, until it is used.
    stream: Option<S>,
}

impl<S> Reserved<S> {
    /// Takes the stream permanently.
    pub(crate) fn commit(mut self) -> S {
        match self.stream.take() {
            Some(stream) => stream,
            None => unreachable!("a reserved stream is there until it is used"),
        }
    }

    /// Returns the stream to its slot.
    pub(crate) fn into_slot(self) -> Arc<Slot<S>> {
        self.slot.clone()
    }
}

impl<S> Drop for Reserved<S> {
    fn drop(&mut self) {
        if let Some(stream) = self.stream.take() {
            self.slot.put(stream);
        }
    }
}
