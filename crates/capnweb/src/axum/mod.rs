//! Serving objects with the web framework [axum](https://docs.rs/axum): HTTP batches and WebSockets
//! on one route.
//!
//! ```
//! use axum::Router;
//! use capnweb::Object;
//!
//! // Makes the main object for each connection and each batch.
//! let app: Router = Router::new().route("/api", capnweb::axum::rpc(|| {
//!     Object::new().method("add", |a: f64, b: f64| async move { Ok(a + b) }).into_stub()
//! }));
//! ```
//!
//! A POST is a batch, and a request for an upgrade is a WebSocket. Anything else is answered with
//! 405. Over HTTP/2, an extended CONNECT is a WebSocket too.
//!
//! The factory runs once per connection or batch. Share state through an [`Arc`](std::sync::Arc):
//! an interface that is implemented for `T` is also implemented for `Arc<T>`.
//!
//! ```
//! use std::sync::{Arc, atomic::{AtomicU32, Ordering}};
//! use capnweb::Result;
//!
//! #[capnweb::interface]
//! trait Counter {
//!     fn increment(&self) -> Result<u32>;
//! }
//!
//! #[derive(Default)]
//! struct Shared(AtomicU32);
//!
//! impl Counter for Shared {
//!     fn increment(&self) -> Result<u32> {
//!         Ok(self.0.fetch_add(1, Ordering::Relaxed) + 1)
//!     }
//! }
//!
//! let counter = Arc::new(Shared::default());
//! let app: axum::Router = axum::Router::new()
//!     .route("/api", capnweb::axum::rpc(move || CounterStub::new(counter.clone())));
//! ```
//!
//! # Parameters of the factory
//!
//! The factory is a closure like an axum handler: its parameters are extractors, including
//! [`Peer`], the client's main object. It may be async, and it may refuse the client:
//!
//! ```
//! use axum::{Router, extract::State, http::{HeaderMap, StatusCode}};
//! use capnweb::{Object, Stub, axum::Peer};
//!
//! #[derive(Clone)]
//! struct App {
//!     token: &'static str,
//! }
//!
//! async fn connect(
//!     State(app): State<App>,
//!     headers: HeaderMap,
//!     Peer(client): Peer,
//! ) -> Result<Stub, StatusCode> {
//!     match headers.get("authorization") {
//!         Some(token) if token == app.token => {
//!             Ok(Object::new().property("you", client).into_stub())
//!         }
//!         _ => Err(StatusCode::UNAUTHORIZED),
//!     }
//! }
//!
//! let app: Router = Router::new()
//!     .route("/api", capnweb::axum::rpc(connect))
//!     .with_state(App { token: "Bearer 1234" });
//! ```
//!
//! # Browsers
//!
//! Pages of other origins can read the responses to batches only if [`Rpc::allow_origin`] permits
//! it. But any page can open a WebSocket or send a batch, and the browser adds its cookies for this
//! server. So a server that relies on cookies must list the pages that may connect: see
//! [`Rpc::only_from_origins`]. This is not necessary if clients present a token in a call, as in
//! the examples.

#[cfg(feature = "describe")]
mod describe;
mod factory;
mod guarded_body;
mod health;
mod idle;
#[cfg(feature = "prometheus")]
mod prometheus;
mod rpc;
mod serve;
mod shutdown;
#[cfg(feature = "server-tls")]
mod tls;

#[cfg(feature = "describe")]
pub use self::describe::describe;
#[cfg(feature = "prometheus")]
pub use self::prometheus::{Prometheus, monitoring};
#[cfg(feature = "server-tls")]
pub use self::tls::TlsListener;
pub use self::{
    factory::{Factory, Peer, Subprotocol, Tracked},
    health::health,
    rpc::{Rpc, rpc},
    serve::{Accepted, Serve, serve, serve_with_shutdown},
    shutdown::shutdown_signal,
};
pub use capnweb_net::{InvalidOrigin, Origins};
