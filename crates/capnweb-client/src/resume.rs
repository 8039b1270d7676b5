//! The position at which a subscription resumes.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

/// The position at which a subscription resumes on a new session: an offset, a version, or the ID
/// of the last message.
///
/// A closure of [`Client::derive`](crate::Client::derive) reads the position when it subscribes.
/// The callback that it passes to the server advances it. Clones share the position.
///
/// ```
/// use capnweb_client::Resume;
///
/// let seen = Resume::new(0);
/// // In the callback: skip messages that were already delivered.
/// let arrived: Vec<u32> = [1, 2, 2, 1, 3].into_iter().filter(|id| seen.advance(*id)).collect();
/// assert_eq!(arrived, [1, 2, 3]);
/// // In the closure: resume after this message.
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
    /// Creates a position to start from.
    pub fn new(place: T) -> Self {
        Self(Arc::new(Mutex::new(place)))
    }

    /// Returns the position.
    pub fn get(&self) -> T
    where
        T: Clone,
    {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Sets the position.
    pub fn set(&self, place: T) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = place;
    }

    /// Advances to `place` if it is after the current position. Returns whether it was; otherwise
    /// the message has been seen before.
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
