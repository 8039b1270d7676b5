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
//! - Results: [`Promise`] and [`Error`]. [`Accepts`](typed::Accepts) lists the arguments that
//!   each parameter type accepts. [`Context`] provides a handler with the context of its call.
//! - Without types: [`Stub`] and [`Value`], [`Payload`] for undecoded values, [`Object`] for
//!   objects made of closures, and [`target`] for any other objects.
//! - Serving: [`axum`]. Connecting: [`ws`], or [`http`] for a whole exchange in one request. Both
//!   over plain byte streams: [`tcp`], [`unix`], [`stdio`], [`lines`]. Both over HTTP/3:
//!   [`webtransport`].
//! - Reconnecting: [`Client`] and [`client`], a client that outlives its sessions.
//! - Streams: [`stream`]. Details of types: [`typed`].
//! - Underneath: [`Session`], [`Limits`], [`transport`].
//!
//! # Features
//!
//! | feature | adds | default |
//! |---|---|---|
//! | `ws` | [`ws`]: the WebSocket client | yes |
//! | `cluster` | [`cluster`]: objects with names that live on one node of a cluster | no |
//! | `nats` | `cluster::Nats`: a cluster on NATS | no |
//! | `postgres` | `cluster::Postgres`: the directory of a cluster in PostgreSQL | no |
//! | `reconnect` | [`Client`], [`client`]: clients that outlive their sessions, over the enabled transports | no |
//! | `tls` | `wss:` and `https:` addresses in the clients | yes |
//! | `http` | [`http`]: the client for HTTP batches | no |
//! | `axum` | [`axum`]: the server for WebSocket and HTTP batches | no |
//! | `http2` | HTTP/2 in [`axum::serve`](axum::serve()), including WebSockets over HTTP/2 | no |
//! | `webtransport` | [`webtransport`]: client and server over HTTP/3 | no |
//! | `chrono`, `jiff`, `serde_json`, `uuid` | promises and parameters of these crates' types | no |
//! | `time` | [`Date`] and [`AsDate`](typed::AsDate) for this crate's types; `chrono` and `jiff` add the same for theirs | no |
//! | `fetch` | [`fetch`]: requests, responses, headers and blobs as values | no |
//! | `server-tls` | [`axum::TlsListener`]: TLS in front of the server | no |
//! | `metrics` | [`Metrics`]: metrics of sessions for the crate `metrics` | no |
//! | `prometheus` | [`axum::Prometheus`]: the same in the text format of Prometheus, on a route | no |
//! | `opentelemetry` | the context of traces in the headers of WebSockets and batches | no |
//! | `message-pack` | [`Encoding`]`::MessagePack`: messages as MessagePack | no |
//! | `describe` | TypeScript declarations: [`typescript`]; JSON Schemas: [`json_schema`]; the same as data: [`mod@describe`] | no |
//! | `tcp` | [`tcp`]: both ends over TCP, one message per line | no |
//! | `unix` | [`unix`]: the same over Unix sockets | no |
//! | `stdio` | [`stdio`]: the same with a child process, or as one | no |
//! | `web` | `web`: the transports of browsers, Node and Workers, on `wasm32-unknown-unknown`; the native ones are not there. With `reconnect`, [`Client`] uses them | no |
//! | `worker` | `worker`: the server in Cloudflare Workers, on the same target | no |

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(all(feature = "axum", not(target_family = "wasm")))]
pub mod axum;
#[cfg(all(
    any(feature = "stdio", feature = "tcp", all(feature = "unix", unix)),
    not(target_family = "wasm")
))]
pub mod lines;
#[cfg(all(feature = "stdio", not(target_family = "wasm")))]
pub mod stdio;
#[cfg(all(feature = "tcp", not(target_family = "wasm")))]
pub mod tcp;
#[cfg(all(feature = "unix", unix))]
pub mod unix;

#[doc(hidden)]
pub use capnweb_core::macro_support;
pub use capnweb_core::{
    BigInt, BrokenGuard, Bytes, Callback, ConnectFailure, Context, Date, Encoding, EndCause, Error,
    IntoMain, KeepAlive, Lag, Limit, Limits, MethodError, Null, Object, OrInternal, Payload,
    PeerVersion, Promise, PromiseFuture, Published, Result, Session, SessionEnd, SessionOptions,
    Stats, Stub, StubType, SubscriberGuard, Subscribers, Undefined, Url, Value, WeakSession, date,
    handoff, join_all, lasting, pair,
};

