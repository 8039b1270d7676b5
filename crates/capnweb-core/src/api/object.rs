//! Objects made of closures.

use std::{collections::HashMap, fmt, future::Future, marker::PhantomData, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    api::stub::Stub,
    graph::error::Result,
    graph::{
        engine::{
            context::Context,
            target::{Answer, Call, Get, Property, Target},
        },
        payload::Payload,
    },
};

/// An object made of closures, for small services, tests and tools.
///
/// ```
/// use capnweb::{Context, Object, Result};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
/// let api = Object::new()
///     .method("add", |a: f64, b: f64| async move { Ok(a + b) })
///     .method("greet", |_: Context, name: Option<String>| async move {
///         Ok(format!("Hello, {}!", name.unwrap_or_else(|| "whoever you are".to_owned())))
///     })
///     .property("version", "1.0")
///     .into_stub();
///
/// assert_eq!(api.call("add", (1, 2)).fetch::<f64>().await?, 3.0);
/// assert_eq!(api.get("version").fetch::<String>().await?, "1.0");
/// # Ok(()) }
/// ```
///
/// A closure takes up to eight arguments of types that serde can deserialize; any of them may be a
/// [`Context`] instead. It returns a `Result` of a type that serde can serialize. A missing
/// argument becomes `None` if the parameter is an `Option`; otherwise the call is rejected with a
/// `TypeError`.
#[derive(Default)]
pub struct Object {
    members: HashMap<Box<str>, Member>,
}

enum Member {
    Method(Box<dyn Callee>),
    Value(Payload),
    Getter(Box<dyn Fn(Context) -> Answer + Send + Sync>),
}

impl Object {
    /// Creates an object without members.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a method: an async closure. Its future is polled once when the call is delivered, and
    /// becomes a task if it is not ready then.
    #[must_use]
    pub fn method<M: 'static>(self, name: &str, method: impl Handler<M>) -> Self {
        self.member(name, Member::Method(Box::new(Function::new(method))))
    }

    /// Adds a method that returns its result at once.
    #[must_use]
    pub fn sync_method<M: 'static>(self, name: &str, method: impl SyncHandler<M>) -> Self {
        self.member(
            name,
            Member::Method(Box::new(SyncFunction {
                method,
                marker: PhantomData,
            })),
        )
    }

    /// Adds a property.
    ///
    /// If the value cannot be serialized, reading the property fails.
    #[must_use]
    pub fn property(self, name: &str, value: impl Serialize) -> Self {
        match Payload::encode(&value) {
            Ok(value) => self.member(name, Member::Value(value)),
            Err(error) => self.member(
                name,
                Member::Getter(Box::new(move |_| Answer::error(error.clone()))),
            ),
        }
    }

    /// Adds a property that is computed each time it is read.
    #[must_use]
    pub fn getter<R: Serialize + Send + 'static>(
        self,
        name: &str,
        getter: impl Fn(Context) -> Result<R> + Send + Sync + 'static,
    ) -> Self {
        let getter = move |context| match getter(context) {
            Ok(value) => Answer::ready(value),
            Err(error) => Answer::error(error),
        };
        self.member(name, Member::Getter(Box::new(getter)))
    }

    fn member(mut self, name: &str, member: Member) -> Self {
        self.members.insert(name.into(), member);
        self
    }

    /// Returns a stub for the object.
    pub fn into_stub(self) -> Stub {
        Stub::new(self)
    }
}

impl Target for Object {
    fn call(self: Arc<Self>, call: Call<'_>) -> Answer {
        match self.members.get(call.method()) {
            Some(Member::Method(method)) => method.call(call),
            _ => Answer::not_found(),
        }
    }

    fn declares(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    fn get(self: Arc<Self>, get: Get<'_>) -> Property {
        match self.members.get(get.name()) {
            None => Property::Undefined,
            Some(Member::Method(_)) => Property::Method,
            Some(Member::Value(value)) => Property::Value(Answer::result(Ok(value.clone()))),
            Some(Member::Getter(getter)) => Property::Value(getter(get.context())),
        }
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.members.keys()).finish()
    }
}

