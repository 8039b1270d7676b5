//! Pipelines of types that have nothing to be asked before they settle.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    marker::PhantomData,
};

use bytes::Bytes;
use capnweb_wire::{BigInt, Date, Undefined};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::{
    error::Error,
    payload::Payload,
    promise::{FromStub, Pipelined},
    stub::Stub,
    url::Url,
};

/// The pipeline of a type that has no methods or properties of its own.
pub struct Opaque<T> {
    stub: Stub,
    marker: PhantomData<fn() -> T>,
}

impl<T> FromStub for Opaque<T> {
    fn from_stub(stub: Stub) -> Self {
        Self {
            stub,
            marker: PhantomData,
        }
    }

    fn as_stub(&self) -> &Stub {
        &self.stub
    }
}

impl<T> fmt::Debug for Opaque<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Opaque").field(&self.stub).finish()
    }
}

/// A value of any serde type, where a type with a pipeline is asked for.
///
/// ```
/// # use capnweb_core::{Json, Object, Promise, Result};
/// #[derive(serde::Deserialize)]
/// struct User {
///     name: String,
/// }
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
/// # let api = Object::new().method("user", async || Ok(std::collections::BTreeMap::from([("name", "Ada")]))).into_stub();
/// let user: Promise<Json<User>> = api.call("user", ()).cast();
/// assert_eq!(user.await?.0.name, "Ada");
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Json<T>(pub T);

impl<T> Pipelined for Json<T> {
    type Pipeline = Opaque<Self>;
}

impl Pipelined for Stub {
    type Pipeline = Self;
}

impl Pipelined for Payload {
    type Pipeline = Stub;
}

macro_rules! opaque {
    ($($type:ty),* $(,)?) => {
        $(impl Pipelined for $type {
            type Pipeline = Opaque<Self>;
        })*
    };
}

opaque! {
    (), bool, char, f32, f64, i8, i16, i32, i64, i128, isize, u8, u16, u32, u64, u128, usize, String,
    Bytes, BigInt, Date, Undefined, Error,
    Url,
}

impl<T> Pipelined for Vec<T> {
    type Pipeline = Opaque<Self>;
}

impl<T> Pipelined for Option<T> {
    type Pipeline = Opaque<Self>;
}

impl<K, V, S> Pipelined for HashMap<K, V, S> {
    type Pipeline = Opaque<Self>;
}

impl<K, V> Pipelined for BTreeMap<K, V> {
    type Pipeline = Opaque<Self>;
}

impl<K, V, S> Pipelined for IndexMap<K, V, S> {
    type Pipeline = Opaque<Self>;
}

macro_rules! tuples {
    ($($($name:ident)*;)*) => {
        $(impl<$($name),*> Pipelined for ($($name,)*) {
            type Pipeline = Opaque<Self>;
        })*
    };
}

tuples! {
    A;
    A B;
    A B C;
    A B C D;
    A B C D E;
    A B C D E F;
    A B C D E F G;
    A B C D E F G H;
}
