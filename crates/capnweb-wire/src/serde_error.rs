//! Errors of serialization and deserialization.
//!
//! Both errors are opaque messages for people, since programs could only react by changing types.
//! They are one word wide, because results of the hot path contain them. They include only excerpts
//! of a peer's text.

use std::fmt::{self, Display, Write as _};

use serde::{
    de::{self, Expected, Unexpected},
    ser,
};

use crate::decimal::Decimal;

/// The error for a value that cannot be serialized.
#[derive(Clone, PartialEq, Eq)]
pub struct SerError(Box<Box<str>>);

impl SerError {
    /// Creates an error with this message.
    #[cold]
    pub fn custom(message: impl Display) -> Self {
        Self(Box::new(message.to_string().into()))
    }

    #[cold]
    pub(crate) fn too_deep() -> Self {
        Self::custom("the value is nested too deeply; does it contain a cycle?")
    }

    #[cold]
    pub(crate) fn too_large() -> Self {
        Self::custom("the text is too large: it cannot exceed 4 GiB")
    }
}

impl ser::Error for SerError {
    fn custom<T: Display>(message: T) -> Self {
        Self::custom(message)
    }
}

impl fmt::Debug for SerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SerError").field(&self.0).finish()
    }
}

impl Display for SerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SerError {}

/// The error for a text that does not contain the requested type.
///
/// ```
/// use capnweb_wire::{DeError, NoCapabilities, Source, from_expr};
///
/// let source = Source { text: r#"[[1,"two"]]"#, holes: &[], capabilities: &NoCapabilities };
/// let error: DeError = from_expr::<Vec<u32>>(&source).unwrap_err();
/// assert_eq!(error.path(), "[1]");
/// assert_eq!(error.message(), "expected u32, got a string");
/// assert_eq!(error.to_string(), "[1]: expected u32, got a string");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct DeError(Box<Misfit>);

#[derive(Clone, PartialEq, Eq)]
struct Misfit {
    message: Box<str>,
    /// The start of the innermost value that the error passed on its way out, unless that is the
    /// root.
    at: Option<usize>,
    /// The path from the root to that value.
    path: Box<str>,
}

impl DeError {
    /// Creates an error with this message.
    #[cold]
    pub fn custom(message: impl Display) -> Self {
        Self(Box::new(Misfit {
            message: message.to_string().into(),
            at: None,
            path: Box::default(),
        }))
    }

    /// Returns the message without the path.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns the path from the root to the value that does not fit, such as `.tags[1].name`. It
    /// is empty if the root itself does not fit.
    ///
    /// It ends early at a value that serde has buffered, as it does for untagged enums and
    /// `flatten`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// Notes that the error passed the value that starts at `at`, unless it passed another one
    /// before.
    #[cold]
    pub(crate) fn passes(mut self, at: usize) -> Self {
        self.0.at.get_or_insert(at);
        self
    }

    /// Sets the path, which `find` computes from the noted position.
    #[cold]
    pub(crate) fn located(mut self, find: impl FnOnce(usize) -> String) -> Self {
        if let Some(at) = self.0.at.take() {
            self.0.path = find(at).into();
        }
        self
    }

    #[cold]
    pub(crate) fn duplicate(key: &str) -> Self {
        Self::custom(format_args!("duplicate field `{}`", Excerpt(key)))
    }

    /// Returns the error for a text that a scanner would not have accepted.
    #[cold]
    pub(crate) fn malformed() -> Self {
        Self::custom("the text is malformed")
    }

    #[cold]
    pub(crate) fn too_deep() -> Self {
        Self::custom("the value is nested too deeply")
    }

    #[cold]
    pub(crate) fn read_too_often() -> Self {
        Self::custom(
            "parts of the value fit several variants of untagged enums, or flattened fields, and were \
             read too often",
        )
    }

    #[cold]
    pub(crate) fn mismatch(expected: &dyn Expected, found: &str) -> Self {
        Self::custom(format_args!("expected {expected}, got {found}"))
    }
}

impl de::Error for DeError {
    fn custom<T: Display>(message: T) -> Self {
        Self::custom(message)
    }

    #[cold]
    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = match found {
            Unexpected::Str(_) => Unexpected::Other("a string"),
            found => found,
        };
        Self::custom(format_args!(
            "expected {expected}, got {}",
            FoundKind(found)
        ))
    }

    #[cold]
    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format_args!(
            "expected {expected}, got {}",
            FoundKind(found)
        ))
    }

    #[cold]
    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Self::custom(format_args!("expected {expected}, got {length} elements"))
    }

    #[cold]
    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::custom(format_args!(
            "unknown variant `{}`, expected {}",
            Excerpt(variant),
            Names(expected)
        ))
    }

    #[cold]
    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::custom(format_args!(
            "unknown field `{}`, expected {}",
            Excerpt(field),
            Names(expected)
        ))
    }
}

