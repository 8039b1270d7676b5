//! Cap'n Web over WebTransport, which is HTTP/3 over QUIC over UDP.
//!
//! - A client: [`connect`] is enough for most; [`Connect`] has the options.
//! - A server: [`Server`], with a factory for each path that makes a session's main object.
//! - [`Identity`] is the certificate that the server shows; WebTransport has no form without one.
//!   For development it makes one that browsers accept by its [`CertificateHash`].
//!
//! Browsers connect with a small module for the TypeScript library `capnweb`, which is part of this
//! project: see the book's page on WebTransport.
//!
//! # On the wire
//!
//! A session is one WebTransport session with one bidirectional stream, which the client opens. The
//! stream carries a message a line, in both directions. We read CRLF, blank lines, and a last line
//! without its newline too. The server opens no stream itself and turns others of the client's
//! away. A session that ends says why with its last message; then the stream ends, and the
//! connection is closed.
//!
//! The stream may come before the server has accepted the session. Datagrams are neither sent nor
//! read.
//!
//! # Memory
//!
//! The size of a message is bounded by [`Limits`](capnweb_core::Limits). Bytes that have arrived
//! and are not read yet are bounded by the windows of QUIC: 4 MiB a stream and 6 MiB a connection.
//! A [`Server`] bounds its sessions, the connections that are on the way to one, and the time that
//! they have.
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `client` | [`connect`] and [`Connect`] |
//! | `server` | [`Server`] and [`Identity`] |
//! | `self-signed` | [`Identity::self_signed`]: certificates for development |
//!
//! All are on by default. TLS is rustls with ring as its only crypto provider.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod hash;
#[cfg(any(feature = "client", feature = "server"))]
mod quic;
#[cfg(any(feature = "client", feature = "server"))]
mod stream;
#[cfg(any(feature = "client", feature = "server"))]
mod transport;

#[cfg(feature = "client")]
mod client;
#[cfg(feature = "server")]
mod identity;
#[cfg(feature = "server")]
mod server;

#[cfg(feature = "client")]
pub use self::client::{Connect, connect};
pub use self::hash::{CertificateHash, InvalidHash};
#[cfg(feature = "server")]
pub use self::{
    identity::Identity,
    server::{Listener, Refusal, Reloader, Request, Server},
};
#[cfg(feature = "server")]
pub use capnweb_net::{
    Drain, Drained, InvalidOrigin, Origins, ServerFull, ServerLimits, Sessions, TrackedSession,
    TransportKind,
};

/// HTTP's types: headers of a [`Request`], statuses to refuse it with.
#[cfg(feature = "server")]
#[doc(no_inline)]
pub use http;
/// The TLS library, for [`Connect::roots`] and [`Identity::from_der`].
#[cfg(any(feature = "client", feature = "server"))]
#[doc(no_inline)]
pub use rustls;
