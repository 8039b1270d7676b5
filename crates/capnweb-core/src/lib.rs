//! Cap'n Web sessions: stubs, promises, pipelining and `map`, over any transport.
//!
//! A [`Session`] connects two peers, and each can hold references to the other's objects. A [`Stub`]
//! is such a reference; calling it gives a [`Promise`] at once, which can itself be called or passed
//! as an argument, so that calls that depend on one another take one round trip.
//!
//! ```
//! use capnweb_core::{Object, Result, Session, SessionOptions, pair};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
//! // A server and a client, connected within this process.
//! let (left, right) = pair();
//! let (_, mut connection) = Session::server(SessionOptions::new());
//! connection.set_main(
//!     Object::new()
//!         .method("add", |a: f64, b: f64| async move { Ok(a + b) })
//!         .method("square", |n: f64| async move { Ok(n * n) })
//!         .into_stub(),
//! );
//! tokio::spawn(connection.drive(left));
//! let (session, connection) = Session::client(SessionOptions::new());
//! tokio::spawn(connection.drive(right));
//!
//! // Two calls, the second on the first one's result, in one round trip.
//! let api = session.main();
//! let sum = api.call("add", (1, 2));
//! assert_eq!(api.call("square", (sum,)).fetch::<f64>().await?, 9.0);
//! # Ok(()) }
//! ```
//!
//! This crate has no sockets: a [`Transport`] moves the messages. Most users want the `capnweb`
//! crate, which brings transports along.

mod args;
mod asked;
mod broken;
mod circle;
mod context;
mod deferred;
mod deliver;
mod driver;
mod error;
mod evaluate;
#[cfg(feature = "fetch")]
pub mod fetch;
mod handler;
mod hook;
mod interest;
mod join_all;
mod local;
mod map;
mod object;
mod payload;
mod perform;
mod promise;
mod runner;
mod session;
mod stream;
mod stub;
mod target;
mod thrown;
mod transport;
mod typed;
mod url;
mod value;
mod work;

#[doc(hidden)]
pub use crate::typed::macro_support;
pub use bytes::Bytes;
pub use capnweb_wire::{
    BadLength, BigInt, Binary, Container, Date, Element, Step, TypedArray, Undefined,
};

/// A long byte string beside the text of a message.
pub type Attachment = capnweb_wire::Attachment<Bytes>;

pub use crate::{
    args::{ArgsWriter, CallArgs},
    broken::BrokenGuard,
    context::Context,
    driver::Driver,
    error::{Error, OrInternal, Result},
    join_all::join_all,
    object::{FromCall, Handler, Object, SyncHandler},
    payload::Payload,
    promise::{FromStub, Pipelined, Promise, Pull},
    session::{Connection, Limits, Outgoing, Session, SessionOptions, Stats},
    stream::{ByteStream, IntoChunk, Readable, Writable, pipe},
    stub::Stub,
    target::{Answer, Call, Get, Property, Target},
    transport::{
        Encoding, FramesTransport, LinesTransport, MessageBody, PairTransport, Received,
        SpareBuffers, StreamSink, Transport, pair,
    },
    typed::{
        Accepts, AsDate, Callback, Data, Function, Json, ListPipeline, MapOutput, MapPipeline,
        MethodError, Opaque, OptionPipeline, Parameter, Returned, Single, TypedPipeline, date,
    },
    url::Url,
    value::Value,
};