impl fmt::Debug for DeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DeError").field(&self.to_string()).finish()
    }
}

impl Display for DeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path() {
            "" => f.write_str(self.message()),
            path => {
                let path = path.strip_prefix('.').unwrap_or(path);
                write!(f, "{path}: {}", self.message())
            }
        }
    }
}

impl std::error::Error for DeError {}

/// Describes an unexpected value in terms of the protocol rather than of serde.
struct FoundKind<'a>(Unexpected<'a>);

impl Display for FoundKind<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Unexpected::Bool(value) => write!(f, "{value}"),
            Unexpected::Unsigned(number) => write!(f, "{number}"),
            Unexpected::Signed(number) => write!(f, "{number}"),
            Unexpected::Float(number) => write!(f, "{}", Decimal(number)),
            Unexpected::Char(c) => write!(f, "{c:?}"),
            Unexpected::Str(text) => write!(f, "\"{}\"", Excerpt(text)),
            Unexpected::Bytes(_) => f.write_str("bytes"),
            Unexpected::Unit => f.write_str("null"),
            Unexpected::Option => f.write_str("an option"),
            // Only stubs are visited as newtypes.
            Unexpected::NewtypeStruct => f.write_str("a stub"),
            Unexpected::Seq => f.write_str("an array"),
            Unexpected::Map => f.write_str("an object"),
            Unexpected::Enum => f.write_str("an enum"),
            Unexpected::UnitVariant => f.write_str("a plain variant"),
            Unexpected::NewtypeVariant => f.write_str("a variant with a value"),
            Unexpected::TupleVariant => f.write_str("a variant with an array"),
            Unexpected::StructVariant => f.write_str("a variant with an object"),
            Unexpected::Other(what) => f.write_str(what),
        }
    }
}

/// An excerpt of a peer's text, for errors.
pub(crate) struct Excerpt<'a>(pub(crate) &'a str);

impl Display for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 64;
        let mut chars = self.0.chars();
        for c in chars.by_ref().take(SHOWN) {
            f.write_char(if c.is_control() { ' ' } else { c })?;
        }
        if chars.next().is_some() {
            f.write_char('…')
        } else {
            Ok(())
        }
    }
}

struct Names(&'static [&'static str]);

impl Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => f.write_str("none"),
            [name] => write!(f, "`{name}`"),
            names => {
                f.write_str("one of ")?;
                for (number, name) in names.iter().enumerate() {
                    f.write_str(if number > 0 { ", " } else { "" })?;
                    write!(f, "`{name}`")?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::de::Error as _;

    use super::*;

    #[test]
    fn errors_are_a_word_wide() {
        assert_eq!(size_of::<Result<(), SerError>>(), size_of::<usize>());
        assert_eq!(size_of::<Result<(), DeError>>(), size_of::<usize>());
    }

    #[test]
    fn messages() {
        let long = "é".repeat(100);
        for (error, message) in [
            (
                DeError::invalid_type(Unexpected::Str(&long), &"u8"),
                "expected u8, got a string".into(),
            ),
            (
                DeError::invalid_type(Unexpected::Unsigned(300), &"u8"),
                "expected u8, got 300".into(),
            ),
            (
                DeError::invalid_type(Unexpected::Float(1.5), &"u8"),
                "expected u8, got 1.5".into(),
            ),
            (
                DeError::invalid_type(Unexpected::Seq, &"u8"),
                "expected u8, got an array".into(),
            ),
            (
                DeError::invalid_value(Unexpected::Str(&long), &"a word"),
                format!("expected a word, got \"{}…\"", "é".repeat(64)),
            ),
            (
                DeError::unknown_variant("C\n", &["A", "B"]),
                "unknown variant `C `, expected one of `A`, `B`".into(),
            ),
            (
                DeError::unknown_variant("C", &["A"]),
                "unknown variant `C`, expected `A`".into(),
            ),
            (
                DeError::unknown_field("C", &[]),
                "unknown field `C`, expected none".into(),
            ),
            (DeError::missing_field("a"), "missing field `a`".into()),
            (DeError::duplicate_field("a"), "duplicate field `a`".into()),
            (
                DeError::invalid_length(1, &"a pair"),
                "expected a pair, got 1 elements".into(),
            ),
        ] {
            assert_eq!(error.to_string(), message);
        }
        assert_eq!(format!("{:?}", SerError::custom("no")), r#"SerError("no")"#);
        assert_eq!(format!("{:?}", DeError::custom("no")), r#"DeError("no")"#);
    }
}
