//! Reading expressions into Rust values.
//!
//! The text is one that a scanner has passed, so nothing is checked twice. A text that was not
//! checked leads to an arbitrary value or an error, never to a panic.
//!
//! | asked for | accepted |
//! |---|---|
//! | integers | numbers without a fraction (`1.0` and `1e3` too) and `bigint`, where they fit |
//! | `f32`, `f64` | numbers, `inf`, `-inf`, `nan`; `1e400` is infinite |
//! | strings | strings, `url`; half of a surrogate pair becomes U+FFFD. Borrowed if nothing is escaped |
//! | `Option` | `null`, `undefined` and a property that is not there are `None` |
//! | `()` | `null`, `undefined` |
//! | sequences, tuples | `[[…]]`; `bytes` as a sequence of their container's elements; `headers` as one of pairs |
//! | bytes | `bytes`, whatever the container; a sequence of numbers |
//! | maps, structs | objects; `error` (`name`, `message`, `stack`, other properties), `request`, `response`, `blob` |
//! | enums | as their serde representation says; by default a string or an object with one key |
//! | anything | all of these; a `date` as its milliseconds, a `bigint` beyond 64 bits as its digits |
//!
//! Keys that JavaScript's `Object.prototype` has, and `toJSON`, are passed over, as the TypeScript
//! implementation does. Of duplicate keys the last one counts.

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

/// A text to read from, and the capabilities in it.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// The text: an expression, or a bare array of them.
    pub text: &'a str,
    /// The places of the capabilities in the text, in ascending order.
    pub holes: &'a [Span],
    /// Hands the capabilities out, by their numbers in `holes`.
    pub capabilities: &'a dyn CapabilitySource,
}

/// Reads one expression.
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
/// If the text holds something else than what `T` asks for.
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

/// Reads a bare JSON array of expressions, the arguments of a call, as a whole: into a tuple or a
/// list.
///
/// Into a tuple, further arguments are passed over, and missing ones are `undefined`.
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
/// If the text holds something else than what `T` asks for.
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
