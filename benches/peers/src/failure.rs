//! Failures of a program.

use std::{error::Error, fmt};

/// The reason why a program has no result.
#[derive(Debug)]
pub enum Failure {
    /// The program does not have this case.
    Unsupported(String),
    /// The arguments are invalid.
    Usage(String),
    /// An answer was wrong, or the measured operation failed.
    Broken(Box<dyn Error + Send + Sync>),
}

/// A result, or the reason why there is none.
pub type Result<T = ()> = std::result::Result<T, Failure>;

impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Broken(error.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported(why) => write!(f, "unsupported: {why}"),
            Self::Usage(why) => f.write_str(why),
            Self::Broken(error) => error.fmt(f),
        }
    }
}

impl Failure {
    /// Returns the exit code of the process.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Broken(_) => 1,
            Self::Usage(_) => 2,
            Self::Unsupported(_) => 3,
        }
    }
}

/// Returns the failure for a case that the program does not have.
pub fn unsupported<T>(why: impl Into<String>) -> Result<T> {
    Err(Failure::Unsupported(why.into()))
}

/// Checks that `answer` is as expected.
///
/// # Errors
///
/// Returns an error if it is not.
pub fn check<T: PartialEq<U>, U>(answer: T, expected: U) -> Result {
    if answer == expected {
        Ok(())
    } else {
        Err("a wrong answer came".into())
    }
}
