//! Locks whose data is good also after a panic.
//!
//! Nothing of an application's runs while one of our locks is held, so a poisoned lock means a bug
//! of ours in a step that is finished or harmless: the data is used as it is.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locking without the question of poison.
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
