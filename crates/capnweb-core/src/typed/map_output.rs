//! Results of functions that are recorded for `map`.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap, VecDeque},
};

use indexmap::IndexMap;
use serde::Serialize;

use crate::{
    api::{
        promise::{Pipelined, Promise},
        stub::Stub,
        value::Value,
    },
    graph::payload::Payload,
    typed::pipeline::Json,
    util::tuples::for_tuples,
};

/// A value that the closure of a `map` can return.
///
/// The closure runs once, on a placeholder. Its result describes the outcome for each element: a
/// promise (of the element, or of a call on it), a stub, a constant, or a tuple, list, option or
/// generic `#[value]` of those.
#[diagnostic::on_unimplemented(
    message = "a `{Self}` cannot be the result of a `map`",
    label = "expected a promise, a stub, a constant, or a tuple, list or `#[value]` of those",
    note = "the closure of a `map` is recorded here and run at the peer: it is not async, and returns \
            a description of the outcome, such as `api.get_user(id)` or `(id.clone(), api.get_user(id))`"
)]
pub trait MapOutput: Serialize {
    /// The type of the result once it is awaited.
    type Value;
}

#[diagnostic::do_not_recommend]
impl<T: Pipelined, E> MapOutput for Promise<T, E> {
    type Value = T;
}

#[diagnostic::do_not_recommend]
impl<T: Pipelined, E> MapOutput for &Promise<T, E> {
    type Value = T;
}

macro_rules! dynamic {
    ($($type:ty),* $(,)?) => {
        $(#[diagnostic::do_not_recommend]
        impl MapOutput for $type {
            type Value = Self;
        })*
    };
}

dynamic!(Payload, Stub, Value);

#[cfg(feature = "serde_json")]
dynamic!(serde_json::Value);

#[diagnostic::do_not_recommend]
impl MapOutput for &str {
    type Value = String;
}

#[diagnostic::do_not_recommend]
impl MapOutput for Cow<'_, str> {
    type Value = String;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize> MapOutput for Json<T> {
    type Value = Self;
}

#[diagnostic::do_not_recommend]
impl<R: MapOutput> MapOutput for Vec<R> {
    type Value = Vec<R::Value>;
}

#[diagnostic::do_not_recommend]
impl<R: MapOutput, const N: usize> MapOutput for [R; N]
where
    Self: Serialize,
{
    type Value = Vec<R::Value>;
}

#[diagnostic::do_not_recommend]
impl<R: MapOutput> MapOutput for VecDeque<R> {
    type Value = VecDeque<R::Value>;
}

#[diagnostic::do_not_recommend]
impl<R: MapOutput> MapOutput for Box<R> {
    type Value = Box<R::Value>;
}

#[diagnostic::do_not_recommend]
impl<R: MapOutput> MapOutput for Option<R> {
    type Value = Option<R::Value>;
}

#[diagnostic::do_not_recommend]
impl<K: Serialize, R: MapOutput, S> MapOutput for HashMap<K, R, S> {
    type Value = HashMap<K, R::Value, S>;
}

#[diagnostic::do_not_recommend]
impl<K: Serialize, R: MapOutput> MapOutput for BTreeMap<K, R> {
    type Value = BTreeMap<K, R::Value>;
}

#[diagnostic::do_not_recommend]
impl<K: Serialize, R: MapOutput, S> MapOutput for IndexMap<K, R, S> {
    type Value = IndexMap<K, R::Value, S>;
}

macro_rules! tuples {
    ($($($part:ident)*;)*) => {
        $(#[diagnostic::do_not_recommend]
        impl<$($part: MapOutput),*> MapOutput for ($($part,)*) {
            type Value = ($($part::Value,)*);
        })*
    };
}

for_tuples!(tuples);
