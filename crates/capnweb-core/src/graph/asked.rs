//! The operation that a promise is the outcome of. The error for an outcome of the wrong type names
//! it.

use std::fmt::{self, Display, Write as _};

use capnweb_wire::{DeError, Step};
use smol_str::SmolStr;

use super::{name::Name, payload::Path};

/// An operation whose outcome is awaited.
#[derive(Clone, Default)]
pub(crate) enum Asked {
    /// A value without a known origin, or a property of one.
    #[default]
    Value,
    /// A method of an interface.
    Method(&'static Name),
    /// A property of an interface, which is the first step of the path.
    Property(&'static Name),
    /// A method with an arbitrary name.
    Named(SmolStr),
    /// A call of a function.
    Function,
    /// The outcome of a `map`.
    Map,
    /// A chunk of a stream.
    Chunk,
}

impl Asked {
    /// Returns the operation of calling the object at the end of `path`.
    pub(crate) fn function(path: &Path) -> Self {
        if path.is_empty() {
            return Self::Function;
        }
        Self::Named(match path.as_name() {
            Some(name) => name.into(),
            None => path.dotted().into(),
        })
    }

    /// Returns the message for an outcome of the wrong type. `path` leads from the called object to
    /// the awaited value.
    #[cold]
    pub(crate) fn misfit(&self, path: &Path, error: &DeError) -> String {
        let mut place = String::new();
        // Writing to a string cannot fail.
        let _ = match self {
            Self::Value | Self::Property(_) => Ok(()),
            Self::Method(name) => write!(place, "{}: result", name.wire()),
            Self::Named(name) => write!(place, "{name}: result"),
            Self::Function => place.write_str("the callback: result"),
            Self::Map => place.write_str("map: result"),
            Self::Chunk => place.write_str("chunk"),
        };
        let _ = write!(place, "{}{}", Steps(path), error.path());
        let place = place.strip_prefix('.').unwrap_or(&place);
        let gap = if place.is_empty() { "" } else { ": " };
        let rust = match self {
            Self::Method(name) | Self::Property(name) => name.rust(),
            _ => None,
        };
        let message = error.message();
        match rust {
            Some(rust) => format!("{place}{gap}{message} (in Rust: `{rust}`)"),
            None => format!("{place}{gap}{message}"),
        }
    }
}

/// A path in JavaScript's notation, as it follows an object.
struct Steps<'a>(&'a Path);

impl Display for Steps<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in self.0.steps() {
            match step {
                Step::Key(key) => write!(f, ".{key}")?,
                number => write!(f, "[{number}]")?,
            }
        }
        Ok(())
    }
}
