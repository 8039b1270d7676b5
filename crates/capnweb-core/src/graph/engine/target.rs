//! The interface of objects that can be called.

use std::{
    fmt,
    future::Future,
    pin::{Pin, pin},
    sync::{Arc, OnceLock},
};

use capnweb_wire::DeError;
use futures_util::future::{Either, select};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    graph::error::{Error, Result},
    graph::{
        cancellation::Cancellation,
        engine::{context::Context, invoke::Origin},
        local_object::LocalObject,
        offload,
        payload::{Payload, Reader, View, decode_args, encode_briefly},
    },
    runtime,
};

/// An object that can be called, from here or by a peer.
///
/// Interfaces and [`Object`](crate::Object) implement this trait. Implement it yourself for an
/// object whose methods are not known in advance, such as a proxy, a recorder or a test double.
///
/// ```
/// use std::sync::Arc;
/// use capnweb::{Stub, target::{Answer, Call, Target}};
///
/// /// Answers every method with its name and its arguments, undecoded.
/// struct Echo;
///
/// impl Target for Echo {
///     fn call(self: Arc<Self>, call: Call<'_>) -> Answer {
///         Answer::ready((call.method().to_owned(), call.into_args()))
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> capnweb::Result<()> {
/// let (method, args): (String, Vec<u32>) =
///     Stub::new(Echo).call("add", (1, 2)).fetch().await?;
/// assert_eq!((method.as_str(), args), ("add", vec![1, 2]));
/// # Ok(()) }
/// ```
pub trait Target: Send + Sync + 'static {
    /// Handles a call of a method, or of the object itself. In that case, [`Call::method`] is
    /// empty.
    ///
    /// Calls are delivered in the order in which they were made. Do whatever depends on that order
    /// before returning: the future of an [`Answer::future`] is polled once right away, and becomes
    /// a task if it is not ready.
    fn call(self: Arc<Self>, call: Call<'_>) -> Answer;

    /// Returns whether this object declares a method or property of this name.
    ///
    /// Only declared names become labels of metrics, since peers can ask for any name: see
    /// [`CallInfo::label`](crate::CallInfo::label). By default, no name is declared.
    fn declares(&self, name: &str) -> bool {
        let _ = name;
        false
    }

    /// Returns the name under which calls of the object itself are reported, if it is a method that
    /// was read as a property.
    #[doc(hidden)]
    fn bound_method(&self) -> Option<&str> {
        None
    }

    /// Handles the read of a property. By default, an object has no properties.
    fn get(self: Arc<Self>, get: Get<'_>) -> Property {
        let _ = get;
        Property::Undefined
    }
}

/// The read of a property: see [`Target::get`].
pub struct Get<'a> {
    name: &'a str,
    this: &'a Arc<LocalObject>,
    origin: &'a Origin,
    cancellation: &'a OnceLock<Arc<Cancellation>>,
}

impl<'a> Get<'a> {
    pub(crate) fn new(
        name: &'a str,
        this: &'a Arc<LocalObject>,
        origin: &'a Origin,
        cancellation: &'a OnceLock<Arc<Cancellation>>,
    ) -> Self {
        Self {
            name,
            this,
            origin,
            cancellation,
        }
    }

    /// Returns the property's name.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// Returns the context of the read: its session, and whether the result is still needed.
    pub fn context(&self) -> Context {
        Context::new(self.this, self.origin, self.cancellation)
    }

    /// Returns whether the reader may have the descriptions of objects.
    #[cfg(feature = "describe")]
    pub(crate) fn may_introspect(&self) -> bool {
        match self.origin {
            Origin::Peer(call) => call.scope().is_introspectable(),
            Origin::App | Origin::Local => true,
        }
    }
}

impl fmt::Debug for Get<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Get")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// The result of reading a property.
#[derive(Debug)]
pub enum Property {
    /// There is no such property.
    Undefined,
    /// The property is a method. The reader receives a callable that is bound to the object.
    Method,
    /// The property has a value.
    Value(Answer),
}

/// A call: see [`Target::call`].
pub struct Call<'a> {
    method: &'a str,
    args: Reader<'a>,
    /// The number of arguments that have been read.
    read: usize,
    this: &'a Arc<LocalObject>,
    origin: &'a Origin,
    cancellation: &'a OnceLock<Arc<Cancellation>>,
}

