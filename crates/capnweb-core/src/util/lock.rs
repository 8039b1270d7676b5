//! Locks that ignore poisoning.
//!
//! No application code runs while one of these locks is held. So a poisoned lock means a bug of
//! this crate in a step that is finished or harmless, and the data can be used as it is.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locking without poison errors.
pub(crate) trait LockExt<T: ?Sized> {
    /// Locks the mutex.
    fn acquire(&self) -> MutexGuard<'_, T>;

    /// Returns the data without locking.
    fn data_mut(&mut self) -> &mut T;
}

impl<T: ?Sized> LockExt<T> for Mutex<T> {
    fn acquire(&self) -> MutexGuard<'_, T> {
        self.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn data_mut(&mut self) -> &mut T {
        self.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the data out of a mutex.
pub(crate) fn into_inner<T>(mutex: Mutex<T>) -> T {
    mutex.into_inner().unwrap_or_else(PoisonError::into_inner)
}
