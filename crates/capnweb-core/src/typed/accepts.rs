//! Conversions from arguments to the types of parameters.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Serialize;

use crate::{
    api::{
        promise::{Pipelined, Promise, StubType},
        stub::Stub,
        value::Value,
    },
    graph::payload::Payload,
    typed::pipeline::{Json, TypedPipeline},
};

/// A parameter of type `Self` accepts an argument of type `A`.
///
/// Every parameter accepts its own type, a promise of it, and a reference to either. Beyond that, a
/// `String` accepts a `&str`, the stub of an interface accepts an object that implements it, and a
/// [`Callback`](crate::Callback) accepts a closure. An `Option` accepts its inner value. Lists,
/// tuples and generic `#[value]`s accept promises in place of their elements.
///
/// `M` distinguishes the implementations for the compiler, which infers it. `#[value]` and
/// `#[interface]` generate implementations, so there is no need to write one.
///
/// # Accepted arguments
///
/// ```
/// use capnweb::{Promise, typed::Accepts};
///
/// fn pass<T: Accepts<A, M>, A, M>(_argument: A) {}
///
/// pass::<u32, _, _>(7);
/// pass::<f64, _, _>(7); // and any number that an `f64` represents exactly
/// pass::<String, _, _>("Ada");
/// pass::<u32, _, _>(Promise::<u32>::ready(7));
/// pass::<Vec<String>, _, _>(vec![Promise::<String>::ready("Ada")]);
/// pass::<Option<String>, _, _>("Ada");
/// pass::<Option<String>, _, _>(()); // omitted
/// ```
#[diagnostic::on_unimplemented(
    message = "a `{A}` cannot be passed where the method takes `{Self}`",
    label = "expected `{Self}`, a promise of it, or a reference to either",
    note = "a promise of another type with the same wire format can be cast: \
            `Promise::cast(promise)`",
    note = "the stub of an interface takes an object that implements it; a `Callback` takes a closure that \
            is `Fn`, `Send`, `Sync` and `'static` and returns the result, a `Result` or a `Send` future of it: \
            `move |event: Event| {{ let tx = tx.clone(); async move {{ … }} }}`",
    note = "if not even a `{Self}` is accepted, the type is not a value yet: annotate it with \
            `#[capnweb::value]`, or wrap it as `Json<{Self}>`"
)]
pub trait Accepts<A, M = ()> {
    /// The type that is serialized for the argument.
    type Wire: Serialize;

    /// Converts the argument.
    fn wire(argument: A) -> Self::Wire;
}

/// Marks wire forms of an `A` that, as a field of a value, mean the same as the `A` itself.
///
/// The expansion of a generic `#[value]` uses it.
pub trait Like<A> {}

impl<A> Like<A> for A {}

/// Bytes are accepted as a payload.
impl Like<Bytes> for Payload {}

impl Like<&Bytes> for Payload {}

/// Marks implementations that accept anything.
#[derive(Debug)]
pub struct ViaAny(());

/// Marks implementations for parameters that are promises.
#[derive(Debug)]
pub struct ViaPromise<M>(M);

/// Marks implementations that accept an object for the stub of its interface.
#[derive(Debug)]
pub struct ViaTarget(());

/// Marks implementations for a generic `#[value]` whose fields have other types.
#[derive(Debug)]
pub struct ViaFields<M>(M);

#[diagnostic::do_not_recommend]
impl<T, E> Accepts<Promise<T, E>> for T
where
    T: Pipelined<Pipeline: TypedPipeline>,
{
    type Wire = Promise<T, E>;

    fn wire(argument: Promise<T, E>) -> Promise<T, E> {
        argument
    }
}

#[diagnostic::do_not_recommend]
impl<'a, T, E> Accepts<&'a Promise<T, E>> for T
where
    T: Pipelined<Pipeline: TypedPipeline>,
{
    type Wire = &'a Promise<T, E>;

    fn wire(argument: &'a Promise<T, E>) -> &'a Promise<T, E> {
        argument
    }
}

/// A parameter that is a promise. The handler receives a promise that has settled.
#[diagnostic::do_not_recommend]
impl<T, A, M> Accepts<A, ViaPromise<M>> for Promise<T>
where
    T: Pipelined + Accepts<A, M>,
{
    type Wire = T::Wire;

    fn wire(argument: A) -> T::Wire {
        T::wire(argument)
    }
}

/// Implements `Accepts` for arguments that are written as another type.
macro_rules! like {
    ($($parameter:ty: $argument:ty => $wire:ty, $write:expr;)*) => {
        $(#[diagnostic::do_not_recommend]
        impl<'a> Accepts<$argument> for $parameter {
            type Wire = $wire;

            fn wire(argument: $argument) -> $wire {
                let write: fn($argument) -> $wire = $write;
                write(argument)
            }
        })*
    };
}

