//! JSON that is kept as it came.

use std::fmt;

use super::Expr;
use crate::{Limits, WireError};

/// A JSON value kept as text: an instruction of a map, or an option of a request.
///
/// Always well-formed JSON, which need not be an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawJson {
    text: Box<str>,
}

impl RawJson {
    pub(super) fn new(text: &str) -> Self {
        Self { text: text.into() }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Reads the text as an expression.
    ///
    /// # Errors
    ///
    /// If it is none, or exceeds a limit.
    pub fn parse(&self, limits: &Limits) -> Result<Expr, WireError> {
        Expr::parse(&self.text, limits)
    }
}

/// The expression as text.
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