impl<'a> Call<'a> {
    pub(crate) fn new(
        method: &'a str,
        args: View<'a>,
        this: &'a Arc<LocalObject>,
        origin: &'a Origin,
        cancellation: &'a OnceLock<Arc<Cancellation>>,
    ) -> Self {
        Self {
            method,
            args: Reader::new(args),
            read: 0,
            this,
            origin,
            cancellation,
        }
    }

    /// Returns the same call, redirected to a method of another object.
    pub(crate) fn of_method<'b>(self, this: &'b Arc<LocalObject>, method: &'b str) -> Call<'b>
    where
        'a: 'b,
    {
        Call {
            method,
            this,
            ..self
        }
    }

    /// Returns the method's name. It is empty if the object itself is called, as a function.
    pub fn method(&self) -> &'a str {
        self.method
    }

    /// Returns the context of the call: its session, and whether the result is still needed.
    pub fn context(&self) -> Context {
        Context::new(self.this, self.origin, self.cancellation)
    }

    /// Returns the callee's name for error messages.
    fn callee(&self) -> &'a str {
        if self.method.is_empty() {
            "the callback"
        } else {
            self.method
        }
    }

    /// Reads the next argument. After the last argument it reads `undefined`, which an `Option`
    /// accepts.
    ///
    /// # Errors
    ///
    /// Returns a `TypeError` for the caller that names the method and the argument's number.
    pub fn arg<T: DeserializeOwned>(&mut self) -> Result<T> {
        self.read += 1;
        let (read, callee) = (self.read, self.callee());
        self.args.next().map_err(|error| {
            let (path, message) = (error.path(), error.message());
            Error::type_error(format!("{callee}: argument {read}{path}: {message}"))
        })
    }

    /// Reads the next argument, like [`arg`](Self::arg), for a parameter that has a name.
    ///
    /// # Errors
    ///
    /// Returns a `TypeError` for the caller that names the method and the parameter.
    pub fn named_arg<T: DeserializeOwned>(&mut self, name: &str) -> Result<T> {
        self.read += 1;
        let callee = self.callee();
        self.args
            .next()
            .map_err(|error| misfit(callee, name, None, &error))
    }

    /// Reads the next argument, like [`named_arg`](Self::named_arg), for a type that may share
    /// memory with the message. Errors also include the parameter's name in Rust, if it differs.
    pub(crate) fn shared_arg<T: DeserializeOwned + 'static>(
        &mut self,
        name: &str,
        rust: Option<&str>,
    ) -> Result<T> {
        self.read += 1;
        let callee = self.callee();
        self.args
            .next_shared()
            .map_err(|error| misfit(callee, name, rust, &error))
    }

    /// Returns the number of arguments that have not been read.
    pub(crate) fn args_left(&self) -> usize {
        self.args.count().saturating_sub(self.read)
    }

    /// Returns the number of arguments.
    pub fn arg_count(&self) -> usize {
        self.args.count()
    }

    /// Reads all arguments at once, as a tuple or a list.
    ///
    /// # Errors
    ///
    /// Returns a `TypeError` for the caller that names the method.
    pub fn args<T: DeserializeOwned>(&self) -> Result<T> {
        decode_args(self.args.view()).map_err(|error| {
            let (path, message) = (error.path(), error.message());
            Error::type_error(format!("{}: arguments{path}: {message}", self.callee()))
        })
    }

    /// Returns all arguments, undecoded, as an array.
    pub fn into_args(self) -> Payload {
        self.args.view().bracketed()
    }
}

/// Returns the error for an argument that does not fit the type of its parameter.
#[cold]
fn misfit(callee: &str, name: &str, rust: Option<&str>, error: &DeError) -> Error {
    let (path, message) = (error.path(), error.message());
    Error::type_error(match rust {
        Some(rust) => {
            format!("{callee}: parameter `{name}{path}`: {message} (in Rust: {rust})")
        }
        None => format!("{callee}: parameter `{name}{path}`: {message}"),
    })
}