like! {
    String: &'a str => &'a str, |text| text;
    String: Cow<'a, str> => Cow<'a, str>, |text| text;
    String: &'a &'a str => &'a str, |text| text;
    Bytes: Vec<u8> => Bytes, Bytes::from;
    Bytes: &'a [u8] => Bytes, Bytes::copy_from_slice;
    Bytes: &'a Vec<u8> => Bytes, |bytes| Bytes::copy_from_slice(bytes);
}

#[diagnostic::do_not_recommend]
impl<'a, const N: usize> Accepts<&'a [u8; N]> for Bytes {
    type Wire = Self;

    fn wire(argument: &'a [u8; N]) -> Self {
        Self::copy_from_slice(argument)
    }
}

/// Marks implementations that accept a number which a wider type represents exactly.
#[derive(Debug)]
pub struct ViaNumber(());

/// Accepts for `f64` the numbers of other types that it represents exactly, so that `square(3)`
/// works as well as `square(3.0)`. JavaScript only has this type of number.
macro_rules! numbers {
    ($($number:ty),*) => {
        $(
            #[diagnostic::do_not_recommend]
            impl Accepts<$number, ViaNumber> for f64 {
                type Wire = $number;

                fn wire(argument: $number) -> $number {
                    argument
                }
            }

            #[diagnostic::do_not_recommend]
            impl<E> Accepts<Promise<$number, E>, ViaNumber> for f64 {
                type Wire = Promise<$number, E>;

                fn wire(argument: Promise<$number, E>) -> Promise<$number, E> {
                    argument
                }
            }

            #[diagnostic::do_not_recommend]
            impl<'a, E> Accepts<&'a Promise<$number, E>, ViaNumber> for f64 {
                type Wire = &'a Promise<$number, E>;

                fn wire(argument: &'a Promise<$number, E>) -> &'a Promise<$number, E> {
                    argument
                }
            }
        )*
    };
}

numbers!(i8, i16, i32, u8, u16, u32, f32);

/// Implements `Accepts` for parameters that take anything serializable.
macro_rules! anything {
    ($($type:ty),* $(,)?) => {
        $(#[diagnostic::do_not_recommend]
        impl<A: Serialize> Accepts<A, ViaAny> for $type {
            type Wire = A;

            fn wire(argument: A) -> A {
                argument
            }
        })*
    };
}

anything!(Value, Payload);

#[cfg(feature = "serde_json")]
anything!(serde_json::Value);

#[diagnostic::do_not_recommend]
impl<T> Accepts<Json<T>> for Json<T>
where
    T: Serialize,
{
    type Wire = Self;

    fn wire(argument: Self) -> Self {
        argument
    }
}

/// Accepts the inner value without the wrapper.
#[diagnostic::do_not_recommend]
impl<T: Serialize> Accepts<T, ViaAny> for Json<T> {
    type Wire = T;

    fn wire(argument: T) -> T {
        argument
    }
}

#[diagnostic::do_not_recommend]
impl<'a, T: Serialize> Accepts<&'a T, ViaAny> for Json<T> {
    type Wire = &'a T;

    fn wire(argument: &'a T) -> &'a T {
        argument
    }
}

/// Accepts a promise of the inner value.
#[diagnostic::do_not_recommend]
impl<T: Pipelined, E> Accepts<Promise<T, E>, ViaPromise<()>> for Json<T> {
    type Wire = Promise<T, E>;

    fn wire(argument: Promise<T, E>) -> Promise<T, E> {
        argument
    }
}

#[diagnostic::do_not_recommend]
impl<'a, T: Pipelined, E> Accepts<&'a Promise<T, E>, ViaPromise<()>> for Json<T> {
    type Wire = &'a Promise<T, E>;

    fn wire(argument: &'a Promise<T, E>) -> &'a Promise<T, E> {
        argument
    }
}

/// Accepts the typed stub of any interface, a callback, or a pipeline.
#[diagnostic::do_not_recommend]
impl<I: StubType> Accepts<I> for Stub {
    type Wire = Self;

    fn wire(argument: I) -> Self {
        argument.into_stub()
    }
}

#[diagnostic::do_not_recommend]
impl<'a, I: StubType> Accepts<&'a I, ViaAny> for Stub {
    type Wire = &'a Self;

    fn wire(argument: &'a I) -> &'a Self {
        argument.as_stub()
    }
}

/// Accepts a promise of any type.
#[diagnostic::do_not_recommend]
impl<T: Pipelined, E> Accepts<Promise<T, E>, ViaPromise<()>> for Stub {
    type Wire = Promise<T, E>;

    fn wire(argument: Promise<T, E>) -> Promise<T, E> {
        argument
    }
}

#[diagnostic::do_not_recommend]
impl<'a, T: Pipelined, E> Accepts<&'a Promise<T, E>, ViaPromise<()>> for Stub {
    type Wire = &'a Promise<T, E>;

    fn wire(argument: &'a Promise<T, E>) -> &'a Promise<T, E> {
        argument
    }
}
