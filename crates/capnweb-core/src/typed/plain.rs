//! Values that are passed unchanged, have no pipeline, and are not arrays on the wire.

use bytes::Bytes;
use capnweb_wire::{BigInt, Binary, Date, Element, TypedArray, Undefined};
use serde::Serialize;

use crate::{
    api::promise::Pipelined,
    graph::{error::Error, payload::Payload},
    typed::{Accepts, MapOutput, NoPipeline, NonList},
    url::Url,
};

/// Implements the traits that do not depend on the accepted arguments.
macro_rules! whole {
    ($($type:ty),* $(,)?) => {
        $(
            #[diagnostic::do_not_recommend]
            impl Pipelined for $type {
                type Pipeline = NoPipeline<Self>;
            }

            #[diagnostic::do_not_recommend]
            impl NonList for $type {}

            #[diagnostic::do_not_recommend]
            impl MapOutput for $type {
                type Value = Self;
            }
        )*
    };
}

macro_rules! plain {
    ($($type:ty),* $(,)?) => {
        whole!($($type),*);
        $(
            #[diagnostic::do_not_recommend]
            impl Accepts<$type> for $type {
                type Wire = $type;

                fn wire(argument: $type) -> $type {
                    argument
                }
            }

            #[diagnostic::do_not_recommend]
            impl<'a> Accepts<&'a $type> for $type {
                type Wire = &'a $type;

                fn wire(argument: &'a $type) -> &'a $type {
                    argument
                }
            }
        )*
    };
}

plain! {
    (), bool, char, f32, f64, i8, i16, i32, i64, i128, isize, u8, u16, u32, u64, u128, usize, String,
    BigInt, Binary, Date, Error, Undefined, Url,
}

whole!(Bytes);

/// Passed as a payload, so that long bytes are not copied.
#[diagnostic::do_not_recommend]
impl Accepts<Bytes> for Bytes {
    type Wire = Payload;

    fn wire(argument: Bytes) -> Payload {
        Payload::from_bytes(argument)
    }
}

#[diagnostic::do_not_recommend]
impl<'a> Accepts<&'a Bytes> for Bytes {
    type Wire = Payload;

    fn wire(argument: &'a Bytes) -> Payload {
        Payload::from_bytes(argument.clone())
    }
}

// A UUID travels as a string.
#[cfg(feature = "uuid")]
plain!(uuid::Uuid);

// These travel as strings, the format of chrono's own serde support. For a JavaScript `Date` use
// `Date`, which converts from and to chrono's `DateTime`.
#[cfg(feature = "chrono")]
plain! {
    chrono::DateTime<chrono::Utc>,
    chrono::DateTime<chrono::FixedOffset>,
    chrono::NaiveDate,
    chrono::NaiveDateTime,
    chrono::NaiveTime,
}

// These travel as strings, the format of jiff's own serde support.
#[cfg(feature = "jiff")]
plain! {
    jiff::Timestamp,
    jiff::civil::Date,
    jiff::civil::DateTime,
    jiff::civil::Time,
    jiff::SignedDuration,
    jiff::Span,
}

#[diagnostic::do_not_recommend]
impl<T> Pipelined for TypedArray<T> {
    type Pipeline = NoPipeline<Self>;
}

#[diagnostic::do_not_recommend]
impl<T> NonList for TypedArray<T> {}

#[diagnostic::do_not_recommend]
impl<T: Element + Serialize> MapOutput for TypedArray<T> {
    type Value = Self;
}

#[diagnostic::do_not_recommend]
impl<T: Element + Serialize> Accepts<TypedArray<T>> for TypedArray<T> {
    type Wire = TypedArray<T>;

    fn wire(argument: TypedArray<T>) -> TypedArray<T> {
        argument
    }
}

#[diagnostic::do_not_recommend]
impl<'a, T: Element + Serialize> Accepts<&'a TypedArray<T>> for TypedArray<T> {
    type Wire = &'a TypedArray<T>;

    fn wire(argument: &'a TypedArray<T>) -> &'a TypedArray<T> {
        argument
    }
}

/// Accepts a list of numbers. The parameter determines their wire format.
#[diagnostic::do_not_recommend]
impl<T: Element + Serialize> Accepts<Vec<T>> for TypedArray<T> {
    type Wire = TypedArray<T>;

    fn wire(argument: Vec<T>) -> TypedArray<T> {
        argument.into()
    }
}