impl fmt::Debug for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("method", &self.method)
            .field("args", &self.args.view().text)
            .finish_non_exhaustive()
    }
}

pub(crate) type AnswerFuture = Pin<Box<dyn Future<Output = Encoded> + Send>>;

/// An answer that is available.
pub(crate) enum Encoded {
    Now(Result<Payload>),
    /// Encoding it takes long, so this is done on another thread.
    Later(Encode),
}

/// Encodes an answer.
pub(crate) type Encode = Box<dyn FnOnce() -> Result<Payload> + Send>;

impl Encoded {
    #[inline]
    fn of<T: Serialize + Send + 'static>(value: T) -> Self {
        if !runtime::HAS_BLOCKING_POOL {
            return Self::Now(Payload::encode(&value));
        }
        match encode_briefly(&value) {
            Some(encoded) => Self::Now(encoded),
            None => Self::later(value),
        }
    }

    #[cold]
    fn later<T: Serialize + Send + 'static>(value: T) -> Self {
        if offload::is_offloaded() {
            Self::Now(Payload::encode(&value))
        } else {
            Self::Later(Box::new(move || Payload::encode(&value)))
        }
    }
}

/// The answer to a call: a result, a future of one, or "not found".
pub struct Answer(pub(crate) AnswerKind);

pub(crate) enum AnswerKind {
    Ready(Result<Payload>),
    Long(Encode),
    Future(AnswerFuture),
    NotFound,
}

impl Answer {
    /// Creates an answer from a value that is already there.
    ///
    /// The value is encoded at once, unless that takes long. Then it is encoded on another thread,
    /// again from the beginning.
    pub fn ready(value: impl Serialize + Send + 'static) -> Self {
        match Encoded::of(value) {
            Encoded::Now(result) => Self::result(result),
            Encoded::Later(encode) => Self(AnswerKind::Long(encode)),
        }
    }

    /// Creates an answer from an encoded result, or from an error.
    pub fn result(result: Result<Payload>) -> Self {
        Self(AnswerKind::Ready(result))
    }

    /// Creates an answer from an error.
    pub fn error(error: impl Into<Error>) -> Self {
        Self::result(Err(error.into()))
    }

    /// Creates an answer that takes time. The future is polled once inline, and becomes a task if
    /// it is not ready then.
    pub fn future<T: Serialize + Send + 'static>(
        future: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Self {
        Self(AnswerKind::Future(Box::pin(async move {
            match future.await {
                Ok(value) => Encoded::of(value),
                Err(error) => Encoded::Now(Err(error)),
            }
        })))
    }

    /// Creates an answer from a future, like [`future`](Self::future). The future is dropped as
    /// soon as the caller of `context` has dropped the promise or is gone.
    pub fn cancelable<T: Serialize + Send + 'static>(
        context: Context,
        future: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Self {
        Self::future(async move {
            let (future, canceled) = (pin!(future), pin!(context.canceled()));
            match select(future, canceled).await {
                Either::Left((result, _)) => result,
                Either::Right(((), _)) => Err(Error::canceled(
                    "the call was stopped because its result is no longer needed",
                )),
            }
        })
    }

    /// Creates an answer from a future of another answer.
    pub(crate) fn later(answer: impl Future<Output = Self> + Send + 'static) -> Self {
        Self(AnswerKind::Future(Box::pin(async move {
            match answer.await.0 {
                AnswerKind::Ready(result) => Encoded::Now(result),
                AnswerKind::Long(encode) => Encoded::Later(encode),
                AnswerKind::Future(future) => future.await,
                AnswerKind::NotFound => Encoded::Now(Err(Error::internal())),
            }
        })))
    }

    /// Creates the answer for a method that does not exist. The caller receives JavaScript's
    /// `TypeError: 'x' is not a function.`
    pub fn not_found() -> Self {
        Self(AnswerKind::NotFound)
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            AnswerKind::Ready(result) => f.debug_tuple("Answer").field(result).finish(),
            AnswerKind::Long(_) => f.write_str("Answer(long)"),
            AnswerKind::Future(_) => f.write_str("Answer(future)"),
            AnswerKind::NotFound => f.write_str("Answer(not found)"),
        }
    }
}
