//! Support for the code that `#[interface]` and `#[value]` generate.
//!
//! This module is public for that code alone, and may change with it.

use std::marker::PhantomData as Marker;
pub use std::{fmt, future::Future, marker::PhantomData, ops::Deref, sync::Arc};

pub use capnweb_wire::{Tagging, read_enum};
pub use serde;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use crate::__describe as describe;
pub use crate::api::{args::CallArgs, promise::Pipelined};
pub use crate::graph::engine::target::{Answer, Call, Get, Property};
pub use crate::graph::name::Name;
pub use crate::typed::{
    accepts::{Accepts, Like, ViaFields, ViaTarget},
    map_output::MapOutput,
    parameter::{ErrorMessage, MethodError, Parameter, ReturnValue, WireType},
    pipeline::{NoPipeline, NonList, TypedPipeline},
    thrown::{error_message, error_property, is_error, stays_here},
};
use crate::{
    api::{
        args::ArgsWriter,
        promise::Promise,
        stub::{Member, Stub},
    },
    graph::asked::Asked,
    graph::engine::{
        context::Context,
        target::{AnswerKind, Target},
    },
    graph::error::{Error, Result},
    graph::payload::Payload,
};

/// Deserializes a flattened option. It is `None` if its value does not fit, as with serde alone.
///
/// # Errors
///
/// Never returns an error.
pub fn flat_option<'de, T, D>(deserializer: D) -> std::result::Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Ok(T::deserialize(deserializer).ok())
}

/// A container that derefs to an object of type `T`.
pub trait Holds<T>: Deref<Target = T> + Send + Sync + 'static {}

impl<H: Deref<Target = T> + Send + Sync + 'static, T> Holds<T> for H {}

/// An interface that `T` implements. It finds the method for a call.
///
/// The stub of an interface implements this for every `T` that implements the interface.
pub trait Dispatch<T>: Sized + 'static {
    /// True if the interface or a supertrait handles calls of unknown methods.
    const CATCHES: bool = false;

    /// Answers a call, with [`Answer::not_found`] if there is no such method.
    ///
    /// # Errors
    ///
    /// Returns an error for the caller if an argument does not fit its parameter's type.
    fn call<H: Holds<T>>(target: Arc<H>, call: &mut Call<'_>) -> Result<Answer>;

    /// Answers a call that neither the interface nor a supertrait has a method for.
    ///
    /// # Errors
    ///
    /// Returns an error for the caller if an argument does not fit its parameter's type.
    fn catch<H: Holds<T>>(target: Arc<H>, call: &mut Call<'_>) -> Result<Answer> {
        let _ = (target, call);
        Ok(Answer::not_found())
    }

    /// Reads a property.
    fn get<H: Holds<T>>(target: Arc<H>, get: &Get<'_>) -> Property;

    /// Returns whether the interface or a supertrait declares a method or property of this name.
    fn declares(name: &str) -> bool {
        let _ = name;
        false
    }

    /// Returns the interface's description, if the feature `describe` is on.
    fn description() -> Option<Payload> {
        None
    }
}

/// The property of every object with an interface that holds the interface's description.
#[cfg(feature = "describe")]
pub(crate) const INTERFACE: &str = "$interface";

/// An object with the interface that it is called through.
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

    fn declares(&self, name: &str) -> bool {
        I::declares(name)
    }

    fn get(self: Arc<Self>, get: Get<'_>) -> Property {
        match I::get(self, &get) {
            #[cfg(feature = "describe")]
            Property::Undefined if get.name() == INTERFACE && get.may_introspect() => {
                match I::description() {
                    Some(description) => Property::Value(Answer::result(Ok(description))),
                    None => Property::Undefined,
                }
            }
            // Any name can be called.
            Property::Undefined if I::CATCHES => Property::Method,
            property => property,
        }
    }
}

/// Returns a stub that calls `object` through the interface `I`.
pub fn stub<I: Dispatch<T>, T: Send + Sync + 'static>(object: T) -> Stub {
    Stub::new(Served::<I, T> {
        object,
        interface: Marker,
    })
}

/// Returns the next argument, for the parameter `name`.
///
/// # Errors
///
/// Returns a `TypeError` for the caller if the argument is of another type.
#[inline]
pub fn argument<T: Parameter>(call: &mut Call<'_>, name: &'static str) -> Result<T> {
    call.shared_arg(name, None)
}

/// Returns the next argument, for the parameter `name`, if the parameter or its method is renamed.
/// `rust` states the names in Rust.
///
/// # Errors
///
/// Returns a `TypeError` for the caller if the argument is of another type.
#[inline]
pub fn renamed_argument<T: Parameter>(
    call: &mut Call<'_>,
    name: &'static str,
    rust: &'static str,
) -> Result<T> {
    call.shared_arg(name, Some(rust))
}

/// Returns all remaining arguments, for the parameter `name`. If the parameter or its method is
/// renamed, `rust` states the names in Rust.
///
/// # Errors
///
/// Returns a `TypeError` for the caller if an argument is of another type.
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

/// Arguments, followed by a list of further arguments.
#[derive(Debug)]
pub struct WithRest<F, R>(pub F, pub R);

