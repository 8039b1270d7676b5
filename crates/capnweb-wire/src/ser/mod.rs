//! Serialization of Rust values as expressions.
//!
//! | Rust | expression |
//! |---|---|
//! | `bool`, strings, `char` | themselves |
//! | integers up to ±(2^53−1) | numbers |
//! | larger integers, [`BigInt`](crate::BigInt) | `["bigint", "…"]` |
//! | `f32`, `f64` | numbers, `["inf"]`, `["-inf"]`, `["nan"]` |
//! | `None` | `null` |
//! | `()` and unit structs | `["undefined"]` as a whole result or argument, else `null` |
//! | `serde_bytes` and the like | `["bytes", "…"]` |
//! | [`TypedArray`](crate::TypedArray), [`Binary`](crate::Binary) | `["bytes", "…", "Int8Array"]` |
//! | sequences, tuples | `[[…]]` |
//! | maps, structs | objects; keys are strings, integers, booleans, characters, or unit variants |
//! | enums | their serde representation; by default `"A"` or `{"A": …}` |

mod arguments;
mod compound;
mod key;
mod only;
mod special;
mod value;
mod writer;

use serde::Serialize;

use self::{arguments::Arguments, only::Only, value::Value, writer::Writer};
use crate::{CapabilitySink, SerError};

/// Appends `value` to `out` as one expression.
///
/// For each capability in `value`, the text contains the placeholder `0`, and `sink` receives its
/// position.
///
/// ```
/// use capnweb_wire::{NoCapabilities, to_expr};
///
/// let mut out = Vec::new();
/// to_expr(&(1, "two", None::<u8>, u64::MAX), &mut out, &mut NoCapabilities)?;
/// assert_eq!(out, br#"[[1,"two",null,["bigint","18446744073709551615"]]]"#);
/// # Ok::<(), capnweb_wire::SerError>(())
/// ```
///
/// # Errors
///
/// Returns an error if the value's own `Serialize` fails, if the value is nested deeper than 256
/// levels, if a map's key cannot be a string, or if `sink` rejects a capability. `out` is then
/// unchanged, but `sink` may have received capabilities.
pub fn to_expr<T: Serialize + ?Sized>(
    value: &T,
    out: &mut Vec<u8>,
    sink: &mut dyn CapabilitySink,
) -> Result<(), SerError> {
    to_expr_within(value, out, sink, usize::MAX)
}

/// Appends `value` to `out` as one expression, if that takes at most about `max_len` bytes.
///
/// ```
/// use capnweb_wire::{NoCapabilities, to_expr_within};
///
/// let mut out = Vec::new();
/// to_expr_within(&vec![7; 100], &mut out, &mut NoCapabilities, 1000)?;
/// assert_eq!(out.len(), 203);
/// assert!(to_expr_within(&vec![7; 1000], &mut out, &mut NoCapabilities, 1000).is_err());
/// assert_eq!(out.len(), 203);
/// # Ok::<(), capnweb_wire::SerError>(())
/// ```
///
/// # Errors
///
/// Returns the same errors as [`to_expr`], and one if the text gets too long. In that case it calls
/// [`CapabilitySink::stopped`] too, since a value that ignores errors of its parts may still
/// succeed.
#[inline]
pub fn to_expr_within<T: Serialize + ?Sized>(
    value: &T,
    out: &mut Vec<u8>,
    sink: &mut dyn CapabilitySink,
    max_len: usize,
) -> Result<(), SerError> {
    write(out, sink, max_len, |writer| {
        value.serialize(Value {
            writer,
            place: value::PlaceKind::Whole,
        })
    })
}

/// Appends the arguments of a call to `out`, as a bare JSON array of expressions.
///
/// The arguments are a tuple, array or list, or `()` if there are none.
///
/// ```
/// use capnweb_wire::{NoCapabilities, to_args};
///
/// let mut out = Vec::new();
/// to_args(&(2, [3]), &mut out, &mut NoCapabilities)?;
/// assert_eq!(out, b"[2,[[3]]]");
///
/// let error = to_args("lonely", &mut out, &mut NoCapabilities).unwrap_err();
/// assert!(error.to_string().contains("tuple"));
/// # Ok::<(), capnweb_wire::SerError>(())
/// ```
///
/// # Errors
///
/// Returns the same errors as [`to_expr`], and an error if `args` is something else.
pub fn to_args<T: Serialize + ?Sized>(
    args: &T,
    out: &mut Vec<u8>,
    sink: &mut dyn CapabilitySink,
) -> Result<(), SerError> {
    write(out, sink, usize::MAX, |writer| {
        args.serialize(Only(Arguments { writer }))
    })
}

#[inline]
fn write(
    out: &mut Vec<u8>,
    sink: &mut dyn CapabilitySink,
    max_len: usize,
    serialize: impl FnOnce(&mut Writer<'_>) -> Result<(), SerError>,
) -> Result<(), SerError> {
    let start = out.len();
    let mut writer = Writer::new(out, sink, max_len);
    let result = serialize(&mut writer);
    if result.is_err() {
        out.truncate(start);
    }
    result
}

#[cfg(test)]
mod tests;
