//! The positions of capabilities in an expression.

use crate::Span;

/// A position of a capability in an expression's text.
///
/// The scanner lists holes in the order of their start. A hole that contains others (in a call's
/// arguments or a map's captures) is followed by them, and [`inner`](Self::inner) is their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hole {
    /// The whole form, `["import", …]`.
    pub span: Span,
    /// The kind of form.
    pub form: Form,
    /// The ID in the form, an integer between −2^53 and 2^53.
    pub id: i64,
    /// The property path, a JSON array of strings and numbers that [`steps`](crate::steps) reads.
    /// `None` differs from an empty path. A [`Remap`](Form::Remap) always has one.
    pub path: Option<Span>,
    /// The arguments of a call, a JSON array of expressions. For a [`Remap`](Form::Remap), its
    /// instructions: JSON within the limits, whose expressions have not been scanned.
    pub args: Option<Span>,
    /// The number of following holes that lie inside this one: in its arguments or, for a
    /// [`Remap`](Form::Remap), in its captures, each of which is an [`Import`](Form::Import) or
    /// [`Export`](Form::Export) without a path.
    pub inner: u32,
}

/// The forms for capabilities.
///
/// The names are from the sender's point of view: its *import* is an export of the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// `["import", id, path?, args?]`: the receiver's own export, a property of it, or a call of
    /// it, as a stub.
    Import,
    /// `["pipeline", id, path?, args?]`: the same as a promise.
    Pipeline,
    /// `["export", id]`: a stub of the sender.
    Export,
    /// `["promise", id]`: a promise of the sender, which it resolves without a pull.
    Promise,
    /// `["writable", id]`: a writable stream of the sender.
    Writable,
    /// `["readable", id]`: the readable end of a pipe that the sender created.
    Readable,
    /// The `["readable", id]` of a `["blob", type, readable]`.
    Blob,
    /// `["remap", id, path, captures, instructions]`: a recorded function applied to the value at
    /// `path`.
    Remap,
    /// `["bytes", "", container?]` whose bytes are the [`Attachment`](crate::Attachment) with this
    /// number. Only [`scan_attached`](crate::scan_attached) finds them.
    Bytes,
}

impl Form {
    /// Returns the form's name in the text.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Import => "import",
            Self::Pipeline => "pipeline",
            Self::Export => "export",
            Self::Promise => "promise",
            Self::Writable => "writable",
            Self::Readable | Self::Blob => "readable",
            Self::Remap => "remap",
            Self::Bytes => "bytes",
        }
    }
}
