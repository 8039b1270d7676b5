//! Promises of results that have not arrived yet.

use std::{
    fmt,
    future::{Future, IntoFuture},
    marker::PhantomData,
    ops::Deref,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};

use crate::{
    api::stub::Stub,
    graph::{
        engine::{resolve_args, resolve_args::Then},
        error::{Error, Result},
        hook::{Hook, Settled, Waiter},
        payload::{Cap, Payload},
        promise_state::PromiseState,
        remote::Peer,
    },
};

/// A typed wrapper of a [`Stub`]: the stub of an interface, or the pipeline of a value.
///
/// `#[interface]` and `#[value]` implement it. It converts untyped stubs into typed ones and back.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a stub",
    label = "expected the stub of an interface, or `Stub`",
    note = "an object with the interface `Foo` is handed out by its stub: `FooStub::new(object)`, which an `impl Foo` \
            and an `Arc` of an object can be given to as well",
    note = "there is no `dyn Foo`: keep a `FooStub`, which is `Clone`, where objects of several types are to stand"
)]
pub trait StubType: Sized + Send + Sync {
    /// Wraps a stub.
    fn from_stub(stub: Stub) -> Self;
    /// Returns the untyped stub.
    fn as_stub(&self) -> &Stub;
    /// Converts into the untyped stub.
    fn into_stub(self) -> Stub;
}

impl StubType for Stub {
    fn from_stub(stub: Stub) -> Self {
        stub
    }

    fn as_stub(&self) -> &Stub {
        self
    }

    fn into_stub(self) -> Stub {
        self
    }
}

/// A type that a [`Promise`] can resolve to.
///
/// `#[interface]` and `#[value]` implement it, and this library implements it for the sendable
/// types of the standard library. Wrap any other type that serde supports in [`Json`](crate::Json).
#[diagnostic::on_unimplemented(
    message = "a `Promise` cannot be of `{Self}`",
    label = "this type has no pipeline",
    note = "if `{Self}` is yours, annotate it with `#[capnweb::value]`",
    note = "if it is another crate's, use `Json<{Self}>` in its place, or turn on the feature of \
            `capnweb` for that crate (`uuid`, `chrono`, `serde_json`)"
)]
pub trait Pipelined {
    /// The methods and properties of a promise of this type.
    type Pipeline: StubType;
}

/// A result that may not have arrived yet.
///
/// It derefs to its type's pipeline, so you can call it and read its properties before it has
/// settled. `.await` requests the result: a result that is never awaited is never sent. Dropping a
/// promise releases its result, but does not stop the call.
///
/// ```
/// # use capnweb::{Object, Promise, Result, Value};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
/// # let api = Object::new().method("user", async || Ok([("name", "Ada")].into_iter().collect::<std::collections::HashMap<_, _>>())).into_stub();
/// let user: Promise<Value> = api.call("user", ());
/// let name: Promise<String> = user.get("name").cast();
/// assert_eq!(name.await?, "Ada");
/// # Ok(()) }
/// ```
///
/// A promise with an error type `E` is awaited as `Result<T, E>`: the peer's [`Error`] is converted
/// by `From`. The default `E` is that error itself.
#[must_use = "a promise that is dropped releases its result: await it, call it, pass it on, or `Promise::detach` it"]
pub struct Promise<T: Pipelined, E = Error> {
    pipeline: T::Pipeline,
    error: PhantomData<fn() -> E>,
}

impl<T: Pipelined> Promise<T> {
    /// Returns a promise of the value or object that `stub` refers to.
    pub fn from_stub(stub: Stub) -> Self {
        Self::of(stub)
    }

    pub(crate) fn from_hook(hook: Hook) -> Self {
        Self::of(Stub::from_hook(hook))
    }
}

impl<T: Pipelined, E> Promise<T, E> {
    /// Returns a promise whose error is converted to `E`.
    pub(crate) fn of(stub: Stub) -> Self {
        Self {
            pipeline: T::Pipeline::from_stub(stub),
            error: PhantomData,
        }
    }

    /// Returns the untyped stub of the promise.
    pub fn as_stub(this: &Self) -> &Stub {
        this.pipeline.as_stub()
    }

