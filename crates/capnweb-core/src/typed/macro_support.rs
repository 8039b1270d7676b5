//! What the code that `#[interface]` and `#[value]` write is made of.
//!
//! It is public for that code alone, and may change with it.

use std::marker::PhantomData as Marker;
pub use std::{fmt, future::Future, marker::PhantomData, ops::Deref, sync::Arc};

pub use capnweb_wire::{Tagging, read_enum};
pub use serde;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use crate::__describe as describe;
pub use crate::graph::name::Name;
pub use crate::typed::{
    accepts::{Like, ViaFields, ViaTarget},
    parameter::{ErrorMessage, MethodError, Parameter, ReturnValue, WireType},
    pipeline::{NonList, TypedPipeline},
    thrown::{error_message, error_property, is_error, stays_here},
};
use crate::{
    api::{
        args::{ArgsWriter, CallArgs},
        promise::{Pipelined, Promise},
        stub::{Member, Stub},
    },
    graph::asked::Asked,
    graph::engine::{
        context::Context,
        target::{Answer, AnswerKind, Call, Get, Property, Target},
    },
    graph::error::{Error, Result},
    graph::payload::Payload,
};

/// Reads a flattened option: none if its value does not fit, as with serde alone.
///
/// # Errors
///
/// Never.
pub fn flat_option<'de, T, D>(deserializer: D) -> std::result::Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Ok(T::deserialize(deserializer).ok())
}

/// Something that an object of type `T` is in.
pub trait Holds<T>: Deref<Target = T> + Send + Sync + 'static {}

impl<H: Deref<Target = T> + Send + Sync + 'static, T> Holds<T> for H {}

/// An interface, of which `T` is an implementation: finds the method that a call is of.
///
/// The stub of an interface implements it for every `T` that implements the interface.
pub trait Dispatch<T>: Sized + 'static {
    /// Whether calls that no method is for are caught, here or in a supertrait.
    const CATCHES: bool = false;

    /// Answers a call, with [`Answer::not_found`] if no method is called so.
    ///
    /// # Errors
    ///
    /// If an argument is not of its parameter's type: for the caller.
    fn call<H: Holds<T>>(target: Arc<H>, call: &mut Call<'_>) -> Result<Answer>;

    /// Answers a call that no method is for, here or in a supertrait.
    ///
    /// # Errors
    ///
    /// If an argument is not of its parameter's type: for the caller.
    fn catch<H: Holds<T>>(target: Arc<H>, call: &mut Call<'_>) -> Result<Answer> {
        let _ = (target, call);
        Ok(Answer::not_found())
    }

    /// Reads a property.
    fn get<H: Holds<T>>(target: Arc<H>, get: &Get<'_>) -> Property;
}

/// An object, and the interface that it is called through.
struct Served<I, T> {
    object: T,
    interface: Marker<fn() -> I>,
}

impl<I, T> Deref for Served<I, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.object
    }
}

impl<I: Dispatch<T>, T: Send + Sync + 'static> Target for Served<I, T> {
    fn call(self: Arc<Self>, mut call: Call<'_>) -> Answer {
        let answer = if I::CATCHES {
            I::call(self.clone(), &mut call).and_then(|answer| match is_not_found(&answer) {
                true => I::catch(self, &mut call),
                false => Ok(answer),
            })
        } else {
            I::call(self, &mut call)
        };
        answer.unwrap_or_else(Answer::error)
    }

    fn get(self: Arc<Self>, get: Get<'_>) -> Property {
        match I::get(self, &get) {
            // Whatever is not there can be called.
            Property::Undefined if I::CATCHES => Property::Method,
            property => property,
        }
    }
}

/// A stub for an object, to be called through the interface `I`.
pub fn stub<I: Dispatch<T>, T: Send + Sync + 'static>(object: T) -> Stub {
    Stub::new(Served::<I, T> {
        object,
        interface: Marker,
    })
}

/// The next argument, for the parameter called `name`.
///
/// # Errors
///
/// If it is of another type: a `TypeError` for the caller.
#[inline]
pub fn argument<T: Parameter>(call: &mut Call<'_>, name: &'static str) -> Result<T> {
    call.shared_arg(name, None)
}

/// The next argument, for the parameter called `name` whose method or itself is called otherwise in Rust: as `rust`
/// says.
///
/// # Errors
///
/// If it is of another type: a `TypeError` for the caller.
#[inline]
pub fn renamed_argument<T: Parameter>(
    call: &mut Call<'_>,
    name: &'static str,
    rust: &'static str,
) -> Result<T> {
    call.shared_arg(name, Some(rust))
}

/// All arguments that are left, for the parameter called `name`. If it or its method is called
/// otherwise in Rust, `rust` says how.
///
/// # Errors
///
/// If one is of another type: a `TypeError` for the caller.
pub fn rest_arguments<T: Parameter>(
    call: &mut Call<'_>,
    name: &'static str,
    rust: Option<&'static str>,
) -> Result<Vec<T>> {
    let left = call.args_left();
    (0..left)
        .map(|at| call.shared_arg(&format!("{name}[{at}]"), rust))
        .collect()
}

