//! Cap'n Web in HTTP batches: all calls of a session in one POST, all answers in its response.
//!
//! - A client: [`batch`] is enough for most; [`Batch`] has the options.
//! - A server: [`answer`] for [axum](https://docs.rs/axum), [`respond`] for any other HTTP server.
//!   Most servers take the handler of the `capnweb` crate instead, which answers WebSockets on the
//!   same route.
//!
//! # On the wire
//!
//! A body is its messages joined by newlines, without one at the end; an empty body is no messages.
//! We also read bodies with blank lines, CRLF, a newline at the end and a byte order mark at the
//! start.
//!
//! Calls can go one way only. The server may be handed a callback, and call it: the client runs the
//! callback when it reads the response, but a promise of its result fails at once.
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `client` | [`batch`], [`Batch`], [`client_builder`] |
//! | `server` | [`answer`], [`answer_within`], [`answer_with`] |
//! | `tls` | `https:` addresses, by rustls with ring as its only crypto provider |
//!
//! All are on by default.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod body;
mod respond;

#[cfg(feature = "client")]
mod client;
#[cfg(feature = "client")]
mod exchange;
#[cfg(feature = "client")]
mod http_client;
#[cfg(feature = "server")]
mod server;
#[cfg(all(feature = "client", feature = "tls"))]
mod tls;

#[cfg(feature = "client")]
pub use self::client::{Batch, batch};
#[cfg(feature = "client")]
pub use self::http_client::client_builder;
pub use self::respond::respond;
#[cfg(feature = "server")]
pub use self::server::{answer, answer_with, answer_within};

/// The HTTP client, for [`Batch::client`].
#[cfg(feature = "client")]
#[doc(no_inline)]
pub use reqwest;

/// The TLS library, for a [`client_builder`] with a configuration of one's own.
#[cfg(all(feature = "client", feature = "tls"))]
#[doc(no_inline)]
pub use rustls;