    /// Converts the promise into its untyped stub.
    pub fn into_stub(this: Self) -> Stub {
        this.pipeline.into_stub()
    }

    /// Converts the promise into its pipeline. For a promise of a stub, this is a stub that you can
    /// use like the real one before that has arrived.
    ///
    /// ```
    /// # use capnweb::{Object, Promise, Result, Stub};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
    /// # fn user() -> Stub { Object::new().property("id", 7).into_stub() }
    /// # let api = Object::new().method("login", async move || Ok(user())).into_stub();
    /// let login: Promise<Stub> = api.call("login", ()).cast();
    /// let user: Stub = Promise::into_pipeline(login);
    /// assert_eq!(user.get("id").fetch::<u32>().await?, 7);
    /// # Ok(()) }
    /// ```
    pub fn into_pipeline(this: Self) -> T::Pipeline {
        this.pipeline
    }

    /// Changes the type of the promise.
    pub fn cast<U: Pipelined>(this: Self) -> Promise<U> {
        Promise::from_stub(this.pipeline.into_stub())
    }

    /// Lets the call run without anybody awaiting its result.
    ///
    /// On a [lasting stub](crate::lasting), dropping the promise of a waiting call drops the call.
    /// With this method, the call is made once there is a session.
    pub fn detach(this: Self) {
        if let Hook::Call(call) = Self::as_stub(&this).hook() {
            call.clone().detach();
        }
        drop(this);
    }
}

impl<T: Pipelined, E> Clone for Promise<T, E> {
    fn clone(&self) -> Self {
        Self::of(Self::as_stub(self).clone())
    }
}

impl<T: Pipelined, E> Deref for Promise<T, E> {
    type Target = T::Pipeline;

    fn deref(&self) -> &T::Pipeline {
        &self.pipeline
    }
}

impl<T: Pipelined, E> fmt::Debug for Promise<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Promise").field(Self::as_stub(self)).finish()
    }
}

impl<T: Pipelined, E> Serialize for Promise<T, E> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::as_stub(self).give_promise(serializer)
    }
}

/// Reads a promise inside a received value. It has already settled, so this is a promise of that
/// value.
impl<'de, T: Pipelined> Deserialize<'de> for Promise<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Payload::deserialize(deserializer).map(|payload| Self::from_hook(Hook::Value(payload)))
    }
}

impl<T: Pipelined + DeserializeOwned + 'static, E: From<Error>> IntoFuture for Promise<T, E> {
    type Output = Result<T, E>;
    type IntoFuture = PromiseFuture<T, E>;

    fn into_future(self) -> PromiseFuture<T, E> {
        PromiseFuture::new(self.pipeline.into_stub())
    }
}

/// The future of a promise, from `.await` or [`Stub::fetch`].
///
/// Creating the future requests the result from the peer, even before the first poll. In an HTTP
/// batch, all futures that are joined are therefore sent together.
#[must_use = "futures do nothing unless polled"]
pub struct PromiseFuture<T, E = Error> {
    /// The stub whose hook is awaited, with the names for errors.
    stub: Stub,
    /// True after the first poll. A batch is sent at the second poll.
    polled: bool,
    marker: PhantomData<fn() -> (T, E)>,
}

impl<T, E> PromiseFuture<T, E> {
    pub(crate) fn new(stub: Stub) -> Self {
        let mut stub = stub.requested();
        let hook = stub.hook_mut();
        let is_pending = match hook {
            Hook::Promise(deferred) => !deferred.is_settled(),
            Hook::Import(import) => !import.is_resolved(),
            Hook::Call(call) => call.outcome().is_none(),
            _ => false,
        };
        if !is_pending {
            *hook = match hook.settle() {
                Settled::Yes(hook) | Settled::Not(hook) => hook,
            };
        }
        if let Hook::Import(import) = hook
            && import.is_promise()
        {
            import.pull();
        } else if let Hook::Call(call) = hook {
            call.wait(&mut None);
        }
        Self {
            stub,
            polled: false,
            marker: PhantomData,
        }
    }
}

impl<T, E> PromiseFuture<T, E> {
    /// Sends the batches that this future waits for, at its second poll.
    fn wait_for_batches(&mut self, cx: &Context<'_>) {
        let batches = self.batches();
        if batches.is_empty() {
            return;
        }
        if self.polled {
            batches.iter().for_each(|batch| batch.request_flush());
        } else {
            // Everything else that is polled in the same pass joins the batch.
            self.polled = true;
            cx.waker().wake_by_ref();
        }
    }

