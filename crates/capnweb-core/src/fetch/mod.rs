//! The types of JavaScript's `fetch`: headers, requests, responses and blobs, based on the crate
//! [`http`](https://docs.rs/http).
//!
//! Each of them is a value like any other: an argument, a result or a field. Bodies are streamed.
//! Neither side has to hold a whole body, and the reader sets the pace.
//!
//! ```
//! use capnweb::{Object, Result, fetch::{Request, Response}};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
//! let api = Object::new()
//!     .method("fetch", |request: Request| async move {
//!         let name = request.body().text(1000).await?;
//!         Ok(Response::from(http::Response::new(format!("Hello, {name}!"))))
//!     })
//!     .into_stub();
//!
//! let request = http::Request::post("https://example.com/greet").body("Ada".to_owned()).unwrap();
//! let response = api.call("fetch", (Request::from(request),)).fetch::<Response>().await?;
//! assert_eq!(response.status(), 200);
//! assert_eq!(response.body().text(1000).await?, "Hello, Ada!");
//! # Ok(()) }
//! ```
//!
//! # axum and reqwest
//!
//! Both libraries use `http` as well. Their requests and responses convert with `From`, since any
//! [`http_body::Body`] converts into a [`Body`]. In the other direction, use
//! `request.into_inner().map(axum::body::Body::new)` or `.map(reqwest::Body::wrap)`, since [`Body`]
//! implements the trait itself. An axum handler can return any `http::Response`, so there
//! `response.into_inner()` is enough.
//!
//! # Differences from JavaScript
//!
//! A request's URL is absolute: see [`Request::against`]. Requests by GET or HEAD have no body, and
//! neither do responses of some statuses (204, 205, 304). JavaScript cannot represent such objects
//! with a body. So such a request fails before it is sent, and such a response is sent without its
//! body. Options of JavaScript requests about caches, credentials, redirects and the like have no
//! counterpart in `http`, and are ignored. HTTP versions and extensions are not sent, except for
//! [`StatusText`].

mod blob;
mod body;
mod form;
mod headers;
mod parameter;
mod request;
mod response;

pub use crate::fetch::{
    blob::Blob,
    body::Body,
    headers::Headers,
    request::Request,
    response::{Response, StatusText},
};