impl<F: Serialize, R: Serialize> CallArgs for WithRest<F, R> {
    fn write(&self, to: &mut ArgsWriter<'_>) -> Result<()> {
        // An empty tuple encodes to `undefined` rather than to an array.
        let first: Option<Vec<Payload>> = Payload::encode(&self.0)?.decode()?;
        let rest: Vec<Payload> = Payload::encode(&self.1)?.decode()?;
        let mut args = first.unwrap_or_default();
        args.extend(rest);
        to.write(&args)
    }
}

/// Returns all arguments at once.
///
/// # Errors
///
/// Returns a `TypeError` for the caller if the arguments are of another type.
pub fn all_arguments<T: Parameter>(call: &mut Call<'_>) -> Result<T> {
    call.args()
}

/// Checks that there are at most `expected` arguments.
///
/// # Errors
///
/// Returns a `TypeError` for the caller if there are more.
pub fn no_more_arguments(call: &Call<'_>, expected: usize) -> Result<()> {
    let got = call.arg_count();
    if got <= expected {
        return Ok(());
    }
    let plural = if expected == 1 { "" } else { "s" };
    Err(Error::type_error(format!(
        "{}: expected at most {expected} argument{plural}, got {got}",
        call.method()
    )))
}

/// Checks that a method's error type is a [`MethodError`].
pub const fn error_type<E: MethodError>() {}

/// Returns the outcome of a method that an object does not implement.
///
/// # Errors
///
/// Always returns an error.
pub fn not_implemented<T, E: From<Error>>(method: &str) -> Result<T, E> {
    Err(Error::unimplemented(format!("{method} is not implemented")).into())
}

/// Returns the outcome of a method that an object does not implement, as a promise.
pub fn not_implemented_promise<T: Pipelined, E>(method: &str) -> Promise<T, E> {
    let error = Error::unimplemented(format!("{method} is not implemented"));
    Promise::of(Stub::broken(error))
}

/// Returns the answer of a sync method.
#[inline]
pub fn answer<T: ReturnValue, E: Into<Error>>(result: Result<T, E>) -> Answer {
    match result {
        Ok(value) => Answer::ready(value),
        Err(error) => Answer::error(error),
    }
}

/// Returns the answer of an async method.
#[inline]
pub fn answer_future<T, E, F>(future: F) -> Answer
where
    T: ReturnValue,
    E: Into<Error>,
    F: Future<Output = Result<T, E>> + Send + 'static,
{
    Answer::future(async move { future.await.map_err(Into::into) })
}

/// Returns the answer of an async method that is stopped once its result is no longer needed.
pub fn answer_cancelable<T, E, F>(context: Context, future: F) -> Answer
where
    T: ReturnValue,
    E: Into<Error>,
    F: Future<Output = Result<T, E>> + Send + 'static,
{
    Answer::cancelable(context, async move { future.await.map_err(Into::into) })
}

/// Returns the answer of a method that returns a promise.
pub fn answer_promise<T: Pipelined, E>(promise: Promise<T, E>) -> Answer {
    Answer::result(Payload::encode(&promise))
}

/// Returns a property with a value.
pub fn property(answer: Answer) -> Property {
    Property::Value(answer)
}

/// Returns whether the answer is that there is no such method.
pub fn is_not_found(answer: &Answer) -> bool {
    matches!(answer.0, AnswerKind::NotFound)
}

/// Returns whether there is no such property.
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

/// Calls an idempotent method.
pub fn call_idempotent<T: Pipelined, E>(
    stub: &Stub,
    method: &'static Name,
    args: impl CallArgs,
) -> Promise<T, E> {
    let result = stub.call_idempotent(Some(Member::Known(method)), args);
    Promise::of(Stub::outcome(result, Asked::Method(method)))
}

/// Reads a property with an idempotent getter.
pub fn get_idempotent<T: Pipelined, E>(stub: &Stub, property: &'static Name) -> Promise<T, E> {
    Promise::of(stub.get_idempotent(stub.member(property)))
}

/// Calls a method by a dynamic name.
pub fn call_named<T: Pipelined, E>(
    stub: &Stub,
    method: &str,
    args: impl CallArgs,
) -> Promise<T, E> {
    Promise::of(Promise::into_stub(stub.call(method, args)))
}

/// Reads a property.
#[inline]
pub fn get<T: Pipelined, E>(stub: &Stub, property: &'static Name) -> Promise<T, E> {
    Promise::of(stub.member(property))
}

/// An argument that can be omitted. `None` becomes JavaScript's `undefined`, so a default of the
/// method applies.
#[derive(Debug)]
pub struct Trailing<W>(pub W);

impl<W: Serialize> Serialize for Trailing<W> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(capnweb_wire::OPTIONAL, &self.0)
    }
}

/// Keeps the description of an item if the feature `describe` is on. The macros themselves cannot
/// see the feature.
#[cfg(feature = "describe")]
#[doc(hidden)]
#[macro_export]
macro_rules! __describe {
    ($($tokens:tt)*) => {
        $($tokens)*
    };
}

/// Drops the description of an item if the feature `describe` is off. The macros themselves cannot
/// see the feature.
#[cfg(not(feature = "describe"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __describe {
    ($($tokens:tt)*) => {};
}

/// Drops a `describe!` if the feature `describe` is off.
#[cfg(not(feature = "describe"))]
#[macro_export]
macro_rules! describe {
    ($($tokens:tt)*) => {};
}
