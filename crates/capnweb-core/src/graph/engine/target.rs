//! What an object has to do to be called.

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
};

/// An object that can be called, from here or by a peer.
///
/// Interfaces and [`Object`](crate::Object) implement this. Implement it yourself for an object whose
/// methods are not known in advance: a proxy, a recorder, a test double.
///
/// ```
/// use std::sync::Arc;
/// use capnweb_core::{Answer, Call, Stub, Target};
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
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> capnweb_core::Result<()> {
/// let (method, args): (String, Vec<u32>) =
///     Stub::new(Echo).call("add", (1, 2)).fetch().await?;
/// assert_eq!((method.as_str(), args), ("add", vec![1, 2]));
/// # Ok(()) }
/// ```
pub trait Target: Send + Sync + 'static {
    /// A call of a method, or of the object itself: then [`Call::method`] is empty.
    ///
    /// Calls are delivered in the order in which they were made. Whatever has to keep that order is
    /// done before this returns; the future in an [`Answer::future`] is polled once right after,
    /// and becomes a task if it is not ready.
    fn call(self: Arc<Self>, call: Call<'_>) -> Answer;

    /// A property that is read. The default has none.
    fn get(self: Arc<Self>, get: Get<'_>) -> Property {
        let _ = get;
        Property::Undefined
    }
}

/// A property that is read: see [`Target::get`].
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

    /// The property's name.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// Who reads, and whether they still want to know.
    pub fn context(&self) -> Context {
        Context::new(self.this, self.origin, self.cancellation)
    }
}

impl fmt::Debug for Get<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Get")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// What a property read finds.
#[derive(Debug)]
pub enum Property {
    /// There is no such property.
    Undefined,
    /// It is a method: the reader gets a callable that is bound to the object.
    Method,
    /// A value.
    Value(Answer),
}

/// A call: see [`Target::call`].
pub struct Call<'a> {
    method: &'a str,
    args: Reader<'a>,
    /// How many arguments were read.
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

    /// The same call, of a method of another object.
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

    /// The method's name; empty when the object itself is called, as a function.
    pub fn method(&self) -> &'a str {
        self.method
    }

    /// Who calls, and whether they still want to know.
    pub fn context(&self) -> Context {
        Context::new(self.this, self.origin, self.cancellation)
    }

    /// What errors name.
    fn callee(&self) -> &'a str {
        if self.method.is_empty() {
            "the callback"
        } else {
            self.method
        }
    }

    /// Reads the next argument. Past the last one there is `undefined`, which an `Option` takes.
    ///
    /// # Errors
    ///
    /// A `TypeError` that names the method and the argument's number, to be given to the caller.
    pub fn arg<T: DeserializeOwned>(&mut self) -> Result<T> {
        self.read += 1;
        let (read, callee) = (self.read, self.callee());
        self.args.next().map_err(|error| {
            let (path, message) = (error.path(), error.message());
            Error::type_error(format!("{callee}: argument {read}{path}: {message}"))
        })
    }

    /// As [`arg`](Self::arg), for a parameter that has a name.
    ///
    /// # Errors
    ///
    /// A `TypeError` that names the method and the parameter, to be given to the caller.
    pub fn named_arg<T: DeserializeOwned>(&mut self, name: &str) -> Result<T> {
        self.read += 1;
        let callee = self.callee();
        self.args
            .next()
            .map_err(|error| misfit(callee, name, None, &error))
    }

    /// As [`named_arg`](Self::named_arg), for a type that may share memory with the message.
    /// Errors name what stands for it in Rust too, if that is another name.
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

    /// How many arguments have not been read.
    pub(crate) fn args_left(&self) -> usize {
        self.args.count().saturating_sub(self.read)
    }

    /// How many arguments there are.
    pub fn arg_count(&self) -> usize {
        self.args.count()
    }

    /// Reads all arguments at once, as a tuple or a list.
    ///
    /// # Errors
    ///
    /// A `TypeError` that names the method, to be given to the caller.
    pub fn args<T: DeserializeOwned>(&self) -> Result<T> {
        decode_args(self.args.view()).map_err(|error| {
            let (path, message) = (error.path(), error.message());
            Error::type_error(format!("{}: arguments{path}: {message}", self.callee()))
        })
    }

    /// All arguments, undecoded, as an array.
    pub fn into_args(self) -> Payload {
        self.args.view().bracketed()
    }
}

/// Returns the error for an argument that is not of the type of its parameter.
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

/// An answer that is there.
pub(crate) enum Encoded {
    Now(Result<Payload>),
    /// To encode it takes long: that is done elsewhere.
    Later(Encode),
}

/// Encodes an answer.
pub(crate) type Encode = Box<dyn FnOnce() -> Result<Payload> + Send>;

impl Encoded {
    #[inline]
    fn of<T: Serialize + Send + 'static>(value: T) -> Self {
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

/// How a call is answered: at once, later, or not at all.
pub struct Answer(pub(crate) AnswerKind);

pub(crate) enum AnswerKind {
    Ready(Result<Payload>),
    Long(Encode),
    Future(AnswerFuture),
    NotFound,
}

impl Answer {
    /// An answer that is there already.
    ///
    /// It is encoded at once, unless that takes long. Then it is encoded on another thread, once more
    /// from the beginning.
    pub fn ready(value: impl Serialize + Send + 'static) -> Self {
        match Encoded::of(value) {
            Encoded::Now(result) => Self::result(result),
            Encoded::Later(encode) => Self(AnswerKind::Long(encode)),
        }
    }

    /// An answer that is there already, encoded, or an error.
    pub fn result(result: Result<Payload>) -> Self {
        Self(AnswerKind::Ready(result))
    }

    /// An error.
    pub fn error(error: impl Into<Error>) -> Self {
        Self::result(Err(error.into()))
    }

    /// An answer that takes time. The future is polled once inline, and becomes a task if it is not
    /// ready then.
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

    /// As [`future`](Self::future), but the future is dropped as soon as the caller of `context` has
    /// dropped the promise, or is gone.
    pub fn cancelable<T: Serialize + Send + 'static>(
        context: Context,
        future: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Self {
        Self::future(async move {
            let (future, canceled) = (pin!(future), pin!(context.canceled()));
            match select(future, canceled).await {
                Either::Left((result, _)) => result,
                Either::Right(((), _)) => Err(Error::canceled(
                    "the call was stopped: nobody wants its result any more",
                )),
            }
        })
    }

    /// A future of an answer.
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

    /// There is no such method. The caller gets JavaScript's `TypeError: 'x' is not a function.`
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
