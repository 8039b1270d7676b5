//! Assertions of invariants.

/// A value that is present by an invariant.
///
/// If the invariant is broken, builds with assertions panic, and others continue with the default
/// value. So no peer can end a process through one of our bugs.
pub trait Invariant<T> {
    /// Returns the value. `invariant` states the reason why it is present.
    ///
    /// # Panics
    ///
    /// Panics in builds with assertions if the value is missing.
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
