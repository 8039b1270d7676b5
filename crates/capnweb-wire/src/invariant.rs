//! Assertions about invariants of ours.

/// A value that an invariant says is there.
///
/// Where the invariant is broken, builds with assertions panic, and others go on with the default
/// value: no peer can take a process down by a bug of ours.
pub trait Invariant<T> {
    /// Returns the value. `invariant` says why it is there.
    ///
    /// # Panics
    ///
    /// Panics in builds with assertions if it is not there.
    fn or_bug(self, invariant: &str) -> T;
}

impl<T: Default> Invariant<T> for Option<T> {
    #[inline]
    #[track_caller]
    fn or_bug(self, invariant: &str) -> T {
        debug_assert!(self.is_some(), "broken invariant: {invariant}");
        self.unwrap_or_default()
    }
}

impl<T: Default, E> Invariant<T> for Result<T, E> {
    #[inline]
    #[track_caller]
    fn or_bug(self, invariant: &str) -> T {
        self.ok().or_bug(invariant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_is_there_is_returned() {
        assert_eq!(Some(7).or_bug("seven"), 7);
        assert_eq!(Ok::<_, ()>(7).or_bug("seven"), 7);
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "broken invariant: seven")]
    fn a_missing_value_is_a_bug() {
        None::<u32>.or_bug("seven");
    }
}
