//! Writing Rust values as expressions.
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
//! | [`TypedArray`](crate::TypedArray), [`Binary`](crate::Binary) | `["bytes", "…", "Float32Array"]` and so on |
//! | sequences, tuples | `[[…]]` |
//! | maps, structs | objects; keys are strings, integers, booleans, characters, or unit variants |
//! | enums | as their serde representation says; by default `"A"` or `{"A": …}` |

mod arguments;
mod compound;
mod key;
mod only;
mod special;
mod value;

use serde::Serialize;

use self::{arguments::Arguments, only::Only, value::Value};
use crate::{CapabilitySink, Container, SerError, Span, write_form};

/// Appends `value` to `out` as one expression.
///
/// Where `value` holds a capability, the text gets the placeholder `0`, and `sink` is told where.
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
/// If the value's own `Serialize` fails, if it is nested deeper than 256 levels, if a map's key is nothing that can
/// be a string, or if `sink` refuses a capability. `out` is then as it was before, but `sink` may have been told of
/// capabilities.
pub fn to_expr<T: Serialize + ?Sized>(
    value: &T,
    out: &mut Vec<u8>,
    sink: &mut dyn CapabilitySink,
) -> Result<(), SerError> {
    write(out, sink, |writer| {
        value.serialize(Value {
            writer,
            place: value::Place::Whole,
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
/// As for [`to_expr`], and if `args` is something else.
pub fn to_args<T: Serialize + ?Sized>(
    args: &T,
    out: &mut Vec<u8>,
    sink: &mut dyn CapabilitySink,
) -> Result<(), SerError> {
    write(out, sink, |writer| {
        args.serialize(Only(Arguments { writer }))
    })
}

fn write(
    out: &mut Vec<u8>,
    sink: &mut dyn CapabilitySink,
    serialize: impl FnOnce(&mut Writer<'_>) -> Result<(), SerError>,
) -> Result<(), SerError> {
    let start = out.len();
    let mut writer = Writer {
        out,
        sink,
        depth: 0,
    };
    let result = serialize(&mut writer);
    if result.is_err() {
        out.truncate(start);
    }
    result
}

/// Values at this depth are refused. It is the depth from which on peers refuse them by default.
const MAX_DEPTH: u32 = 256;

/// Where expressions are written to.
struct Writer<'a> {
    out: &'a mut Vec<u8>,
    sink: &'a mut dyn CapabilitySink,
    /// The depth of the value that is being written; the outermost is at depth 0.
    depth: u32,
}

impl Writer<'_> {
    fn put(&mut self, text: &[u8]) {
        self.out.extend_from_slice(text);
    }

    /// Goes down to the values inside of a container.
    fn enter(&mut self) -> Result<(), SerError> {
        self.depth += 1;
        if self.depth < MAX_DEPTH {
            Ok(())
        } else {
            Err(SerError::too_deep())
        }
    }

    fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Writes a placeholder for the capability that `token` names.
    fn capability(&mut self, token: &[u8]) -> Result<(), SerError> {
        let span = self.placeholder()?;
        self.out.push(b'0');
        self.sink.capability(token, span)
    }

    /// Writes bytes, or a placeholder if the sink keeps them.
    fn bytes(&mut self, bytes: &[u8], container: Container) -> Result<(), SerError> {
        let span = self.placeholder()?;
        if self.sink.keep_bytes(bytes, container, span) {
            self.out.push(b'0');
        } else {
            write_form(self.out, bytes, container);
        }
        Ok(())
    }

    /// Where a placeholder would be.
    fn placeholder(&self) -> Result<Span, SerError> {
        let start = u32::try_from(self.out.len()).map_err(|_| SerError::too_large())?;
        let end = start.checked_add(1).ok_or_else(SerError::too_large)?;
        Ok(Span { start, end })
    }
}

#[cfg(test)]
mod tests;
