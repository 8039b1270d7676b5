//! What JavaScript's `fetch` deals in: headers, requests, responses and blobs, as types of the crate
//! [`http`](https://docs.rs/http).
//!
//! Each is a value like any other: an argument, a result, a field. Bodies stream, so that neither side has to hold one
//! as a whole, and the reader's pace is the writer's.
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
//! Both speak `http` as well. A request or response of theirs becomes one of these by `From`, since any
//! [`http_body::Body`] can be a [`Body`]; and [`Body`] is one in turn, so that the other way is
//! `request.into_inner().map(axum::body::Body::new)`, or `.map(reqwest::Body::wrap)`. What axum has as a handler's
//! response can be any `http::Response`, so there it is `response.into_inner()` and nothing more.
//!
//! # What JavaScript adds and lacks
//!
//! A request's URL is absolute: see [`Request::against`]. Requests by GET or HEAD have no body, and some statuses have none
//! either (204, 205, 304); JavaScript cannot make objects that say otherwise, so such a request fails before it is
//! sent, and a body of such a response is left out. What a JavaScript request says of caches, credentials, redirects
//! and the like has no place in `http`, and is passed over. HTTP versions and extensions stay here, but for
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
