//! Round trips that could be saved.

use std::collections::VecDeque;
use std::fmt;

use capnweb_wire::Expr;
use serde::Serialize;

use crate::Side;

/// The maximum time between an answer and a call that was waiting for it, in milliseconds. After a
/// longer time, the call was waiting for something else, such as a person or a timer.
const MAX_PAUSE: f64 = 50.0;
/// The number of answers that are remembered.
const ANSWERS: usize = 16;
/// The number of values that are remembered of an answer.
const VALUES: usize = 64;

/// Advice on saving a round trip.
///
/// It is advice about the caller's code, as far as messages tell: one call was made when the answer
/// of another had come, and uses it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "is", content = "call")]
#[non_exhaustive]
pub enum Advice {
    /// The call is on an object in the result of that call: it could have been called on the
    /// promise.
    Pipeline(u64),
    /// An argument is the result of that call, or a value in it: the promise could have been passed
    /// on.
    PassPromise(u64),
    /// An argument is an element of the list that is the result of that call: `map` could have made
    /// all calls for the list.
    Map(u64),
}

impl Advice {
    /// Returns the number of the call whose answer was awaited.
    #[must_use]
    pub fn call(&self) -> u64 {
        match self {
            Self::Pipeline(call) | Self::PassPromise(call) | Self::Map(call) => *call,
        }
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pipeline(call) => write!(
                f,
                "awaiting call {call} cost a round trip: call this on its promise"
            ),
            Self::PassPromise(call) => write!(
                f,
                "awaiting call {call} seems to have cost a round trip: pass its promise as the argument"
            ),
            Self::Map(call) => write!(
                f,
                "awaiting call {call} seems to have cost a round trip: `map` its promise"
            ),
        }
    }
}

/// A plain value that is distinctive enough to be recognized.
#[derive(Clone, Debug, PartialEq)]
enum Plain {
    Text(String),
    Number(f64),
}

impl Plain {
    fn of(expr: &Expr) -> Option<Self> {
        match expr {
            Expr::String(text) => {
                let text = text.to_str();
                let is_telling =
                    (3..200).contains(&text.len()) && text != crate::recording::REDACTED;
                is_telling.then(|| Self::Text(text.into_owned()))
            }
            Expr::Number(number) => (number.abs() > 1.0).then_some(Self::Number(*number)),
            Expr::BigInt(number) => Some(Self::Text(number.to_string())),
            _ => None,
        }
    }
}

/// The plain values of an answer.
#[derive(Debug)]
struct Answer {
    to: Side,
    call: u64,
    at: f64,
    took: f64,
    is_list: bool,
    values: Vec<Plain>,
}

/// The answers that a call may have been waiting for.
#[derive(Debug, Default)]
pub(super) struct Answers(VecDeque<Answer>);

impl Answers {
    /// Remembers the plain values in the result of a call.
    pub(super) fn add(&mut self, call: u64, to: Side, result: &Expr, at: f64, took: f64) {
        let mut values = Vec::new();
        collect(result, 0, &mut values);
        let is_list = matches!(result, Expr::Array(_));
        if values.is_empty() {
            return;
        }
        if self.0.len() == ANSWERS {
            self.0.pop_front();
        }
        self.0.push_back(Answer {
            to,
            call,
            at,
            took,
            is_list,
            values,
        });
    }

    /// Returns advice about a call with these arguments.
    pub(super) fn advice(&self, caller: Side, args: &[Expr], now: f64) -> Option<Advice> {
        let mut given = Vec::new();
        for arg in args {
            collect(arg, 0, &mut given);
        }
        let answers = self.0.iter().rev().filter(|answer| answer.to == caller);
        for answer in answers.filter(|answer| is_soon(answer.at, answer.took, now)) {
            if given.iter().any(|value| answer.values.contains(value)) {
                return Some(match answer.is_list {
                    true => Advice::Map(answer.call),
                    false => Advice::PassPromise(answer.call),
                });
            }
        }
        None
    }
}

/// Returns true if a call at `now` was probably waiting for an answer at `at`.
pub(super) fn is_soon(at: f64, took: f64, now: f64) -> bool {
    now >= at && now - at <= took.max(MAX_PAUSE)
}

fn collect(expr: &Expr, depth: usize, out: &mut Vec<Plain>) {
    if depth > 3 || out.len() >= VALUES {
        return;
    }
    match expr {
        Expr::Array(items) => items.iter().for_each(|item| collect(item, depth + 1, out)),
        Expr::Object(members) => members
            .iter()
            .for_each(|(_, value)| collect(value, depth + 1, out)),
        other => out.extend(Plain::of(other)),
    }
}
