//! Sockets under the transports of Cap'n Web.
//!
//! The transports share this code, and applications use it through them. Its API follows the needs
//! of the transports and may change with them.
//!
//! - [`socket`]: options of TCP sockets, set on every socket that is dialed or accepted.
//! - [`dial`](mod@dial): connecting to a host with several addresses (RFC 8305).
//! - [`proxy`]: proxies from the environment or the application, and tunnels through them.
//! - [`ClientSettings`]: the settings that all clients have.
//! - [`ConnectError`]: a failure of a client, before it becomes an [`Error`](capnweb_core::Error).
//! - [`ServerLimits`]: bounds for all clients of a server together.
//! - [`Sessions`]: a registry of a server's sessions, to list, message and end them.
//! - [`Metrics`]: metrics of sessions.
//! - [`StallGuard`]: a stream whose writes may not stall for ever.
//! - [`Origins`]: the web pages that may connect to a server.
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `client` | [`dial`](mod@dial), [`ClientSettings`], [`ConnectError`] |
//! | `metrics` | [`Metrics`] |
//! | `opentelemetry` | [`session_span`], [`current_headers`], [`OpenTelemetryPropagator`] |
//! | `origins` | [`Origins`] |
//! | `proxy` | [`proxy`] |
//! | `server` | [`ServerLimits`], [`Sessions`], [`StallGuard`] |
//!
//! No feature is enabled by default.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod socket;

#[cfg(feature = "client")]
mod connect_error;
#[cfg(feature = "client")]
pub mod dial;
#[cfg(feature = "server")]
mod first_byte;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(feature = "origins")]
mod origins;
#[cfg(feature = "proxy")]
pub mod proxy;
#[cfg(feature = "server")]
mod server_limits;
#[cfg(feature = "server")]
mod sessions;
#[cfg(feature = "client")]
mod settings;
#[cfg(feature = "server")]
mod stall;
#[cfg(feature = "opentelemetry")]
mod trace_context;

#[cfg(feature = "metrics")]
pub use self::metrics::{CALL_DURATION, Metrics};
#[cfg(feature = "origins")]
pub use self::origins::{InvalidOrigin, Origins, normalize_origin};
#[cfg(feature = "opentelemetry")]
pub use self::trace_context::{OpenTelemetryPropagator, current_headers, session_span};
#[cfg(feature = "client")]
pub use self::{
    connect_error::{ConnectError, parse_retry_after},
    settings::ClientSettings,
};
#[cfg(feature = "server")]
pub use self::{
    first_byte::FirstByte,
    server_limits::{Handshake, RETRY_AFTER, ServerFull, ServerLimits, SessionPermit},
    sessions::{Drain, Drained, Sessions, SessionsEnd, TrackedSession, TransportKind},
    stall::StallGuard,
};
