//! Cap'n Web sessions: stubs, promises, pipelining and `map`, over any transport.
//!
//! A [`Session`] connects two peers, and each can hold references to the other's objects. A
//! [`Stub`] is such a reference. Calling it returns a [`Promise`] at once. A promise can itself be
//! called or passed as an argument, so calls that depend on one another take one round trip.
//!
//! ```
//! use capnweb::{Object, Result, Session, SessionOptions, pair};
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
//! crate, which includes transports.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod api;
#[cfg(feature = "describe")]
pub mod describe;
mod driver;
#[cfg(feature = "fetch")]
pub mod fetch;
mod graph;
mod limits;

#[doc(inline)]
pub use crate::api::{handoff, lasting};
mod outgoing;
#[doc(hidden)]
pub mod runtime;
mod session;
mod transport;
mod typed;
mod url;
mod util;

#[cfg(feature = "describe")]
#[doc(inline)]
pub use crate::describe::{json_schema, typescript};
#[doc(hidden)]
pub use crate::typed::macro_support;
pub use bytes::Bytes;
pub use capnweb_wire::{
    BadLength, BigInt, Binary, Container, Date, Element, Step, TypedArray, Undefined,
};
#[doc(hidden)]
pub use capnweb_wire::{InSeconds, invariant};

/// A long byte string that travels alongside the text of a message.
pub type Attachment = capnweb_wire::Attachment<Bytes>;

pub use crate::{
    api::{
        args::{ArgsWriter, CallArgs},
        into_main::IntoMain,
        join_all::join_all,
        null::Null,
        object::{FromCall, Handler, Object, SyncHandler},
        promise::{Pipelined, Promise, PromiseFuture, StubType},
        session::{Session, Stats, WeakSession},
        stub::Stub,
        subscribers::{Lag, Published, SubscriberGuard, Subscribers},
        value::Value,
    },
    driver::Driver,
    graph::{
        connect_failure::ConnectFailure,
        engine::{
            context::Context,
            target::{Answer, Call, Get, Property, Target},
        },
        error::{Error, OrInternal, Result},
        intercept::{InterceptedCall, Interceptor, Verdict},
        observe::{
            CallInfo, CallKind, CallOutcome, Direction, MessageInfo, Observer, SessionInfo,
            SessionRole,
        },
        on_broken::BrokenGuard,
        payload::Payload,
        propagate::TracePropagator,
        session_end::{EndCause, SessionEnd},
    },
    limits::{Limit, Limits},
    outgoing::Outgoing,
    session::{Connection, KeepAlive, PeerVersion, SessionOptions},
    transport::{
        Encoding, FramesTransport, LinesTransport, MessageBody, PairTransport, Progress, Received,
        StreamSink, Transport, pair,
    },
    typed::{
        Accepts, AsDate, Callback, Function, Json, ListPipeline, MapOutput, MapPipeline,
        MethodError, NoPipeline, NonList, OptionPipeline, Parameter, ReturnValue, TypedPipeline,
        WireType, date,
        stream::{ByteStream, IntoChunk, Readable, Writable, pipe},
    },
    url::Url,
    util::{
        buffer_pool::BufferPool,
        byte_budget::{ByteBudget, ByteCharge},
        long_bytes::{LongBytes, Utf8Check},
    },
};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
