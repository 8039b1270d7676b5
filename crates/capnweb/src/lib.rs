//! Cap'n Web for Rust: object-capability RPC with promise pipelining, with JavaScript or Rust at
//! the other end.
//!
//! A server offers an object. A client calls its methods, receives further objects, and passes
//! objects and callbacks of its own. It also makes calls on results that have not arrived yet, so a
//! chain of dependent calls takes one round trip. The protocol is that of the TypeScript library
//! `capnweb`. This is an independent implementation, not an official Cloudflare project.
//!
//! # A server
//!
//! ```no_run
//! use axum::Router;
//! use capnweb::Result;
//!
//! #[capnweb::interface]
//! pub trait Greeter {
//!     async fn greet(&self, name: String) -> Result<String>;
//! }
//!
//! struct Server;
//!
//! impl Greeter for Server {
//!     async fn greet(&self, name: String) -> Result<String> {
//!         Ok(format!("Hello, {name}!"))
//!     }
//! }
//!
//! #[tokio::main]
//! async fn main() -> std::io::Result<()> {
//!     let app = Router::new().route("/api", capnweb::axum::rpc(|| GreeterStub::new(Server)));
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
//!     capnweb::axum::serve(listener, app).await
//! }
//! ```
//!
//! # A client
//!
//! ```no_run
//! use capnweb::Result;
//!
//! #[capnweb::interface]
//! pub trait Greeter {
//!     async fn greet(&self, name: String) -> Result<String>;
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<()> {
//!     let api: GreeterStub = capnweb::ws::connect("ws://127.0.0.1:8080/api").await?;
//!     println!("{}", api.greet("Ada").await?);
//!     Ok(())
//! }
//! ```
//!
//! # Overview
//!
//! - Types: [`macro@interface`] for objects, [`macro@value`] for data, [`Callback`] for functions.
//! - Results: [`Promise`] and [`Error`]. [`Accepts`] lists the arguments that each parameter type
//!   accepts. [`Context`] provides a handler with the context of its call.
//! - Without types: [`Stub`] and [`Value`], [`Payload`] for undecoded values, [`Object`] for
//!   objects made of closures, and [`Target`] for any other objects.
//! - Serving: [`axum`]. Connecting: [`ws`], or [`http`] for a whole exchange in one request. Both
//!   over plain byte streams: [`tcp`], [`unix`], [`stdio`], [`lines`]. Both over HTTP/3:
//!   [`webtransport`].
//! - Connecting again: [`Client`] and [`client`], a client that outlives its sessions.
//! - Underneath: [`Session`], [`Connection`], [`Transport`], [`Limits`].
//!
//! # Features
//!
//! | feature | what it adds | default |
//! |---|---|---|
//! | `ws` | [`ws`]: the WebSocket client | yes |
//! | `reconnect` | [`Client`], [`client`]: clients that outlive their sessions, over the enabled transports | no |
//! | `tls` | `wss:` and `https:` addresses in the clients | yes |
//! | `http` | [`http`]: the client for HTTP batches | no |
//! | `axum` | [`axum`]: the server for WebSocket and HTTP batches | no |
//! | `http2` | HTTP/2 in [`axum::serve`](axum::serve()), including WebSockets over HTTP/2 | no |
//! | `webtransport` | [`webtransport`]: client and server over HTTP/3 | no |
//! | `chrono`, `jiff`, `serde_json`, `uuid` | promises and parameters of these crates' types | no |
//! | `time` | [`Date`] and [`AsDate`] for this crate's types; `chrono` and `jiff` bring the same | no |
//! | `fetch` | [`fetch`]: requests, responses, headers and blobs as values | no |
//! | `server-tls` | [`axum::TlsListener`]: TLS in front of the server | no |
//! | `message-pack` | [`Encoding`]`::MessagePack`: messages as MessagePack | no |
//! | `describe` | TypeScript declarations: [`typescript`]; JSON Schemas: [`json_schema`]; the same as data: [`mod@describe`] | no |
//! | `tcp` | [`tcp`]: both ends over TCP, a message a line | no |
//! | `unix` | [`unix`]: the same over Unix sockets | no |
//! | `stdio` | [`stdio`]: the same with a child process, or as one | no |

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "axum")]
pub mod axum;
#[cfg(any(feature = "stdio", feature = "tcp", all(feature = "unix", unix)))]
pub mod lines;
#[cfg(feature = "stdio")]
pub mod stdio;
#[cfg(feature = "tcp")]
pub mod tcp;
#[cfg(all(feature = "unix", unix))]
pub mod unix;

#[doc(hidden)]
pub use capnweb_core::macro_support;
pub use capnweb_core::{
    Accepts, Answer, ArgsWriter, AsDate, BadLength, BigInt, Binary, BrokenGuard, ByteBudget,
    ByteCharge, ByteStream, Bytes, Call, CallArgs, Callback, ConnectFailure, Connection, Container,
    Context, Date, Driver, Element, Encoding, EndCause, Error, FramesTransport, FromCall, Function,
    Get, Handler, IntoChunk, IntoMain, Json, KeepAlive, Lag, Limit, Limits, LinesTransport,
    ListPipeline, MapOutput, MapPipeline, MethodError, NoPipeline, NonList, Null, Object,
    OptionPipeline, OrInternal, Outgoing, PairTransport, Parameter, Payload, PeerVersion,
    Pipelined, Progress, Promise, PromiseFuture, Property, Published, Readable, Received, Result,
    ReturnValue, Session, SessionEnd, SessionOptions, Stats, Step, StreamSink, Stub, StubType,
    SubscriberGuard, Subscribers, SyncHandler, Target, Transport, TypedArray, TypedPipeline,
    Undefined, Url, Value, WeakSession, WireType, Writable, date, join_all, lasting, pair, pipe,
};

pub use capnweb_macros::{Describe, error, interface, value};
#[cfg(any(
    feature = "axum",
    feature = "tcp",
    all(feature = "unix", unix),
    feature = "webtransport"
))]
pub use capnweb_net::{
    Drain, Drained, ServerFull, ServerLimits, Sessions, TrackedSession, TransportKind,
};

// A macro, and with the feature a module.
#[cfg(feature = "reconnect")]
#[doc(inline)]
pub use capnweb_client as client;
#[cfg(all(feature = "reconnect", feature = "http"))]
pub use capnweb_client::BatchClient;
#[cfg(feature = "reconnect")]
pub use capnweb_client::{Backoff, Client, Pool, Resume, Retry, WhileDown};
#[doc(inline)]
pub use capnweb_core::describe;
#[cfg(feature = "fetch")]
#[doc(inline)]
pub use capnweb_core::fetch;
#[cfg(feature = "describe")]
#[doc(inline)]
pub use capnweb_core::{json_schema, typescript};
#[cfg(any(feature = "http", feature = "axum"))]
#[doc(inline)]
pub use capnweb_transport_http as http;
#[cfg(feature = "webtransport")]
#[doc(inline)]
pub use capnweb_transport_webtransport as webtransport;
#[cfg(any(feature = "ws", feature = "axum"))]
#[doc(inline)]
pub use capnweb_transport_ws as ws;

/// The items that most programs need: `use capnweb::prelude::*`.
pub mod prelude {
    pub use capnweb_core::{
        Callback, Context, Error, OrInternal, Promise, Result, Stub, StubType, Value,
    };
    pub use capnweb_macros::{interface, value};
}
