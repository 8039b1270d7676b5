//! Writes messages and the forms inside them.
//!
//! Every function appends to a buffer, and allocates none of its own. An [`Envelope`] is a message
//! whose content the caller writes: [`open`](Envelope::open) appends the part before the content,
//! and [`close`](Envelope::close) the part after it.
//!
//! ```
//! use capnweb_wire::encode::{Envelope, Operation, Target};
//!
//! let target = Target { id: 0, path: r#"["users"]"#, method: Some("add") };
//! let push = Envelope::Push(Operation::Call(target));
//! let mut out = Vec::new();
//! push.open(&mut out);
//! out.extend_from_slice(b"[2,3]");
//! push.close(&mut out);
//! assert_eq!(out, br#"["push",["pipeline",0,["users","add"],[2,3]]]"#);
//! ```
//!
//! Texts that the caller passes (paths, arguments, expressions) are JSON already, and are copied
//! unchanged. Names and messages are plain strings, and are escaped here.

use crate::write::{write_i64, write_string};
use crate::{Step, write_f64};

mod error;

pub use error::Error;

/// The text of the `undefined` expression.
pub const UNDEFINED: &str = r#"["undefined"]"#;

/// An export of the receiver, or a property of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// The receiver's export.
    pub id: i64,
    /// The property path as a JSON array, such as `["users",0]`.
    pub path: &'a str,
    /// A further step after the path.
    pub method: Option<&'a str>,
}

impl<'a> Target<'a> {
    /// Returns the target at `path`, a JSON array, of export `id`.
    #[inline]
    #[must_use]
    pub const fn new(id: i64, path: &'a str) -> Self {
        Self {
            id,
            path,
            method: None,
        }
    }

    /// Appends the ID and the path.
    #[inline]
    fn write(self, out: &mut Vec<u8>) {
        write_i64(out, self.id);
        out.push(b',');
        let Some(method) = self.method else {
            out.extend_from_slice(self.path.as_bytes());
            return;
        };
        let open = self.path.strip_suffix(']').unwrap_or("[");
        out.extend_from_slice(open.as_bytes());
        separate(out);
        write_string(out, method);
        out.push(b']');
    }
}

