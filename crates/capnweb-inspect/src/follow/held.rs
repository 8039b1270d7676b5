//! References that one side holds of the other.

use std::fmt;

use serde::Serialize;

use crate::Side;

/// The kind of a thing that is held.
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

/// The part of a call in which a reference was handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Place {
    /// In the arguments of the call.
    Argument,
    /// In the call's result, or as its result.
    Result,
}

/// The message that a thing which is held comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Origin {
    /// The number of the call.
    pub call: Option<u64>,
    /// The call as JavaScript, shortened. It stays when the call itself is dropped.
    pub label: String,
    /// The part of the call.
    pub place: Place,
}

/// A reference that one side holds to something of the other.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Held {
    /// The ID, in the tables of both.
    pub id: i64,
    /// The side that holds it.
    pub holder: Side,
    /// The kind of the thing that is held.
    pub kind: HeldKind,
    /// The message that it comes from.
    pub origin: Origin,
    /// The number of references.
    pub refs: u64,
    /// Since when, in milliseconds since the start of the recording.
    pub since: f64,
    /// True if its outcome was asked for.
    pub is_pulled: bool,
    /// True if its outcome is known, or the stream was closed.
    pub is_settled: bool,
    /// True for the result of a `stream`, which its outcome releases.
    #[serde(skip)]
    pub(crate) is_stream: bool,
    /// The number of the message that handed it over.
    #[serde(skip)]
    pub(crate) message: u64,
}

impl Held {
    /// Returns what is held and where it comes from, in words.
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
