//! Functions passed by reference.

use std::{fmt, future::Future, marker::PhantomData, ops::Deref, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};

use crate::{
    api::{
        promise::{Pipelined, Promise, StubType},
        stub::Stub,
    },
    graph::{
        engine::target::{Answer, Call, Target},
        error::Result,
        payload::Payload,
    },
    typed::{accepts::Accepts, map_output::MapOutput, pipeline::TypedPipeline},
};

/// A function from one argument `A` to a result `R`, in this process or at a peer.
///
/// A parameter of this type accepts a closure, sync or async, with annotated parameters. The
/// receiver may keep the callback for as long as it likes. The closure is dropped with the last
/// clone of the callback on either side.
///
/// ```
/// use capnweb::{Callback, Result};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
/// // The closure is sync or async, and may return a `Result`.
/// let double: Callback<u32, u32> = Callback::new(|n: u32| n * 2);
/// let checked: Callback<u32, u32> = Callback::new(|n: u32| async move {
///     n.checked_mul(2).ok_or_else(|| capnweb::Error::range_error("too large"))
/// });
/// assert_eq!(double.call(4).await?, 8);
/// assert!(checked.call(u32::MAX).await.is_err());
///
/// // A promise can be the argument.
/// assert_eq!(double.call(double.call(4)).await?, 16);
/// # Ok(()) }
/// ```
///
/// For any other number of arguments, write the function's type: `Callback<fn()>`,
/// `Callback<fn(u32, String), bool>`.
///
/// ```
/// # use capnweb::{Callback, Result};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
/// let add: Callback<fn(u32, u32), u32> = Callback::new(|a: u32, b: u32| a + b);
/// assert_eq!(add.call(1, 2).await?, 3);
/// # Ok(()) }
/// ```
///
/// A callback derefs to [`Stub`] for the methods that all references have, such as
/// `callback.closed().await` and `callback.on_broken(…)`.
pub struct Callback<A, R = ()> {
    stub: Stub,
    marker: PhantomData<fn(A) -> R>,
}

impl<A, R> Callback<A, R> {
    /// Creates a callback from a closure.
    pub fn new<F, M>(function: F) -> Self
    where
        F: Function<A, R, M>,
    {
        Self::from_stub(function.into_stub())
    }
}

impl<A: Pipelined, R: Pipelined> Callback<A, R> {
    /// Calls the function. The call is under way when this returns, so the promise may be dropped.
    pub fn call<V, M>(&self, argument: V) -> Promise<R>
    where
        A: Accepts<V, M>,
    {
        Promise::cast(self.stub.invoke((A::wire(argument),)))
    }
}

impl<R: Pipelined> Callback<fn(), R> {
    /// Calls the function. The call is under way when this returns, so the promise may be dropped.
    pub fn call(&self) -> Promise<R> {
        Promise::cast(self.stub.invoke(()))
    }
}

macro_rules! calls {
    ($($($parameter:ident $argument:ident $way:ident $value:ident)*;)*) => {
        $(impl<R: Pipelined, $($parameter),*> Callback<fn($($parameter),*), R> {
            /// Calls the function. The call is under way when this returns, so the promise may be
            /// dropped.
            pub fn call<$($argument, $way),*>(&self, $($value: $argument),*) -> Promise<R>
            where
                $($parameter: Accepts<$argument, $way>,)*
            {
                Promise::cast(self.stub.invoke(($($parameter::wire($value),)*)))
            }
        })*
    };
}

calls! {
    T0 A0 M0 a;
    T0 A0 M0 a T1 A1 M1 b;
    T0 A0 M0 a T1 A1 M1 b T2 A2 M2 c;
    T0 A0 M0 a T1 A1 M1 b T2 A2 M2 c T3 A3 M3 d;
}

impl<A, R> Deref for Callback<A, R> {
    type Target = Stub;

    fn deref(&self) -> &Stub {
        &self.stub
    }
}

impl<A, R> Clone for Callback<A, R> {
    fn clone(&self) -> Self {
        Self::from_stub(self.stub.clone())
    }
}

impl<A, R> fmt::Debug for Callback<A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Callback").field(&self.stub).finish()
    }
}

impl<A, R> StubType for Callback<A, R> {
    fn from_stub(stub: Stub) -> Self {
        Self {
            stub,
            marker: PhantomData,
        }
    }

    fn as_stub(&self) -> &Stub {
        &self.stub
    }

    fn into_stub(self) -> Stub {
        self.stub
    }
}

impl<A, R> TypedPipeline for Callback<A, R> {}

#[diagnostic::do_not_recommend]
impl<A, R> Pipelined for Callback<A, R> {
    type Pipeline = Self;
}

#[diagnostic::do_not_recommend]
impl<A, R> MapOutput for Callback<A, R> {
    type Value = Self;
}

impl<A, R> Serialize for Callback<A, R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.stub.serialize(serializer)
    }
}

impl<'de, A, R> Deserialize<'de> for Callback<A, R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Stub::deserialize(deserializer).map(Self::from_stub)
    }
}

#[diagnostic::do_not_recommend]
impl<A, R> Accepts<Self> for Callback<A, R> {
    type Wire = Self;

    fn wire(argument: Self) -> Self {
        argument
    }
}

#[diagnostic::do_not_recommend]
impl<'a, A, R> Accepts<&'a Self> for Callback<A, R> {
    type Wire = &'a Self;