pub use capnweb_macros::{Describe, error, interface, value};
#[cfg(all(
    any(
        feature = "axum",
        feature = "tcp",
        all(feature = "unix", unix),
        feature = "webtransport"
    ),
    not(target_family = "wasm")
))]
pub use capnweb_net::{
    Drain, Drained, ServerFull, ServerLimits, Sessions, SessionsEnd, TrackedSession, TransportKind,
};

#[cfg(feature = "metrics")]
pub use capnweb_net::Metrics;

#[cfg(feature = "opentelemetry")]
pub use capnweb_net::OpenTelemetryPropagator;

// This is a macro, and with the feature also a module.
#[cfg(feature = "reconnect")]
#[doc(inline)]
pub use capnweb_client as client;
#[cfg(all(
    feature = "reconnect",
    any(
        all(feature = "http", not(target_family = "wasm")),
        all(feature = "web", target_family = "wasm", target_os = "unknown")
    )
))]
pub use capnweb_client::BatchClient;
#[cfg(feature = "reconnect")]
pub use capnweb_client::{Backoff, Client, Pool, Resume, Retry, WhileDown};
#[cfg(all(feature = "cluster", not(target_family = "wasm")))]
#[doc(inline)]
pub use capnweb_cluster as cluster;
#[doc(inline)]
pub use capnweb_core::describe;
#[cfg(feature = "fetch")]
#[doc(inline)]
pub use capnweb_core::fetch;
#[cfg(feature = "describe")]
#[doc(inline)]
pub use capnweb_core::{json_schema, typescript};
#[cfg(all(any(feature = "http", feature = "axum"), not(target_family = "wasm")))]
#[doc(inline)]
pub use capnweb_transport_http as http;
#[cfg(all(feature = "web", target_family = "wasm", target_os = "unknown"))]
#[doc(inline)]
pub use capnweb_transport_web as web;
#[cfg(all(feature = "webtransport", not(target_family = "wasm")))]
#[doc(inline)]
pub use capnweb_transport_webtransport as webtransport;
#[cfg(all(any(feature = "ws", feature = "axum"), not(target_family = "wasm")))]
#[doc(inline)]
pub use capnweb_transport_ws as ws;
#[cfg(all(feature = "worker", target_family = "wasm", target_os = "unknown"))]
#[doc(inline)]
pub use capnweb_worker as worker;

/// Objects that answer calls themselves, without an interface.
///
/// Implement [`Target`](target::Target) for an object whose methods are known only when it is
/// called, such as one that forwards calls elsewhere. [`Object`] makes one of closures.
pub mod target {
    #[doc(inline)]
    pub use capnweb_core::{
        Answer, Call, CallArgs, FromCall, Function, Get, Handler, Property, SyncHandler, Target,
    };
}

/// Streams in calls: bytes and values, readable and writable.
pub mod stream {
    #[doc(inline)]
    pub use capnweb_core::{ByteStream, IntoChunk, Readable, Writable, pipe};
}

/// Observers and interceptors of calls, for metrics, audits, authentication and rate limits.
pub mod observe {
    #[doc(inline)]
    pub use capnweb_core::{
        CallInfo, CallKind, CallOutcome, Direction, InterceptedCall, Interceptor, MessageInfo,
        Observer, SessionInfo, SessionRole, TracePropagator, Verdict,
    };
}

/// Sessions over any connection: the state of a session, its driver and the transports.
///
/// Programs that use this crate's clients and servers need none of this. To run a session over a
/// byte stream, use [`LinesTransport`](transport::LinesTransport) or
/// [`FramesTransport`](transport::FramesTransport). For everything else, implement
/// [`Transport`](transport::Transport).
pub mod transport {
    #[doc(inline)]
    pub use capnweb_core::{
        Attachment, BufferPool, ByteBudget, ByteCharge, Connection, Driver, FramesTransport,
        LinesTransport, LongBytes, MessageBody, Outgoing, PairTransport, Progress, Received,
        StreamSink, Transport, Utf8Check,
    };
}

/// The types behind typed calls: accepted arguments, pipelines of results, and wrappers that choose
/// how a value travels.
pub mod typed {
    #[doc(inline)]
    pub use capnweb_core::{
        Accepts, ArgsWriter, AsDate, BadLength, Binary, Container, Element, Json, ListPipeline,
        MapOutput, MapPipeline, NoPipeline, NonList, OptionPipeline, Parameter, Pipelined,
        ReturnValue, Step, TypedArray, TypedPipeline, WireType,
    };
}

/// The items that most programs need: `use capnweb::prelude::*`.
pub mod prelude {
    pub use capnweb_core::{
        Callback, Context, Error, OrInternal, Promise, Result, Stub, StubType, Value,
    };
    pub use capnweb_macros::{interface, value};
}
