//! Pipelines: the operations on a promise of each type.

mod list;
mod object;
mod opaque;
mod option;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use indexmap::IndexMap;

pub use crate::typed::pipeline::{
    list::ListPipeline,
    object::MapPipeline,
    opaque::{Json, NoPipeline},
    option::{NonList, OptionPipeline},
};
use crate::{
    api::{
        promise::{Pipelined, Promise, StubType},
        stub::Stub,
    },
    graph::payload::Payload,
    util::tuples::for_tuples,
};

/// A pipeline whose promise has a known type. Only [`Stub`], the dynamic pipeline, is not one.
pub trait TypedPipeline: StubType {}

#[diagnostic::do_not_recommend]
impl Pipelined for Stub {
    type Pipeline = Self;
}

#[diagnostic::do_not_recommend]
impl Pipelined for Payload {
    type Pipeline = Stub;
}

#[diagnostic::do_not_recommend]
impl<T: Pipelined, E> Pipelined for Promise<T, E> {
    type Pipeline = T::Pipeline;
}

#[cfg(feature = "serde_json")]
#[diagnostic::do_not_recommend]
impl Pipelined for serde_json::Value {
    type Pipeline = Stub;
}

#[diagnostic::do_not_recommend]
impl<T: Pipelined> Pipelined for Box<T> {
    type Pipeline = T::Pipeline;
}

#[diagnostic::do_not_recommend]
impl<T> Pipelined for Vec<T> {
    type Pipeline = ListPipeline<T>;
}

#[diagnostic::do_not_recommend]
impl<T> Pipelined for VecDeque<T> {
    type Pipeline = ListPipeline<T>;
}

#[diagnostic::do_not_recommend]
impl<T, S> Pipelined for HashSet<T, S> {
    type Pipeline = ListPipeline<T>;
}

#[diagnostic::do_not_recommend]
impl<T> Pipelined for BTreeSet<T> {
    type Pipeline = ListPipeline<T>;
}

#[diagnostic::do_not_recommend]
impl<T, const N: usize> Pipelined for [T; N] {
    type Pipeline = ListPipeline<T>;
}

#[diagnostic::do_not_recommend]
impl<T> Pipelined for Option<T> {
    type Pipeline = OptionPipeline<T>;
}

#[diagnostic::do_not_recommend]
impl<K, V, S> Pipelined for HashMap<K, V, S> {
    type Pipeline = MapPipeline<V>;
}

#[diagnostic::do_not_recommend]
impl<K, V> Pipelined for BTreeMap<K, V> {
    type Pipeline = MapPipeline<V>;
}

#[diagnostic::do_not_recommend]
impl<K, V, S> Pipelined for IndexMap<K, V, S> {
    type Pipeline = MapPipeline<V>;
}

macro_rules! tuples {
    ($($($name:ident)*;)*) => {
        $(#[diagnostic::do_not_recommend]
        impl<$($name),*> Pipelined for ($($name,)*) {
            type Pipeline = NoPipeline<Self>;
        })*
    };
}

for_tuples!(tuples);

/// Implements a pipeline that consists of a stub and a marker for its type.
macro_rules! pipeline {
    ($name:ident) => {
        impl<T> $crate::api::promise::StubType for $name<T> {
            fn from_stub(stub: $crate::api::stub::Stub) -> Self {
                Self {
                    stub,
                    marker: std::marker::PhantomData,
                }
            }

            fn as_stub(&self) -> &$crate::api::stub::Stub {
                &self.stub
            }

            fn into_stub(self) -> $crate::api::stub::Stub {
                self.stub
            }
        }

        impl<T> $crate::typed::pipeline::TypedPipeline for $name<T> {}

        impl<T> std::fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.stub).finish()
            }
        }
    };
}

use pipeline;
