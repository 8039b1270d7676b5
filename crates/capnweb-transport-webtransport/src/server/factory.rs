//! What makes a session's main object.

use std::{convert::Infallible, future::Future, pin::Pin};

use capnweb_core::{FromStub, Stub};
use http::StatusCode;

use super::Request;

/// Makes the main object of a session: a closure that takes the [`Request`].
///
/// `M` tells what it gives and is inferred: a stub, a `Result` of one with a status to refuse with, or a
/// future of either. See [`Main`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot make the main object of a session",
    label = "expected a closure that takes a `Request` and gives a stub",
    note = "it gives a `Stub`, a `Result<Stub, StatusCode>`, or a `Send` future of either",
    note = "an object becomes a stub by `Stub::new(object)`"
)]
pub trait Factory<M>: Send + Sync + 'static {
    /// Makes the object for a request, or gives the status that refuses it.
    fn make(
        &self,
        request: Request,
    ) -> impl Future<Output = Result<Stub, StatusCode>> + Send + 'static;
}

/// What a [`Factory`] can give. `K` tells the kinds apart and is inferred.
pub trait Main<K>: Send {
    /// The object, or the status that refuses the client.
    fn main(self) -> impl Future<Output = Result<Stub, StatusCode>> + Send;
}

/// A stub, of any interface.
#[derive(Debug)]
pub struct Plain(Infallible);

/// A stub or a refusal.
#[derive(Debug)]
pub struct Fallible(Infallible);

/// Either, later.
#[derive(Debug)]
pub struct Later<K>(Infallible, K);

impl<T: FromStub + Send> Main<Plain> for T {
    async fn main(self) -> Result<Stub, StatusCode> {
        Ok(self.as_stub().clone())
    }
}

impl<T: FromStub + Send, E: Into<StatusCode> + Send> Main<Fallible> for Result<T, E> {
    async fn main(self) -> Result<Stub, StatusCode> {
        match self {
            Ok(stub) => Ok(stub.as_stub().clone()),
            Err(refusal) => Err(refusal.into()),
        }
    }
}

impl<K, F> Main<Later<K>> for F
where
    F: Future<Output: Main<K>> + Send,
{
    async fn main(self) -> Result<Stub, StatusCode> {
        self.await.main().await
    }
}

impl<F, R, K> Factory<fn(K) -> R> for F
where
    F: Fn(Request) -> R + Send + Sync + 'static,
    R: Main<K> + 'static,
    K: 'static,
{
    fn make(
        &self,
        request: Request,
    ) -> impl Future<Output = Result<Stub, StatusCode>> + Send + 'static {
        self(request).main()
    }
}

/// A factory of any kind.
pub(super) type Make = Box<dyn Fn(Request) -> Making + Send + Sync>;

type Making = Pin<Box<dyn Future<Output = Result<Stub, StatusCode>> + Send>>;

pub(super) fn erase<M>(factory: impl Factory<M>) -> Make {
    Box::new(move |request| Box::pin(factory.make(request)))
}
