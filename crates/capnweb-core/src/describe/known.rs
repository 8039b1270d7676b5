//! Descriptions of the standard library's types and our own.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6},
    num::{
        NonZeroI8, NonZeroI16, NonZeroI32, NonZeroI64, NonZeroI128, NonZeroU8, NonZeroU16,
        NonZeroU32, NonZeroU64, NonZeroU128, NonZeroUsize,
    },
    path::{Path, PathBuf},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use capnweb_wire::{BigInt, Binary, Date, TypedArray, Undefined};
use indexmap::IndexMap;

use super::{Describe, Describer, Field, Type};
use crate::{
    api::{
        promise::{Pipelined, Promise},
        stub::Stub,
        value::Value,
    },
    graph::{error::Error, payload::Payload},
    typed::{
        AsDate, Callback, Json,
        stream::{ByteStream, Readable, Writable},
    },
    url::Url,
    util::tuples::for_tuples,
};

macro_rules! plain {
    ($($($type:ty),* => $kind:expr;)*) => {
        $($(impl Describe for $type {
            fn describe(_: &mut Describer) -> Type {
                $kind
            }
        })*)*
    };
}

plain! {
    () => Type::Unit;
    bool => Type::Boolean;
    str, char, String => Type::String;
    Path, PathBuf => Type::String;
    IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6 => Type::String;
    BigInt => Type::BigInteger { format: "BigInt".to_owned() };
    Date => Type::Date;
    Bytes => Type::Bytes;
    Binary => Type::Binary;
    Url => Type::Url;
    Error => Type::Error;
    Undefined => Type::Undefined;
    Stub => Type::Stub;
    ByteStream => Type::ByteStream;
    Value, Payload => Type::Unknown;
}

#[cfg(feature = "uuid")]
plain!(uuid::Uuid => Type::String;);

#[cfg(feature = "chrono")]
plain! {
    chrono::DateTime<chrono::Utc>, chrono::DateTime<chrono::FixedOffset>, chrono::NaiveDate,
    chrono::NaiveDateTime, chrono::NaiveTime => Type::String;
}

#[cfg(feature = "jiff")]
plain! {
    jiff::Timestamp, jiff::civil::Date, jiff::civil::DateTime, jiff::civil::Time,
    jiff::SignedDuration, jiff::Span => Type::String;
}

#[cfg(feature = "serde_json")]
plain!(serde_json::Value => Type::Unknown;);

#[cfg(feature = "fetch")]
plain! {
    crate::fetch::Blob => Type::Blob;
    crate::fetch::Headers => Type::Headers;
    crate::fetch::Request => Type::Request;
    crate::fetch::Response => Type::Response;
}

macro_rules! numbers {
    ($($variant:ident: $($type:ident)*;)*) => {
        $($(impl Describe for $type {
            fn describe(_: &mut Describer) -> Type {
                Type::$variant { format: stringify!($type).to_owned() }
            }
        })*)*
    };
}

// A `usize` counts things in memory, which a number can always represent exactly.
numbers! {
    Number: f32 f64 i8 i16 i32 isize u8 u16 u32 usize;
    BigInteger: i64 i128 u64 u128;
}

macro_rules! non_zero {
    ($($type:ident: $of:ident;)*) => {
        $(impl Describe for $type {
            fn describe(describer: &mut Describer) -> Type {
                $of::describe(describer)
            }
        })*
    };
}

non_zero! {
    NonZeroI8: i8;
    NonZeroI16: i16;
    NonZeroI32: i32;
    NonZeroI64: i64;
    NonZeroI128: i128;
    NonZeroU8: u8;
    NonZeroU16: u16;
    NonZeroU32: u32;
    NonZeroU64: u64;
    NonZeroU128: u128;
    NonZeroUsize: usize;
}

/// The form that serde writes.
impl Describe for Duration {
    fn describe(describer: &mut Describer) -> Type {
        let seconds = Field::new("secs", &[], None, u64::describe(describer), false);
        let rest = Field::new("nanos", &[], None, u32::describe(describer), false);
        Type::Object {
            fields: vec![seconds, rest],
        }
    }
}

macro_rules! typed_arrays {
    ($($type:ident $class:ident)*) => {
        $(impl Describe for TypedArray<$type> {
            fn describe(_: &mut Describer) -> Type {
                Type::TypedArray { class: stringify!($class).to_owned() }
            }
        })*
    };
}

