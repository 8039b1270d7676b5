//! A Cap'n Web client that outlives its sessions.
//!
//! When a connection is lost, its session ends and all of the session's stubs break. A [`Client`]
//! connects again, to the next server if necessary. Its stubs keep referring to the same objects:
//! the main object, and those that [`Client::derive`] derives again.
//!
//! - The client and its settings: [`Client`], [`ClientBuilder`].
//! - Transports: [`Transports`], or your own [`Connector`].
//! - Reconnecting: [`Backoff`], [`Breaker`], and the [`Reaction`] to each [`Ending`].
//! - Lost and waiting calls: [`WhileDown`], [`Retry`],
//!   [`Error::may_have_run`](capnweb_core::Error::may_have_run).
//! - Monitoring: [`State`], [`Event`].
//! - Several servers at once: [`Pool`].
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `ws` | `ws:` and `wss:` servers |
//! | `webtransport` | `webtransport:` servers |
//! | `tcp` | `tcp:` servers, one message per line |
//! | `unix` | `unix:` servers, one message per line |
//! | `http` | `BatchClient`, which sends batches over HTTP |
//! | `tls` | `wss:` and `https:` servers |
//! | `web` | WebSocket, WebTransport and `BatchClient` in browsers, Node and Workers, on `wasm32-unknown-unknown`; the native ones are not there |
//!
//! No feature is enabled by default.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod attempt;
mod backoff;
#[cfg(any(
    all(
        feature = "http",
        not(all(target_family = "wasm", target_os = "unknown"))
    ),
    all(feature = "web", target_family = "wasm", target_os = "unknown")
))]
mod batch;
mod breaker;
mod builder;
mod client;
mod clock;
mod derivations;
mod ending;
mod keeper;
mod notes;
mod pool;
mod random;
mod resume;
mod retry;
mod servers;
mod sessions;
mod settings;
mod shared;
mod state;
mod supervisor;
mod transports;

#[cfg(any(
    all(
        feature = "http",
        not(all(target_family = "wasm", target_os = "unknown"))
    ),
    all(feature = "web", target_family = "wasm", target_os = "unknown")
))]
pub use self::batch::{BatchAttempt, BatchClient};
pub use self::{
    attempt::{Attempt, Connecting, Connector},
    backoff::Backoff,
    breaker::Breaker,
    builder::ClientBuilder,
    client::Client,
    clock::Clocks,
    ending::{Ending, Reaction, Stage},
    pool::Pool,
    resume::Resume,
    retry::Retry,
    state::{Event, Events, State, States},
    transports::Transports,
};
pub use capnweb_core::lasting::WhileDown;
