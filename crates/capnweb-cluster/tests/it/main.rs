//! Tests of several nodes in one process, over a network with faults, in virtual time.
#![allow(clippy::unwrap_used, reason = "panics are how tests fail")]

mod directories;
mod draining;
mod failover;
#[cfg(all(feature = "nats", unix))]
mod faults;
mod leases;
mod moving;
#[cfg(feature = "nats")]
mod nats;
mod placement;
#[cfg(all(feature = "postgres", target_os = "linux"))]
mod postgres;
#[cfg(all(feature = "postgres", target_os = "linux"))]
mod postgres_server;
#[cfg(feature = "nats")]
mod processes;
#[cfg(all(any(feature = "nats", feature = "postgres"), unix))]
mod proxy;
#[cfg(feature = "nats")]
mod server;
mod sturdy;
mod support;
mod topics;
#[cfg(all(feature = "nats", unix))]
mod traffic;
