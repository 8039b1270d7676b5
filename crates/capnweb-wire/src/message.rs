//! Messages and expressions as plain trees, for proxies, recorders and tools.
//!
//! Sessions do not build trees: they work on the text, through [`scan_frame`](crate::scan_frame).

mod expr;
mod js_string;
mod raw;
mod read;
mod write;

use std::fmt;
use std::str::FromStr;

pub use expr::{
    Capture, ErrorValue, Expr, PathStep, Reference, RemapValue, RequestValue, ResponseValue,
};
pub use js_string::JsString;
pub use raw::RawJson;

use crate::{Frame, Limits, WireError, scan_frame};

/// One message, with its expression as a tree.
///
/// Reading performs the checks of [`scan_frame`](crate::scan_frame). Writing uses the protocol's
/// canonical form: a message that is read and written keeps its meaning, but loses white space and
/// extra elements.
///
/// ```
/// use capnweb_wire::{Expr, Message};
///
/// let message: Message = r#"["resolve", 1, {"name": "ann", "since": ["date", 0]}]"#.parse()?;
/// let Message::Resolve(1, Expr::Object(members)) = &message else { panic!() };
/// assert_eq!(members[0].1, Expr::from("ann"));
/// assert_eq!(message.to_string(), r#"["resolve",1,{"name":"ann","since":["date",0]}]"#);
/// # Ok::<(), capnweb_wire::WireError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Message {
    /// `["push", expression]`.
    Push(Expr),
    /// `["stream", expression]`.
    Stream(Expr),
    /// `["pipe"]`.
    Pipe,
    /// `["pull", id]`.
    Pull(i64),
    /// `["resolve", id, expression]`.
    Resolve(i64, Expr),
    /// `["reject", id, expression]`.
    Reject(i64, Expr),
    /// `["release", id, count]`.
    Release {
        /// The import that is released.
        id: i64,
        /// The number of references to it.
        count: u64,
    },
    /// `["abort", expression]`.
    Abort(Expr),
}

impl Message {
    /// Parses a message.
    ///
    /// # Errors
    ///
    /// Returns an error if the text is not a valid message or exceeds a limit.
    pub fn parse(text: &str, limits: &Limits) -> Result<Self, WireError> {
        let frame = scan_frame(text, limits, &mut Vec::new())?;
        Ok(match frame {
            Frame::Push(expr) => Self::Push(read::expression(expr)?),
            Frame::Stream(expr) => Self::Stream(read::expression(expr)?),
            Frame::Pipe => Self::Pipe,
            Frame::Pull(id) => Self::Pull(id),
            Frame::Resolve(id, expr) => Self::Resolve(id, read::expression(expr)?),
            Frame::Reject(id, expr) => Self::Reject(id, read::expression(expr)?),
            Frame::Release { id, count } => Self::Release { id, count },
            Frame::Abort(expr) => Self::Abort(read::expression(expr)?),
        })
    }

    /// Appends the message's text.
    pub fn write(&self, out: &mut Vec<u8>) {
        write::message(self, out);
    }
}

/// Parses a message within the default [`Limits`].
impl FromStr for Message {
    type Err = WireError;

    fn from_str(text: &str) -> Result<Self, WireError> {
        Self::parse(text, &Limits::default())
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write::display(f, |out| self.write(out))
    }
}

#[cfg(test)]
mod tests;
