//! Calls and other operations that a push can contain.

use serde::Serialize;

use super::Advice;
use crate::Side;

/// The kind of operation that a side asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum CallKind {
    /// A call of a method, or of a function.
    Call,
    /// A read of a property.
    Get,
    /// A map.
    Map,
    /// A call that is answered without being pulled: a chunk of a stream.
    Stream,
    /// A pushed value, as in a ping.
    Value,
}

/// The outcome of a call, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "is", content = "value")]
#[non_exhaustive]
pub enum Outcome {
    /// The result was never asked for.
    NotAskedFor,
    /// The result was asked for and has not arrived.
    Pending,
    /// The caller released the result before it arrived.
    Released,
    /// The result, shortened.
    Resolved(String),
    /// The error, shortened.
    Rejected(String),
}

/// A call, read or map that one side asked the other to perform.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Call {
    /// The call's number in its session, from 1.
    pub number: u64,
    /// The side that called.
    pub caller: Side,
    /// The ID of the result: the caller's import.
    pub id: i64,
    /// The kind of operation.
    pub kind: CallKind,
    /// The property path, as JavaScript. Empty for a function itself.
    pub path: String,
    /// The arguments as JavaScript, shortened. `None` if this is not a call.
    pub args: Option<String>,
    /// The call whose result or argument this call is made on. `None` for the main object.
    pub parent: Option<u64>,
    /// Other calls whose results are arguments of this one.
    pub depends_on: Vec<u64>,
    /// The time when the call was seen, in milliseconds since the start of the recording.
    pub sent: f64,
    /// The time when the result was asked for.
    pub pulled: Option<f64>,
    /// The time when the outcome was seen.
    pub settled: Option<f64>,
    /// The time when the caller released the result.
    pub released: Option<f64>,
    /// The outcome of the call.
    pub outcome: Outcome,
    /// The caller's round trip that the call belongs to, from 1. 0 for chunks of streams.
    pub round_trip: u32,
    /// The length of the message that made the call, in bytes.
    pub bytes: usize,
    /// The length of the message with the outcome, in bytes.
    pub answer_bytes: usize,
    /// Advice, if a round trip before this call could have been saved.
    pub advice: Option<Advice>,
    /// The number of further chunks of the same stream that this call stands for.
    pub repeated: u64,
}

impl Call {
    /// Returns the call as JavaScript, shortened, such as `getUser(7)`.
    #[must_use]
    pub fn label(&self) -> String {
        let path = match self.path.as_str() {
            "" => "(itself)",
            path => path,
        };
        match (self.kind, &self.args) {
            (CallKind::Map, _) if self.path.is_empty() => "map(…)".to_owned(),
            (CallKind::Map, _) => format!("{path}.map(…)"),
            (CallKind::Value, _) => format!("value {}", self.path),
            (_, Some(args)) if self.path.is_empty() => format!("(callback)({args})"),
            (_, Some(args)) => format!("{path}({args})"),
            (_, None) => path.to_owned(),
        }
    }

    /// Returns the time from the call to its outcome, in milliseconds.
    #[must_use]
    pub fn took(&self) -> Option<f64> {
        self.settled.map(|settled| settled - self.sent)
    }
}
