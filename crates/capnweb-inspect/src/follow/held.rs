//! References that a side holds to objects of the other side.

use std::fmt;

use serde::Serialize;

use crate::Side;

/// The kind of a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum HeldKind {
    /// The result of a call.
    Result,
    /// A stub.
    Stub,
    /// A promise.
    Promise,
    /// A writable stream.
    Writable,
    /// The writable end of a pipe.
    Pipe,
}

impl fmt::Display for HeldKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Result => "the result",
            Self::Stub => "a stub",
            Self::Promise => "a promise",
            Self::Writable => "a writable stream",
            Self::Pipe => "the end of a pipe",
        })
    }
}

/// The place in a call where a reference was handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Place {
    /// In the arguments of the call.
    Argument,
    /// In the call's result, or as the result itself.
    Result,
}

/// The origin of a reference: the call that handed it over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Origin {
    /// The number of the call.
    pub call: Option<u64>,
    /// The call as JavaScript, shortened. It is kept when the call itself is dropped.
    pub label: String,
    /// The place in the call.
    pub place: Place,
}

/// A reference that one side holds to something of the other.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Held {
    /// The ID of the reference in both tables.
    pub id: i64,
    /// The side that holds the reference.
    pub holder: Side,
    /// The kind of the thing that is held.
    pub kind: HeldKind,
    /// The message that it comes from.
    pub origin: Origin,
    /// The number of references.
    pub refs: u64,
    /// The time when it was handed over, in milliseconds since the start of the recording.
    pub since: f64,
    /// True if its outcome was asked for.
    pub is_pulled: bool,
    /// True if its outcome is known.
    pub is_settled: bool,
    /// True for the result of a `stream`, which its outcome releases.
    #[serde(skip)]
    pub(crate) is_stream: bool,
    /// The number of the message that handed it over.
    #[serde(skip)]
    pub(crate) message: u64,
}

impl Held {
    /// Returns the reference and its origin in words.
    #[must_use]
    pub fn describe(&self) -> String {
        let Origin { call, label, place } = &self.origin;
        let call = match call {
            Some(number) => format!("call {number}, {label}"),
            None => return self.kind.to_string(),
        };
        match (self.kind, place) {
            (HeldKind::Result, _) => format!("the result of {call}"),
            (kind, Place::Argument) => format!("{kind} in the arguments of {call}"),
            (kind, _) => format!("{kind} in the result of {call}"),
        }
    }
}
