//! Names of methods and properties that interfaces declare.

use std::{fmt, sync::OnceLock};

use super::payload::Path;

/// The name of a method or property of an interface. It caches the path for the name.
pub struct Name {
    text: &'static str,
    /// The name in Rust, if it differs.
    rust: Option<&'static str>,
    path: OnceLock<Path>,
}

impl Name {
    /// Creates the name `text`.
    pub const fn new(text: &'static str) -> Self {
        Self {
            text,
            rust: None,
            path: OnceLock::new(),
        }
    }

    /// Creates the name `text` for an item that is named `rust` in Rust. Errors include both names.
    pub const fn renamed(text: &'static str, rust: &'static str) -> Self {
        Self {
            text,
            rust: Some(rust),
            path: OnceLock::new(),
        }
    }

    pub(crate) fn wire(&self) -> &'static str {
        self.text
    }

    pub(crate) fn rust(&self) -> Option<&'static str> {
        self.rust
    }

    pub(crate) fn path(&self) -> &Path {
        self.path.get_or_init(|| Path::of_declared(self.text))
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Name").field(&self.text).finish()
    }
}
