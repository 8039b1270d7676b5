//! What makes a connection's main object.

use std::{convert::Infallible, future::Future};

use ::axum::{
    extract::FromRequestParts,
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use capnweb_core::{Stub, StubType};

/// Makes the main object of a connection or batch: a closure whose parameters are extractors.
///
/// `S` is the router's state; `M` keeps closures of different parameters apart and is inferred. What
/// the closure gives is a stub, a `Result` of one with anything that makes a response, or a future of
/// either: see [`Main`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot make the main object of a connection",
    label = "expected a closure that gives a stub",
    note = "the closure's parameters have to be extractors that leave the body alone \
            (`FromRequestParts`), eight at most",
    note = "it gives a stub, a `Result<Stub, impl IntoResponse>`, or a `Send` future of either",
    note = "an object becomes a stub by its interface's stub: `FooStub::new(object)`"
)]
pub trait Factory<S, M>: Clone + Send + Sync + 'static {
    /// Makes the object for a request, or the response that refuses it.
    fn make(
        &self,
        request: &mut Parts,
        state: &S,
    ) -> impl Future<Output = Result<Stub, Response>> + Send;
}

/// What a [`Factory`] can give. `K` tells the kinds apart and is inferred.
pub trait Main<K>: Send {
    /// The object, or the response that refuses the client.
    fn main(self) -> impl Future<Output = Result<Stub, Response>> + Send;
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
    async fn main(self) -> Result<Stub, Response> {
        Ok(self.as_stub().clone())
    }
}

impl<T: StubType + Send, E: IntoResponse + Send> Main<Fallible> for Result<T, E> {
    async fn main(self) -> Result<Stub, Response> {
        match self {
            Ok(stub) => Ok(stub.as_stub().clone()),
            Err(refusal) => Err(refusal.into_response()),
        }
    }
}

impl<K, F> Main<Later<K>> for F
where
    F: Future<Output: Main<K>> + Send,
{
    async fn main(self) -> Result<Stub, Response> {
        self.await.main().await
    }
}

macro_rules! factories {
    ($($($extractor:ident)*;)*) => {
        $(
            impl<F, S, R, K, $($extractor),*> Factory<S, (K, fn($($extractor),*) -> R)> for F
            where
                F: Fn($($extractor),*) -> R + Clone + Send + Sync + 'static,
                R: Main<K>,
                K: 'static,
                S: Sync,
                $($extractor: FromRequestParts<S> + Send,)*
            {
                #[allow(non_snake_case, unused_variables)]
                async fn make(&self, request: &mut Parts, state: &S) -> Result<Stub, Response> {
                    $(
                        let $extractor = $extractor::from_request_parts(request, state)
                            .await
                            .map_err(IntoResponse::into_response)?;
                    )*
                    self($($extractor),*).main().await
                }
            }
        )*
    };
}

factories! {
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

/// The client's main object: an extractor for a [`Factory`].
///
/// In a batch it can be called, but what comes of that cannot be awaited.
#[derive(Clone, Debug)]
pub struct Peer(pub Stub);

impl<S: Sync> FromRequestParts<S> for Peer {
    type Rejection = (StatusCode, &'static str);

    async fn from_request_parts(request: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        request.extensions.get::<Self>().cloned().ok_or((
            StatusCode::INTERNAL_SERVER_ERROR,
            "`capnweb::axum::Peer` was used outside a factory of `capnweb::axum::rpc`",
        ))
    }
}
