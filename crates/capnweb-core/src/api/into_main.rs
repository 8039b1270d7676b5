//! Results of factories that make a session's main object.

use std::{convert::Infallible, future::Future};

use super::{promise::StubType, stub::Stub};

/// The result of a factory: a stub, a `Result` of one, or a `Send` future of either.
///
/// Servers call a factory for each session. An `Err` refuses the client; the documentation of each
/// server lists the refusals that it understands. `K` distinguishes the kinds of results, and is
/// inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the main object of a session",
    label = "expected a stub",
    note = "a factory returns a stub, a `Result` of one and a refusal, or a `Send` future of either",
    note = "turn an object into a stub with its interface's stub: `FooStub::new(object)`"
)]
pub trait IntoMain<K>: Send {
    /// The error that refuses the client.
    type Refusal;

    /// Returns the object, or the refusal.
    fn into_main(self) -> impl Future<Output = Result<Stub, Self::Refusal>> + Send;
}

/// Marks results that are a stub of any interface.
#[derive(Debug)]
pub struct Plain(Infallible);

/// Marks results that are a `Result` of a stub and a refusal.
#[derive(Debug)]
pub struct Fallible(Infallible);

/// Marks results that are a future of another result.
#[derive(Debug)]
pub struct Later<K>(Infallible, K);

impl<T: StubType + Send> IntoMain<Plain> for T {
    type Refusal = Infallible;

    async fn into_main(self) -> Result<Stub, Infallible> {
        Ok(self.as_stub().clone())
    }
}

impl<T: StubType + Send, E: Send> IntoMain<Fallible> for Result<T, E> {
    type Refusal = E;

    async fn into_main(self) -> Result<Stub, E> {
        self.map(|stub| stub.as_stub().clone())
    }
}

impl<K, F> IntoMain<Later<K>> for F
where
    F: Future<Output: IntoMain<K>> + Send,
{
    type Refusal = <F::Output as IntoMain<K>>::Refusal;

    async fn into_main(self) -> Result<Stub, Self::Refusal> {
        self.await.into_main().await
    }
}
