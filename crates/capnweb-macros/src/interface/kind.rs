//! The kinds of methods.

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A method that is called.
    Method,
    /// A property that is read.
    Property,
    /// A method that handles all calls without a method of their own.
    CatchAll,
}
