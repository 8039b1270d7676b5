//! Factories of a connection's main object.

use std::future::Future;

use ::axum::{
    extract::FromRequestParts,
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use capnweb_core::{IntoMain, Stub};
use capnweb_net::TrackedSession;

/// A factory for the main object of a connection or batch: a closure whose parameters are
/// extractors.
///
/// `S` is the router's state. `M` distinguishes closures with different parameters, and is
/// inferred. The closure returns a stub, a `Result` of a stub with anything that converts into a
/// response, or a future of either: see [`IntoMain`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot make the main object of a connection",
    label = "expected a closure that returns a stub",
    note = "the closure's parameters have to be extractors that leave the body alone \
            (`FromRequestParts`), eight at most",
    note = "it returns a stub, a `Result<Stub, impl IntoResponse>`, or a `Send` future of either",
    note = "turn an object into a stub with its interface's stub: `FooStub::new(object)`"
)]
pub trait Factory<S, M>: Clone + Send + Sync + 'static {
    /// Makes the object for a request, or the response that refuses it.
    fn make(
        &self,
        request: &mut Parts,
        state: &S,
    ) -> impl Future<Output = Result<Stub, Response>> + Send;
}

macro_rules! factories {
    ($($($extractor:ident)*;)*) => {
        $(
            impl<F, S, R, K, $($extractor),*> Factory<S, (K, fn($($extractor),*) -> R)> for F
            where
                F: Fn($($extractor),*) -> R + Clone + Send + Sync + 'static,
                R: IntoMain<K, Refusal: IntoResponse>,
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
                    self($($extractor),*)
                        .into_main()
                        .await
                        .map_err(IntoResponse::into_response)
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

/// The client's main object, as an extractor for a [`Factory`].
///
/// In a batch it can be called, but the results cannot be awaited.
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

/// The subprotocol of a WebSocket, one of [`Rpc::protocols`](super::Rpc::protocols), as an
/// extractor for a [`Factory`].
///
/// It is `None` for a batch, and for a client that offered none of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subprotocol(pub Option<String>);

impl<S: Sync> FromRequestParts<S> for Subprotocol {
    type Rejection = (StatusCode, &'static str);

    async fn from_request_parts(request: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        request.extensions.get::<Self>().cloned().ok_or((
            StatusCode::INTERNAL_SERVER_ERROR,
            "`capnweb::axum::Subprotocol` was used outside a factory of `capnweb::axum::rpc`",
        ))
    }
}

/// The entry of the session or batch in a registry: an extractor for a [`Factory`] of a route that
/// is [tracked](super::Rpc::tracked).
///
/// ```
/// use axum::Router;
/// use capnweb::{Error, Object, Sessions, axum::{Rpc, Tracked}};
///
/// let sessions = Sessions::new();
/// let api = Rpc::new(|Tracked(session): Tracked| {
///     Object::new()
///         .method("authenticate", move |user: String| {
///             session.attach(user);
///             async { Ok(()) }
///         })
///         .into_stub()
/// });
/// let app: Router = Router::new().route("/api", api.tracked(&sessions).route());
///
/// // Elsewhere:
/// let is_ada = |user: String| user == "ada";
/// sessions.close_by(|session| session.get().is_some_and(is_ada), 4403, Error::new("banned"));
/// ```
#[derive(Clone, Debug)]
pub struct Tracked(pub TrackedSession);

impl<S: Sync> FromRequestParts<S> for Tracked {
    type Rejection = (StatusCode, &'static str);

    async fn from_request_parts(request: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        request.extensions.get::<Self>().cloned().ok_or((
            StatusCode::INTERNAL_SERVER_ERROR,
            "`capnweb::axum::Tracked` was used outside a factory, or on a route without \
             `Rpc::tracked`",
        ))
    }
}
