//! What can be passed where a parameter of some type is expected.

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

/// A parameter of type `Self` takes an argument of type `A`.
///
/// Every parameter takes its own type, a promise of it and a reference to either. Beyond that a
/// `String` takes a `&str`, the stub of an interface an object that implements it, a
/// [`Callback`](crate::Callback) a closure, an `Option` what is inside of it, and lists, tuples and
/// generic `#[value]`s take promises in the place of their elements.
///
/// `M` tells the ways apart for the compiler, which infers it. A `#[value]` and an `#[interface]` bring
/// their own implementations; there is no need to write one.
///
/// # What can be written
///
/// ```
/// use capnweb::{Accepts, Promise};
///
/// fn pass<T: Accepts<A, M>, A, M>(_argument: A) {}
///
/// pass::<u32, _, _>(7);
/// pass::<f64, _, _>(7); // and whatever an `f64` can hold exactly
/// pass::<String, _, _>("Ada");
/// pass::<u32, _, _>(Promise::<u32>::ready(7));
/// pass::<Vec<String>, _, _>(vec![Promise::<String>::ready("Ada")]);
/// pass::<Option<String>, _, _>("Ada");
/// pass::<Option<String>, _, _>(()); // left out
/// ```
#[diagnostic::on_unimplemented(
    message = "a `{A}` cannot be passed where the method takes `{Self}`",
    label = "expected `{Self}`, a promise of it, or a reference to either",
    note = "the promise of another type that looks the same on the wire can be cast: \
            `Promise::cast(promise)`",
    note = "the stub of an interface takes an object that implements it; a `Callback` takes a closure that \
            is `Fn`, `Send`, `Sync` and `'static` and gives the result, a `Result` or a `Send` future of it: \
            `move |event: Event| {{ let tx = tx.clone(); async move {{ … }} }}`",
    note = "where not even a `{Self}` is accepted, the type is no value yet: annotate it with \
            `#[capnweb::value]`, or wrap it as `Json<{Self}>`"
)]
pub trait Accepts<A, M = ()> {
    /// What is written for the argument.
    type Wire: Serialize;

    /// Makes it.
    fn wire(argument: A) -> Self::Wire;
}

/// What [`Accepts`] makes of an `A` says what the `A` would say by itself, as a field of a value.
///
/// It is for the expansion of a generic `#[value]`.
pub trait Like<A> {}

impl<A> Like<A> for A {}

/// Bytes.
impl Like<Bytes> for Payload {}

impl Like<&Bytes> for Payload {}

/// The way of what takes anything.
#[derive(Debug)]
pub struct ViaAny(());

/// The way of a promise as a parameter.
#[derive(Debug)]
pub struct ViaPromise<M>(M);

/// The way of an object, where the stub of its interface is expected.
#[derive(Debug)]
pub struct ViaTarget(());

/// The way of a generic `#[value]` with other things in its fields.
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

/// A parameter that is a promise: the handler gets one that has settled.
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

/// Arguments that are written as another type is.
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

/// The way of a number that a wider one can hold exactly.
#[derive(Debug)]
pub struct ViaNumber(());

/// JavaScript has one kind of number, and `f64` is it: what another kind holds exactly can be passed
/// for it, so that `square(3)` need not be `square(3.0)`.
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

/// Parameters of any type: whatever can be written.
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

/// What is inside need not be wrapped.
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

/// A promise of what is inside.
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

/// The typed stub of any interface, a callback, a pipeline.
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

/// A promise of whatever it may be.
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