typed_arrays! {
    i8 Int8Array
    u8 Uint8Array
    i16 Int16Array
    u16 Uint16Array
    i32 Int32Array
    u32 Uint32Array
    i64 BigInt64Array
    u64 BigUint64Array
    f32 Float32Array
    f64 Float64Array
}

macro_rules! same {
    ($($type:ident)*) => {
        $(impl<T: Describe + ?Sized> Describe for $type<T> {
            fn describe(describer: &mut Describer) -> Type {
                T::describe(describer)
            }
        })*
    };
}

same!(Box Arc Rc);

impl<T: Describe> Describe for Json<T> {
    fn describe(describer: &mut Describer) -> Type {
        T::describe(describer)
    }
}

impl<T: Describe + ToOwned + ?Sized> Describe for Cow<'_, T> {
    fn describe(describer: &mut Describer) -> Type {
        T::describe(describer)
    }
}

impl<T: Describe> Describe for [T] {
    fn describe(describer: &mut Describer) -> Type {
        Type::list(T::describe(describer))
    }
}

impl<T: Describe + Pipelined, E> Describe for Promise<T, E> {
    fn describe(describer: &mut Describer) -> Type {
        T::describe(describer)
    }
}

impl<T> Describe for AsDate<T> {
    fn describe(_: &mut Describer) -> Type {
        Type::Date
    }
}

impl<T: Describe> Describe for Option<T> {
    fn describe(describer: &mut Describer) -> Type {
        Type::nullable(T::describe(describer))
    }
}

macro_rules! lists {
    ($($type:ident $(<$hasher:ident>)?;)*) => {
        $(impl<T: Describe $(, $hasher)?> Describe for $type<T $(, $hasher)?> {
            fn describe(describer: &mut Describer) -> Type {
                Type::list(T::describe(describer))
            }
        })*
    };
}

lists! {
    Vec;
    VecDeque;
    BTreeSet;
    HashSet<S>;
}

impl<T: Describe, const N: usize> Describe for [T; N] {
    fn describe(describer: &mut Describer) -> Type {
        Type::list(T::describe(describer))
    }
}

impl<K, V: Describe, S> Describe for HashMap<K, V, S> {
    fn describe(describer: &mut Describer) -> Type {
        Type::map(V::describe(describer))
    }
}

impl<K, V: Describe> Describe for BTreeMap<K, V> {
    fn describe(describer: &mut Describer) -> Type {
        Type::map(V::describe(describer))
    }
}

impl<K, V: Describe, S> Describe for IndexMap<K, V, S> {
    fn describe(describer: &mut Describer) -> Type {
        Type::map(V::describe(describer))
    }
}

impl<T: Describe> Describe for Readable<T> {
    fn describe(describer: &mut Describer) -> Type {
        Type::Readable {
            of: Box::new(T::describe(describer)),
        }
    }
}

impl<T: Describe> Describe for Writable<T> {
    fn describe(describer: &mut Describer) -> Type {
        Type::Writable {
            of: Box::new(T::describe(describer)),
        }
    }
}

impl<A: Describe, R: Describe> Describe for Callback<A, R> {
    fn describe(describer: &mut Describer) -> Type {
        Type::Function {
            parameters: vec![A::describe(describer)],
            result: Box::new(R::describe(describer)),
        }
    }
}

macro_rules! functions {
    ($($($name:ident)*;)*) => {
        $(impl<$($name: Describe,)* R: Describe> Describe for Callback<fn($($name),*), R> {
            fn describe(describer: &mut Describer) -> Type {
                Type::Function {
                    parameters: vec![$($name::describe(describer)),*],
                    result: Box::new(R::describe(describer)),
                }
            }
        })*
    };
}

functions! {
    ;
    A;
    A B;
    A B C;
    A B C D;
    A B C D E;
    A B C D E F;
}

macro_rules! tuples {
    ($($($name:ident)*;)*) => {
        $(impl<$($name: Describe),*> Describe for ($($name,)*) {
            fn describe(describer: &mut Describer) -> Type {
                Type::Tuple { items: vec![$($name::describe(describer)),*] }
            }
        })*
    };
}

for_tuples!(tuples);
