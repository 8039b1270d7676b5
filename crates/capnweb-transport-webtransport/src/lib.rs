//! Cap'n Web over WebTransport, which is HTTP/3 over QUIC over UDP.
//!
//! - Clients: use [`connect`], or [`Connect`] for more options.
//! - Servers: use [`Server`], with a factory for each path that makes the main object of a session.
//! - [`Identity`] is the server's certificate, which WebTransport requires. For development it
//!   creates certificates that browsers accept by their [`CertificateHash`].
//!
//! Browsers connect with a small module for the TypeScript library `capnweb`, which is part of this
//! project: see the book's page on WebTransport.
//!
//! # On the wire
//!
//! A session is one WebTransport session with one bidirectional stream, which the client opens. The
//! stream carries one message per line, in both directions. CRLF, blank lines, and a last line
//! without its newline are accepted. The server opens no streams itself, and rejects further
//! streams of the client. A session reports the reason for its end in its last message; then the
//! stream ends, and the connection is closed.
//!
//! The client may open the stream before the server has accepted the session. Datagrams are neither
//! sent nor read.
//!
//! # Memory
//!
//! The size of a message is bounded by [`Limits`](capnweb_core::Limits). Bytes that have arrived
//! and are not read yet are bounded by the windows of QUIC: 4 MiB per stream and 6 MiB per
//! connection. A [`Server`] bounds its sessions, the connections that have no session yet, and the
//! time that they may take to open one.
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `client` | [`connect`] and [`Connect`] |
//! | `server` | [`Server`] and [`Identity`] |
//! | `self-signed` | [`Identity::self_signed`]: certificates for development |
//!
//! All are on by default. TLS is provided by rustls, with ring as its only crypto provider.

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