/// Arguments, and a list of further ones.
#[derive(Debug)]
pub struct WithRest<F, R>(pub F, pub R);

impl<F: Serialize, R: Serialize> CallArgs for WithRest<F, R> {
    fn write(&self, to: &mut ArgsWriter<'_>) -> Result<()> {
        // A tuple of nothing is none.
        let first: Option<Vec<Payload>> = Payload::encode(&self.0)?.decode()?;
        let rest: Vec<Payload> = Payload::encode(&self.1)?.decode()?;
        let mut args = first.unwrap_or_default();
        args.extend(rest);
        to.write(&args)
    }
}

/// All arguments at once.
///
/// # Errors
///
/// If they are of another type: a `TypeError` for the caller.
pub fn all_arguments<T: Parameter>(call: &mut Call<'_>) -> Result<T> {
    call.args()
}

/// For methods that take no arguments beyond their parameters.
///
/// # Errors
///
/// If there are more: a `TypeError` for the caller.
pub fn no_more_arguments(call: &Call<'_>, expected: usize) -> Result<()> {
    let got = call.arg_count();
    if got <= expected {
        return Ok(());
    }
    let plural = if expected == 1 { "" } else { "s" };
    Err(Error::type_error(format!(
        "{}: expected {expected} argument{plural} at the most, got {got}",
        call.method()
    )))
}

/// Checks the error type that a method names.
pub const fn error_type<E: MethodError>() {}

/// The outcome of a method that an object leaves out.
///
/// # Errors
///
/// Always.
pub fn not_implemented<T, E: From<Error>>(method: &str) -> Result<T, E> {
    Err(Error::unimplemented(format!("{method} is not implemented")).into())
}

/// The same as a promise.
pub fn not_implemented_promise<T: Pipelined, E>(method: &str) -> Promise<T, E> {
    let error = Error::unimplemented(format!("{method} is not implemented"));
    Promise::of(Stub::broken(error))
}

/// The answer of a sync method.
#[inline]
pub fn answer<T: ReturnValue, E: Into<Error>>(result: Result<T, E>) -> Answer {
    match result {
        Ok(value) => Answer::ready(value),
        Err(error) => Answer::error(error),
    }
}

/// The answer of an async method.
#[inline]
pub fn answer_future<T, E, F>(future: F) -> Answer
where
    T: ReturnValue,
    E: Into<Error>,
    F: Future<Output = Result<T, E>> + Send + 'static,
{
    Answer::future(async move { future.await.map_err(Into::into) })
}

/// The answer of an async method that is stopped when nobody wants its result any more.
pub fn answer_cancelable<T, E, F>(context: Context, future: F) -> Answer
where
    T: ReturnValue,
    E: Into<Error>,
    F: Future<Output = Result<T, E>> + Send + 'static,
{
    Answer::cancelable(context, async move { future.await.map_err(Into::into) })
}

/// The answer of a method that gives a promise.
pub fn answer_promise<T: Pipelined, E>(promise: Promise<T, E>) -> Answer {
    Answer::result(Payload::encode(&promise))
}

/// A property with a value.
pub fn property(answer: Answer) -> Property {
    Property::Value(answer)
}

/// Whether there was no such method.
pub fn is_not_found(answer: &Answer) -> bool {
    matches!(answer.0, AnswerKind::NotFound)
}

/// Whether there was no such property.
pub fn is_undefined(property: &Property) -> bool {
    matches!(property, Property::Undefined)
}

/// Calls a method.
#[inline]
pub fn call<T: Pipelined, E>(
    stub: &Stub,
    method: &'static Name,
    args: impl CallArgs,
) -> Promise<T, E> {
    let result = stub.call_member(Some(Member::Known(method)), args);
    Promise::of(Stub::outcome(result, Asked::Method(method)))
}

/// Calls a method of any name.
pub fn call_named<T: Pipelined, E>(
    stub: &Stub,
    method: &str,
    args: impl CallArgs,
) -> Promise<T, E> {
    Promise::of(Promise::into_stub(stub.call(method, args)))
}

/// Asks for a property.
#[inline]
pub fn get<T: Pipelined, E>(stub: &Stub, property: &'static Name) -> Promise<T, E> {
    Promise::of(stub.member(property))
}

/// An argument that can be left out: `None` is JavaScript's `undefined`, so that a default of the
/// method's applies.
#[derive(Debug)]
pub struct Trailing<W>(pub W);

impl<W: Serialize> Serialize for Trailing<W> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(capnweb_wire::OPTIONAL, &self.0)
    }
}

/// Keeps the description of an item if the feature `describe` is on, which the macros cannot see.
#[cfg(feature = "describe")]
#[doc(hidden)]
#[macro_export]
macro_rules! __describe {
    ($($tokens:tt)*) => {
        $($tokens)*
    };
}

/// Drops the description of an item if the feature `describe` is off, which the macros cannot see.
#[cfg(not(feature = "describe"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __describe {
    ($($tokens:tt)*) => {};
}
