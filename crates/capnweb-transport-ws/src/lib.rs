//! Cap'n Web over WebSocket.
//!
//! - Clients: use [`connect`], or [`Connect`] for more options.
//! - Servers on [axum](https://docs.rs/axum): use the extractor [`Upgrade`]. Most servers use the
//!   handler of the `capnweb` crate instead, which also answers HTTP batches on the same route.
//! - Other HTTP servers: use [`WebSocketTransport`], the basis of both, over any byte stream after
//!   a WebSocket handshake.
//!
//! # On the wire
//!
//! A text frame carries one message. Binary frames of UTF-8 text, and frames with several messages
//! as lines, are also accepted. A session that ends with an error closes with code 3000 and the
//! reason, and one that ends normally with 1000.
//!
//! Both ends can agree on another [`Encoding`](capnweb_core::Encoding), which is sent in binary
//! frames.
//!
//! # Memory and speed
//!
//! An idle connection holds no buffer. A server reads up to 32 KiB at a time, a client 8 KiB. Short
//! messages that were read together are copied once, together; longer ones are lent without a copy.
//! Messages that are ready are written together, up to 64 KiB at a time, with one flush. The size
//! of an incoming message is checked against [`Limits`](capnweb_core::Limits) before it is read.
//!
//! Both sides send pings, as configured by [`KeepAlive`](capnweb_core::KeepAlive). `TCP_NODELAY`
//! and keep-alive are set on every TCP socket that is dialed or accepted.
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `client` | [`connect`] and [`Connect`] |
//! | `server` | [`Upgrade`] |
//! | `message-pack` | messages as MessagePack in binary frames, if both ends select it |
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