    /// Returns whether this waits for something of this process.
    pub(crate) fn is_local(&self) -> bool {
        matches!(self.stub.hook(), Hook::Promise(_))
    }

    /// Returns the batches to send if somebody waits for this.
    pub(crate) fn batches(&self) -> Vec<Arc<dyn Peer>> {
        self.stub.hook().batches()
    }

    /// Runs the queue of the local object that computes the result. Usually the result is available
    /// afterwards, and nobody else holds its promise.
    pub(crate) fn drive(&mut self) {
        let Hook::Promise(deferred) = self.stub.hook_mut() else {
            return;
        };
        deferred.drive();
        if let Some(payload) = PromiseState::take_plain(deferred)
            && let Hook::Promise(spent) =
                std::mem::replace(self.stub.hook_mut(), Hook::Value(payload))
        {
            spent.keep();
        }
    }
}

impl<T: DeserializeOwned + 'static, E> PromiseFuture<T, E> {
    fn decode(&self, payload: &Payload) -> Result<T> {
        payload
            .decode_shared()
            .map_err(|error| self.stub.misfit(&error))
    }
}

impl<T: DeserializeOwned + 'static, E: From<Error>> Future for PromiseFuture<T, E> {
    type Output = Result<T, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, E>> {
        self.poll_outcome(cx).map_err(E::from)
    }
}

impl<T: DeserializeOwned + 'static, E> PromiseFuture<T, E> {
    fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<Result<T>> {
        let this = self;
        this.drive();
        loop {
            if let Hook::Value(payload) = this.stub.hook()
                && payload.is_plain()
            {
                return Poll::Ready(this.decode(payload));
            }
            if let Hook::Import(import) = this.stub.hook()
                && import.is_promise()
            {
                // The result of a peer's call: wait for it or take it, without following the chain
                // that it has settled to.
                match import.resolution() {
                    Some(hook @ Hook::Value(_)) => {
                        *this.stub.hook_mut() = hook;
                        continue;
                    }
                    Some(_) => {}
                    None => {
                        let waiter = Waiter::Task(cx.waker().clone());
                        if import.wait(&mut Some(waiter)) {
                            this.wait_for_batches(cx);
                            return Poll::Pending;
                        }
                        continue;
                    }
                }
            }
            let waiting = match this.stub.hook().settle() {
                Settled::Yes(Hook::Value(payload)) if payload.view().has_promises() => {
                    *this.stub.hook_mut() = resolve_args::resolve_args(payload, |result| {
                        Then::Settle(Arc::downgrade(&result))
                    });
                    continue;
                }
                Settled::Yes(Hook::Value(payload)) => return Poll::Ready(this.decode(&payload)),
                Settled::Yes(Hook::Broken(error)) => return Poll::Ready(Err(error)),
                Settled::Yes(Hook::Placeholder(_) | Hook::Starting) => {
                    return Poll::Ready(Err(Error::type_error(
                        "a placeholder cannot be awaited: the closure of a `map` runs once, to be \
                         recorded, and its values exist only at the peer",
                    )));
                }
                Settled::Yes(stub) => {
                    return Poll::Ready(this.decode(&Payload::from_cap(Cap::stub(stub))));
                }
                Settled::Not(hook) => hook,
            };
            *this.stub.hook_mut() = waiting.clone();
            let mut waiter = Some(Waiter::Task(cx.waker().clone()));
            let registered = match &waiting {
                Hook::Promise(deferred) => {
                    deferred.drive();
                    deferred.wait(&mut waiter)
                }
                Hook::Import(import) => import.wait(&mut waiter),
                Hook::Call(call) => call.wait(&mut waiter),
                _ => return Poll::Ready(Err(Error::internal())),
            };
            if !registered {
                continue;
            }
            this.wait_for_batches(cx);
            return Poll::Pending;
        }
    }
}

impl<T, E> fmt::Debug for PromiseFuture<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PromiseFuture")
            .field("polled", &self.polled)
            .finish_non_exhaustive()
    }
}
