//! JSON that is kept unchanged.

use std::fmt;

use super::Expr;
use crate::{Limits, WireError};

/// A JSON value that is kept as text: an instruction of a map, or an option of a request.
///
/// It is always well-formed JSON, but not necessarily an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawJson {
    text: Box<str>,
}

impl RawJson {
    pub(super) fn new(text: &str) -> Self {
        Self { text: text.into() }
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Parses the text as an expression.
    ///
    /// # Errors
    ///
    /// Returns an error if it is not an expression or exceeds a limit.
    pub fn parse(&self, limits: &Limits) -> Result<Expr, WireError> {
        Expr::parse(&self.text, limits)
    }
}

/// Converts the expression to text.
impl From<&Expr> for RawJson {
    fn from(expr: &Expr) -> Self {
        Self::new(&expr.to_string())
    }
}

impl fmt::Display for RawJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