/// An expression that the receiver evaluates by an operation on one of its exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation<'a> {
    /// `["pipeline", id, path]`: reads a property. It has no content.
    Read(Target<'a>),
    /// `["pipeline", id, path, args]`: calls a method. The content is the arguments, a JSON array.
    Call(Target<'a>),
    /// `["remap", id, path, captures, instructions]`: maps a value. The content is the captures, a
    /// JSON array.
    Map {
        /// The value that is mapped.
        target: Target<'a>,
        /// The instructions, a JSON array.
        instructions: &'a str,
    },
}

impl Operation<'_> {
    /// Appends the part before the content.
    #[inline]
    pub fn open(&self, out: &mut Vec<u8>) {
        let target = match self {
            Self::Read(target) | Self::Call(target) => {
                out.extend_from_slice(br#"["pipeline","#);
                target
            }
            Self::Map { target, .. } => {
                out.extend_from_slice(br#"["remap","#);
                target
            }
        };
        target.write(out);
        if !matches!(self, Self::Read(_)) {
            out.push(b',');
        }
    }

    /// Appends the part after the content.
    #[inline]
    pub fn close(&self, out: &mut Vec<u8>) {
        if let Self::Map { instructions, .. } = self {
            out.push(b',');
            out.extend_from_slice(instructions.as_bytes());
        }
        out.push(b']');
    }

    /// Appends the operation, with the content that `content` appends.
    #[inline]
    pub fn write(&self, out: &mut Vec<u8>, content: impl FnOnce(&mut Vec<u8>)) {
        self.open(out);
        content(out);
        self.close(out);
    }
}

/// The text around the content of a message.
///
/// [`Read`](Operation::Read) has no content: [`open`](Self::open) and [`close`](Self::close) append
/// the whole message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Envelope<'a> {
    /// `["push", operation]`.
    Push(Operation<'a>),
    /// `["push", operation, "note"]`. Peers that do not expect the note ignore it.
    NotedPush(Operation<'a>, &'a str),
    /// `["stream", operation]`.
    Stream(Operation<'a>),
    /// `["resolve", id, expression]`. The content is the expression.
    Resolve(i64),
    /// `["reject", id, expression]`. The content is the expression.
    Reject(i64),
    /// `["abort", expression]`. The content is the expression.
    Abort,
}

impl Envelope<'_> {
    /// Appends the part before the content.
    #[inline]
    pub fn open(&self, out: &mut Vec<u8>) {
        match self {
            Self::Push(operation) | Self::NotedPush(operation, _) => {
                out.extend_from_slice(br#"["push","#);
                operation.open(out);
            }
            Self::Stream(operation) => {
                out.extend_from_slice(br#"["stream","#);
                operation.open(out);
            }
            Self::Resolve(id) => open_answer(out, br#"["resolve","#, *id),
            Self::Reject(id) => open_answer(out, br#"["reject","#, *id),
            Self::Abort => out.extend_from_slice(br#"["abort","#),
        }
    }

    /// Appends the part after the content.
    #[inline]
    pub fn close(&self, out: &mut Vec<u8>) {
        match self {
            Self::Push(operation) | Self::Stream(operation) => operation.close(out),
            Self::NotedPush(operation, note) => close_noted(operation, note, out),
            Self::Resolve(_) | Self::Reject(_) | Self::Abort => {}
        }
        out.push(b']');
    }

    /// Appends the message, with the content that `content` appends.
    #[inline]
    pub fn write(&self, out: &mut Vec<u8>, content: impl FnOnce(&mut Vec<u8>)) {
        self.open(out);
        content(out);
        self.close(out);
    }
}

/// Appends the end of an operation and a note.
#[cold]
fn close_noted(operation: &Operation<'_>, note: &str, out: &mut Vec<u8>) {
    operation.close(out);
    separate(out);
    write_string(out, note);
}

#[inline]
fn open_answer<const N: usize>(out: &mut Vec<u8>, head: &[u8; N], id: i64) {
    out.extend_from_slice(head);
    write_i64(out, id);
    out.push(b',');
}

/// Appends `["resolve", id, expression]`.
#[inline]
pub fn resolve(out: &mut Vec<u8>, id: i64, expression: &str) {
    Envelope::Resolve(id).write(out, |out| out.extend_from_slice(expression.as_bytes()));
}

/// Appends `["reject", id, expression]`.
#[inline]
pub fn reject(out: &mut Vec<u8>, id: i64, expression: &str) {
    Envelope::Reject(id).write(out, |out| out.extend_from_slice(expression.as_bytes()));
}

/// Appends `["abort", expression]`.
#[inline]
pub fn abort(out: &mut Vec<u8>, expression: &str) {
    Envelope::Abort.write(out, |out| out.extend_from_slice(expression.as_bytes()));
}

/// Appends `["push", null]`: a call of nothing, whose answer proves that the peer is there.
pub fn push_null(out: &mut Vec<u8>) {
    out.extend_from_slice(br#"["push",null]"#);
}

/// Appends `["pull", id]`.
#[inline]
pub fn pull(out: &mut Vec<u8>, id: i64) {
    with_id(out, br#"["pull","#, id);
}

/// Appends `["release", id, count]`.
#[inline]
pub fn release(out: &mut Vec<u8>, id: i64, count: u64) {
    out.extend_from_slice(br#"["release","#);
    write_i64(out, id);
    out.push(b',');
    write_u64(out, count);
    out.push(b']');
}

/// Appends `["pipe"]`.
#[inline]
pub fn pipe(out: &mut Vec<u8>) {
    out.extend_from_slice(br#"["pipe"]"#);
}

/// Appends `["import", id]`: a stub of the receiver.
#[inline]
pub fn import(out: &mut Vec<u8>, id: i64) {
    with_id(out, br#"["import","#, id);
}

/// Appends `["export", id]`: a new stub of the sender.
#[inline]
pub fn export(out: &mut Vec<u8>, id: i64) {
    with_id(out, br#"["export","#, id);
}

/// Appends `["promise", id]`: a promise of the sender.
#[inline]
pub fn promise(out: &mut Vec<u8>, id: i64) {
    with_id(out, br#"["promise","#, id);
}

/// Appends `["readable", id]`: the end of a pipe that the receiver reads.
#[inline]
pub fn readable(out: &mut Vec<u8>, id: i64) {
    with_id(out, br#"["readable","#, id);
}

/// Appends `["writable", id]`: a stream that the receiver writes to.
#[inline]
pub fn writable(out: &mut Vec<u8>, id: i64) {
    with_id(out, br#"["writable","#, id);
}

/// Appends `["pipeline", id, path]`: a promise of the receiver, or a property of it.
///
/// `path` is a JSON array. An empty path is omitted, which means the same inside a value.
#[inline]
pub fn pipeline(out: &mut Vec<u8>, id: i64, path: &str) {
    if path == "[]" {
        with_id(out, br#"["pipeline","#, id);
    } else {
        let read = Operation::Read(Target::new(id, path));
        read.open(out);
        read.close(out);
    }
}

/// Appends the captures of a map: a JSON array of `["import", id]`.
pub fn captures(out: &mut Vec<u8>, ids: impl IntoIterator<Item = i64>) {
    out.push(b'[');
    for id in ids {
        separate(out);
        import(out, id);
    }
    out.push(b']');
}

/// Appends a step of a property path, preceded by a comma if necessary.
pub fn path_step(out: &mut Vec<u8>, step: &Step<'_>) {
    separate(out);
    match step {
        Step::Key(key) => write_string(out, key),
        Step::Index(index) => write_u64(out, *index),
        Step::Number(number) => write_f64(out, *number),
    }
}

/// Appends a comma, unless `out` ends with an opening bracket.
///
/// Call it before each item of a list to separate the items.
#[inline]
pub fn separate(out: &mut Vec<u8>) {
    if out.last() != Some(&b'[') {
        out.push(b',');
    }
}

/// Appends `head` and an ID. The length of the head is constant, so copying it takes a store or
/// two.
#[inline]
fn with_id<const N: usize>(out: &mut Vec<u8>, head: &[u8; N], id: i64) {
    out.extend_from_slice(head);
    write_i64(out, id);
    out.push(b']');
}

#[inline]
pub(crate) fn write_u64(out: &mut Vec<u8>, number: u64) {
    match u8::try_from(number) {
        Ok(digit @ 0..=9) => out.push(b'0' + digit),
        _ => out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes()),
    }
}

#[cfg(test)]
mod tests;