    fn wire(argument: &'a Self) -> &'a Self {
        argument
    }
}

/// Marks implementations that accept a closure.
#[derive(Debug)]
pub struct ViaFunction<M>(M);

#[diagnostic::do_not_recommend]
impl<A, R, F, M> Accepts<F, ViaFunction<M>> for Callback<A, R>
where
    F: Function<A, R, M>,
{
    type Wire = Self;

    fn wire(argument: F) -> Self {
        Self::new(argument)
    }
}

/// A closure that can serve as a [`Callback`]: sync or async, with annotated parameters.
///
/// `M` distinguishes the kinds of closures, and is inferred.
#[diagnostic::on_unimplemented(
    message = "a `{Self}` cannot be a `Callback<{A}, {R}>`",
    label = "expected a closure of `{A}` that returns `{R}`",
    note = "the closure has to be `Fn`, `Send`, `Sync` and `'static`: it can be called many times, from any \
            thread; a future that needs what the closure has captured takes a clone of it, \
            `move |event: Event| {{ let tx = tx.clone(); async move {{ … }} }}`",
    note = "it returns the result, a `Result` of it, a promise of it, or a `Send` future of one of these"
)]
pub trait Function<A, R, M>: Send + Sync + 'static {
    /// Returns a callable stub.
    fn into_stub(self) -> Stub;
}

/// A value that a [`Function`] with the result `R` can return. `K` distinguishes the kinds of
/// values, and is inferred.
pub trait IntoAnswer<R, K> {
    /// Returns the answer to the caller.
    fn into_answer(self) -> Answer;
}

/// Marks results that are returned as they are.
#[derive(Debug)]
pub struct Plain(());

/// Marks results in a `Result`.
#[derive(Debug)]
pub struct Fallible(());

/// Marks promises of results.
#[derive(Debug)]
pub struct Promised(());

/// Marks futures of any of the other kinds.
#[derive(Debug)]
pub struct Later<K>(K);

impl<R: Serialize + Send + 'static> IntoAnswer<R, Plain> for R {
    fn into_answer(self) -> Answer {
        Answer::ready(self)
    }
}

impl<R: Serialize + Send + 'static> IntoAnswer<R, Fallible> for Result<R> {
    fn into_answer(self) -> Answer {
        match self {
            Ok(value) => Answer::ready(value),
            Err(error) => Answer::error(error),
        }
    }
}

impl<R: Pipelined, E> IntoAnswer<R, Promised> for Promise<R, E> {
    fn into_answer(self) -> Answer {
        Answer::result(Payload::encode(&self))
    }
}

impl<R, F, O, K> IntoAnswer<R, Later<(O, K)>> for F
where
    F: Future<Output = O> + Send + 'static,
    O: IntoAnswer<R, K>,
{
    fn into_answer(self) -> Answer {
        Answer::later(async move { self.await.into_answer() })
    }
}

/// A closure as a callable object.
struct FunctionTarget<F, S> {
    function: F,
    marker: PhantomData<fn(S)>,
}

impl<F, S> FunctionTarget<F, S> {
    fn stub(function: F) -> Stub
    where
        Self: Target,
    {
        Stub::new(Self {
            function,
            marker: PhantomData,
        })
    }
}

/// The parameters, the result and the returned type of a function.
type Signature<P, R, O, K> = (P, R, O, K);

macro_rules! functions {
    ($($($parameter:ident)*, $of:ty;)*) => {
        $(
            impl<F, R, O, K, $($parameter),*> Function<$of, R, Signature<($($parameter,)*), (), O, K>> for F
            where
                F: Fn($($parameter),*) -> O + Send + Sync + 'static,
                O: IntoAnswer<R, K> + 'static,
                R: 'static,
                K: 'static,
                $($parameter: DeserializeOwned + 'static,)*
            {
                fn into_stub(self) -> Stub {
                    FunctionTarget::<F, Signature<($($parameter,)*), R, O, K>>::stub(self)
                }
            }

            impl<F, R, O, K, $($parameter),*> Target
                for FunctionTarget<F, Signature<($($parameter,)*), R, O, K>>
            where
                F: Fn($($parameter),*) -> O + Send + Sync + 'static,
                O: IntoAnswer<R, K> + 'static,
                R: 'static,
                K: 'static,
                $($parameter: DeserializeOwned + 'static,)*
            {
                #[allow(non_snake_case, unused_mut)]
                fn call(self: Arc<Self>, mut call: Call<'_>) -> Answer {
                    if !call.method().is_empty() {
                        return Answer::not_found();
                    }
                    $(let $parameter = match call.arg::<$parameter>() {
                        Ok(argument) => argument,
                        Err(error) => return Answer::error(error),
                    };)*
                    (self.function)($($parameter),*).into_answer()
                }

                fn declares(&self, name: &str) -> bool {
                    name.is_empty()
                }
            }
        )*
    };
}

functions! {
    , fn();
    A, A;
    A B, fn(A, B);
    A B C, fn(A, B, C);
    A B C D, fn(A, B, C, D);
}

/// `Callback<fn(A)>` is the same as `Callback<A>`, for consistency with callbacks of several
/// arguments.
impl<F, R, O, K, A> Function<fn(A), R, Signature<(A,), (), O, K>> for F
where
    F: Function<A, R, Signature<(A,), (), O, K>>,
{
    fn into_stub(self) -> Stub {
        <Self as Function<A, R, Signature<(A,), (), O, K>>>::into_stub(self)
    }
}
