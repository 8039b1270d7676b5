//! The place at which a subscription goes on.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

/// The place from which a subscription goes on after a new session: an offset, a version, the ID of
/// the last message.
///
/// A closure of [`Client::derive`](crate::Client::derive) reads it when it subscribes, and the
/// callback that it hands out writes it. Clones share the place.
///
/// ```
/// use capnweb_client::Resume;
///
/// let seen = Resume::new(0);
/// // The callback: messages that were delivered before are passed over.
/// let arrived: Vec<u32> = [1, 2, 2, 1, 3].into_iter().filter(|id| seen.advance(*id)).collect();
/// assert_eq!(arrived, [1, 2, 3]);
/// // The closure: go on after this.
/// assert_eq!(seen.get(), 3);
/// ```
#[derive(Default)]
pub struct Resume<T = u64>(Arc<Mutex<T>>);

impl<T> Clone for Resume<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Resume<T> {
    /// A place to begin at.
    pub fn new(place: T) -> Self {
        Self(Arc::new(Mutex::new(place)))
    }

    /// Returns the place.
    pub fn get(&self) -> T
    where
        T: Clone,
    {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Sets the place.
    pub fn set(&self, place: T) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = place;
    }

    /// Sets the place if it is after the present one. Returns whether it was: what is not after it
    /// was seen before.
    pub fn advance(&self, place: T) -> bool
    where
        T: PartialOrd,
    {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_after = place > *now;
        if is_after {
            *now = place;
        }
        is_after
    }
}

impl<T: fmt::Debug> fmt::Debug for Resume<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Resume").field(&self.0).finish()
    }
}
