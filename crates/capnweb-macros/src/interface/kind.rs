//! The kinds of methods.

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Called.
    Method,
    /// Read.
    Property,
    /// Called for all names that no other method has.
    CatchAll,
}
