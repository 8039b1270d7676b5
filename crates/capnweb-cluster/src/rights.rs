//! Rights on an object.

use std::{
    fmt,
    ops::{BitAnd, BitOr},
};

use serde::{Deserialize, Serialize};

/// A set of up to 32 rights, whose meaning the application defines.
///
/// ```
/// use capnweb_cluster::Rights;
///
/// const READ: Rights = Rights::bit(0);
/// const POST: Rights = Rights::bit(1);
///
/// let rights = READ | POST;
/// assert!(rights.contains(POST));
/// assert!(!READ.contains(rights));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rights(u32);

impl Rights {
    /// All rights, which need no restriction.
    pub const ALL: Self = Self(u32::MAX);

    /// No rights.
    pub const NONE: Self = Self(0);

    /// Returns the right with this number.
    ///
    /// # Panics
    ///
    /// Panics if the number is 32 or more, at compile time in a constant.
    #[must_use]
    pub const fn bit(number: u32) -> Self {
        assert!(number < 32, "there are 32 rights, from 0");
        Self(1 << number)
    }

    /// Creates a set from its bits.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// Returns the bits of the set.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Returns whether all of `rights` are in the set.
    #[must_use]
    pub const fn contains(self, rights: Self) -> bool {
        self.0 & rights.0 == rights.0
    }
}

impl BitOr for Rights {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for Rights {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rights({:#b})", self.0)
    }
}
