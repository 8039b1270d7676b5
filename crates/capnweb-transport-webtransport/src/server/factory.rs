//! Factories of a session's main object.

use std::{convert::Infallible, future::Future, pin::Pin};

use capnweb_core::{IntoMain, Stub};
use http::StatusCode;

use super::Request;

/// The refusals that a factory may return: the `Err` of its `Result`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot refuse a session",
    label = "expected a `StatusCode`",
    note = "implement `capnweb::webtransport::Refusal` for an error type of your own"
)]
pub trait Refusal: Send {
    /// Returns the status to refuse the client with.
    fn status(&self) -> StatusCode;
}

impl Refusal for StatusCode {
    fn status(&self) -> StatusCode {
        *self
    }
}

impl Refusal for Infallible {
    fn status(&self) -> StatusCode {
        match *self {}
    }
}

/// A factory of any kind.
pub(super) type Factory = Box<dyn Fn(Request) -> Making + Send + Sync>;

type Making = Pin<Box<dyn Future<Output = Result<Stub, StatusCode>> + Send>>;

/// Hides the type of a factory.
pub(super) fn erase<R, K>(factory: impl Fn(Request) -> R + Send + Sync + 'static) -> Factory
where
    R: IntoMain<K, Refusal: Refusal> + 'static,
    K: 'static,
{
    Box::new(move |request| {
        let making = factory(request).into_main();
        Box::pin(async move { making.await.map_err(|refusal| refusal.status()) })
    })
}
