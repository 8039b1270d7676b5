//! A Cap'n Web client that outlives its sessions.
//!
//! A session ends with its connection, and everything that came by it with the session. A
//! [`Client`] connects again, to the next server if need be, and its stubs go on to refer to the
//! same objects: the main object, and those that [`Client::derive`] derives again.
//!
//! - [`Client`], and its settings, [`ClientBuilder`].
//! - What it connects over: [`Transports`], or a [`Connector`] of your own.
//! - When it connects: [`Backoff`], [`Breaker`], and [`Reaction`] to each [`Ending`].
//! - What becomes of calls: [`WhileDown`], [`Retry`],
//!   [`Error::may_have_run`](capnweb_core::Error::may_have_run).
//! - What it tells: [`State`], [`Event`].
//! - Several at once: [`Pool`].
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `ws` | `ws:` and `wss:` servers |
//! | `webtransport` | `webtransport:` servers |
//! | `tcp` | `tcp:` servers, a message a line |
//! | `unix` | `unix:` servers, likewise |
//! | `http` | `BatchClient`, which sends batches over HTTP |
//! | `tls` | `wss:` and `https:` servers |
//!
//! None is on by default.

mod attempt;
mod backoff;
#[cfg(feature = "http")]
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

#[cfg(feature = "http")]
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