/// A handler with any arguments.
trait Callee: Send + Sync {
    fn call(&self, call: Call<'_>) -> Answer;
}

/// A closure as a callable object.
pub(crate) struct Function<H, M> {
    handler: H,
    marker: PhantomData<fn(M)>,
}

impl<H: Handler<M>, M> Function<H, M> {
    pub(crate) fn new(handler: H) -> Self {
        Self {
            handler,
            marker: PhantomData,
        }
    }
}

impl<H: Handler<M>, M> Callee for Function<H, M> {
    fn call(&self, call: Call<'_>) -> Answer {
        self.handler.handle(call)
    }
}

impl<H: Handler<M>, M: 'static> Target for Function<H, M> {
    fn call(self: Arc<Self>, call: Call<'_>) -> Answer {
        if call.method().is_empty() {
            self.handler.handle(call)
        } else {
            Answer::not_found()
        }
    }

    fn declares(&self, name: &str) -> bool {
        name.is_empty()
    }
}

struct SyncFunction<H, M> {
    method: H,
    marker: PhantomData<fn(M)>,
}

impl<H: SyncHandler<M>, M> Callee for SyncFunction<H, M> {
    fn call(&self, call: Call<'_>) -> Answer {
        self.method.handle(call)
    }
}

/// A parameter of a handler: an argument, or the call's [`Context`].
pub trait FromCall: Sized {
    /// Takes the parameter from the call.
    ///
    /// # Errors
    ///
    /// Returns a `TypeError` for the caller if the next argument is of another type.
    fn from_call(call: &mut Call<'_>) -> Result<Self>;
}

impl<T: DeserializeOwned> FromCall for T {
    fn from_call(call: &mut Call<'_>) -> Result<Self> {
        call.arg()
    }
}

impl FromCall for Context {
    fn from_call(call: &mut Call<'_>) -> Result<Self> {
        Ok(call.context())
    }
}

/// An async closure that can serve as a method: see [`Object::method`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a method",
    label = "expected an async closure that returns a `Result`",
    note = "annotate the parameters, `|a: f64, b: f64| async move {{ Ok(a + b) }}`; each has to be \
            `DeserializeOwned` or a `Context`, the future and the value `Send`, the value `Serialize`",
    note = "for a closure that is not async use `sync_method`"
)]
pub trait Handler<M>: Send + Sync + 'static {
    /// Handles a call.
    fn handle(&self, call: Call<'_>) -> Answer;
}

/// A closure that returns at once and can serve as a method: see [`Object::sync_method`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a method",
    label = "expected a closure that returns a `Result`",
    note = "annotate the parameters, `|a: f64, b: f64| Ok(a + b)`; each has to be \
            `DeserializeOwned` or a `Context`, the value `Serialize` and `Send`"
)]
pub trait SyncHandler<M>: Send + Sync + 'static {
    /// Handles a call.
    fn handle(&self, call: Call<'_>) -> Answer;
}

macro_rules! handlers {
    ($($($arg:ident)*;)*) => {
        $(
            impl<F, Fut, R, $($arg),*> Handler<fn($($arg),*) -> Fut> for F
            where
                F: Fn($($arg),*) -> Fut + Send + Sync + 'static,
                Fut: Future<Output = Result<R>> + Send + 'static,
                R: Serialize + Send + 'static,
                $($arg: FromCall,)*
            {
                #[allow(non_snake_case, unused_mut, unused_variables)]
                fn handle(&self, mut call: Call<'_>) -> Answer {
                    $(let $arg = match $arg::from_call(&mut call) {
                        Ok(arg) => arg,
                        Err(error) => return Answer::error(error),
                    };)*
                    Answer::future(self($($arg),*))
                }
            }

            impl<F, R, $($arg),*> SyncHandler<fn($($arg),*) -> R> for F
            where
                F: Fn($($arg),*) -> Result<R> + Send + Sync + 'static,
                R: Serialize + Send + 'static,
                $($arg: FromCall,)*
            {
                #[allow(non_snake_case, unused_mut, unused_variables)]
                fn handle(&self, mut call: Call<'_>) -> Answer {
                    $(let $arg = match $arg::from_call(&mut call) {
                        Ok(arg) => arg,
                        Err(error) => return Answer::error(error),
                    };)*
                    match self($($arg),*) {
                        Ok(value) => Answer::ready(value),
                        Err(error) => Answer::error(error),
                    }
                }
            }
        )*
    };
}

handlers! {
    ;
    A;
    A B;
    A B C;
    A B C D;
    A B C D E;
    A B C D E G;
    A B C D E G H;
    A B C D E G H I;
}
