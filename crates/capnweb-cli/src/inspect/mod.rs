//! Looking at sessions of others: the proxy, what it feeds, and the views of that.

pub(crate) mod compare;
pub(crate) mod feed;
pub(crate) mod frames;
pub(crate) mod proxy;
#[cfg(feature = "tui")]
pub(crate) mod tui;
pub(crate) mod upstream;
pub(crate) mod view;
pub(crate) mod web;

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::{Response, StatusCode, header};

/// The body of an answer of this program.
pub(crate) type Body = BoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// Returns a body that is there as a whole.
pub(crate) fn whole(content: impl Into<Bytes>) -> Body {
    Full::new(content.into())
        .map_err(|never: Infallible| match never {})
        .boxed()
}

/// Returns an answer in words.
pub(crate) fn answer(status: StatusCode, text: impl Into<String>) -> Response<Body> {
    let mut response = Response::new(whole(text.into()));
    *response.status_mut() = status;
    let plain = header::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}
