//! Deserialization of expressions into Rust values.
//!
//! A scanner must have accepted the text, so nothing is checked twice. An unchecked text leads to
//! an arbitrary value or an error, but never to a panic.
//!
//! | requested | accepted |
//! |---|---|
//! | integers | numbers without a fraction (also `1.0`, `1e3`) and `bigint`, within range |
//! | `f32`, `f64` | numbers, `inf`, `-inf`, `nan`; `1e400` is infinite |
//! | strings | strings and `url`; borrowed if nothing is escaped |
//! | `Option` | `null`, `undefined` and missing properties are `None` |
//! | `()` | `null`, `undefined` |
//! | sequences, tuples | `[[…]]`; `bytes` as their container's elements; `headers` as pairs |
//! | bytes | `bytes` in any container; a sequence of numbers |
//! | maps, structs | objects, `error`, `request`, `response`, `blob` |
//! | enums | their serde representation; by default a string or an object with one key |
//! | anything | all of these; `date` as milliseconds, a large `bigint` as its digits |
//!
//! Lone surrogates in strings become U+FFFD. The keys of an `error` are `name`, `message`, `stack`
//! and its other properties. A `bigint` is large if it does not fit into 64 bits.
//!
//! Keys of JavaScript's `Object.prototype`, and `toJSON`, are skipped, as in the TypeScript
//! implementation. For duplicate keys, the last one counts.

mod again;
mod any;
mod arguments;
mod buffer;
mod contained;
mod duplicates;
mod elements;
mod exact;
mod fields;
mod flattened;
mod items;
mod key;
mod members;
mod number;
mod place;
mod reader;
mod rereads;
mod start;
mod value;
mod variant;

use serde::Deserialize;

pub use self::{
    again::{Tagging, read_enum},
    arguments::ArgsReader,
    buffer::{Restore, is_buffered},
};
use crate::{CapabilitySource, DeError, Span};

/// A text to deserialize, with its capabilities.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// The text: an expression, or a bare array of them.
    pub text: &'a str,
    /// The positions of the capabilities in the text, in ascending order.
    pub holes: &'a [Span],
    /// Returns the capabilities by their index in `holes`.
    pub capabilities: &'a dyn CapabilitySource,
}

/// Deserializes one expression.
///
/// ```
/// use capnweb_wire::{NoCapabilities, Source, from_expr};
///
/// let text = r#"{"name":"Ann","ages":[[7,["bigint","8"]]]}"#;
/// let source = Source { text, holes: &[], capabilities: &NoCapabilities };
///
/// #[derive(serde::Deserialize)]
/// struct Person<'a> {
///     name: &'a str,
///     ages: (u8, u64),
///     email: Option<String>,
/// }
/// let person: Person = from_expr(&source)?;
/// assert_eq!((person.name, person.ages, person.email), ("Ann", (7, 8), None));
/// # Ok::<(), capnweb_wire::DeError>(())
/// ```
///
/// # Errors
///
/// Returns an error if the text does not contain a `T`.
pub fn from_expr<'a, T: Deserialize<'a>>(source: &Source<'a>) -> Result<T, DeError> {
    reader::read(
        source.text,
        0,
        source.holes,
        source.capabilities,
        |reader| {
            let value = T::deserialize(&mut *reader)?;
            reader.finish()?;
            Ok(value)
        },
    )
    .map_err(|error| error.located(|at| place::path_of_expr(source.text, 0, at)))
}

/// Deserializes a bare JSON array of expressions, the arguments of a call, as a whole: into a tuple
/// or a list.
///
/// For a tuple, extra arguments are skipped, and missing ones are `undefined`.
///
/// ```
/// use capnweb_wire::{NoCapabilities, Source, from_args};
///
/// let source = Source { text: "[2,3]", holes: &[], capabilities: &NoCapabilities };
/// assert_eq!(from_args::<(u32, f64)>(&source)?, (2, 3.0));
/// assert_eq!(from_args::<(u32,)>(&source)?, (2,));
/// assert_eq!(from_args::<(u32, u32, Option<u32>)>(&source)?, (2, 3, None));
/// assert_eq!(from_args::<Vec<u32>>(&source)?, [2, 3]);
/// # Ok::<(), capnweb_wire::DeError>(())
/// ```
///
/// # Errors
///
/// Returns an error if the text does not contain a `T`.
pub fn from_args<'a, T: Deserialize<'a>>(source: &Source<'a>) -> Result<T, DeError> {
    reader::read(
        source.text,
        0,
        source.holes,
        source.capabilities,
        |reader| {
            let args = T::deserialize(arguments::Arguments { reader })?;
            reader.finish()?;
            Ok(args)
        },
    )
    .map_err(|error| error.located(|at| place::path_of_args(source.text, at)))
}

#[cfg(test)]
mod tests;
