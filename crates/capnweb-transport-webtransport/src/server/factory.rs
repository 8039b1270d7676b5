//! What makes a session's main object.

use std::{convert::Infallible, future::Future, pin::Pin};

use capnweb_core::{Stub, StubType};
use http::StatusCode;

use super::Request;

/// What a function that makes a session's main object can give: a stub, a `Result` of one with a status
/// to refuse the client with, or a future of either. `K` tells the kinds apart and is inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the main object of a session",
    label = "expected a stub",
    note = "the function gives a `Stub`, a `Result<Stub, StatusCode>`, or a `Send` future of either",
    note = "an object becomes a stub by its interface's stub: `FooStub::new(object)`"
)]
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

impl<T: StubType + Send> Main<Plain> for T {
    async fn main(self) -> Result<Stub, StatusCode> {
        Ok(self.as_stub().clone())
    }
}

impl<T: StubType + Send, E: Into<StatusCode> + Send> Main<Fallible> for Result<T, E> {
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

/// A function of any kind that makes a main object.
pub(super) type Factory = Box<dyn Fn(Request) -> Making + Send + Sync>;

type Making = Pin<Box<dyn Future<Output = Result<Stub, StatusCode>> + Send>>;

pub(super) fn erase<R, K>(factory: impl Fn(Request) -> R + Send + Sync + 'static) -> Factory
where
    R: Main<K> + 'static,
    K: 'static,
{
    Box::new(move |request| Box::pin(factory(request).main()))
}
