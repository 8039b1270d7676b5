//! Why a program ends without a result.

use std::{error::Error, fmt};

/// What a program has to say instead of a result.
#[derive(Debug)]
pub enum Failure {
    /// The program has no such case.
    Unsupported(String),
    /// The arguments mean nothing.
    Usage(String),
    /// A wrong answer, or an error of what is measured.
    Broken(Box<dyn Error + Send + Sync>),
}

/// A result or why there is none.
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
    /// What the process ends with.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Broken(_) => 1,
            Self::Usage(_) => 2,
            Self::Unsupported(_) => 3,
        }
    }
}

/// The answer to a case that the program does not have.
pub fn unsupported<T>(why: impl Into<String>) -> Result<T> {
    Err(Failure::Unsupported(why.into()))
}

/// # Errors
///
/// If `answer` is another than `expected`.
pub fn check<T: PartialEq<U>, U>(answer: T, expected: U) -> Result {
    if answer == expected {
        Ok(())
    } else {
        Err("a wrong answer came".into())
    }
}
