//! Cap'n Web over WebSocket.
//!
//! - A client: [`connect`] is enough for most; [`Connect`] has the options.
//! - A server for [axum](https://docs.rs/axum): the extractor [`Upgrade`]. Most servers take the
//!   handler of the `capnweb` crate instead, which answers HTTP batches on the same route.
//! - [`WebSocketTransport`], which both stand on, over any byte stream that has been through a
//!   WebSocket handshake: for HTTP servers other than axum.
//!
//! # On the wire
//!
//! One text frame carries one message. We also read binary frames that hold UTF-8 text, and several
//! messages in a frame, a line each. A session that ends with an error closes with code 3000 and
//! the reason, and one that ends well with 1000.
//!
//! Both ends can agree on another [`Encoding`](capnweb_core::Encoding), which goes in binary
//! frames.
//!
//! # Memory and speed
//!
//! A connection that is idle holds no buffer. A server reads up to 32 KiB at a time, a client 8
//! KiB. Short messages that were read together are copied once, together; longer ones are lent
//! without a copy. Messages that are ready are written together, up to 64 KiB at a time, with one
//! flush. The size of an incoming message is bounded by [`Limits`](capnweb_core::Limits), before it
//! is read.
//!
//! Both sides send pings, as [`KeepAlive`](capnweb_core::KeepAlive) says.
//! `TCP_NODELAY` and keep-alive are set on every TCP socket that is dialed or accepted.
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `client` | [`connect`] and [`Connect`] |
//! | `server` | [`Upgrade`] |
//! | `message-pack` | messages as MessagePack in binary frames, where both ends say so |
//! | `tls` | `wss:` addresses, by rustls with ring as its only crypto provider |
//!
//! All but `message-pack` are on by default.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod close;
mod frame;
mod lines;
mod transport;

#[cfg(feature = "client")]
mod client;
#[cfg(feature = "server")]
mod server;
#[cfg(all(feature = "client", feature = "tls"))]
mod tls;

#[cfg(feature = "client")]
pub use self::client::{Connect, connect};
#[cfg(feature = "server")]
pub use self::server::{Upgrade, UpgradeRejection, Upgraded};
pub use self::transport::WebSocketTransport;

/// The TLS library, for [`Connect::tls_config`].
#[cfg(all(feature = "client", feature = "tls"))]
#[doc(no_inline)]
pub use rustls;
