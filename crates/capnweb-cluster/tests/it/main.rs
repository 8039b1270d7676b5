//! Tests of several nodes in one process, over a network with faults, in virtual time.
#![allow(clippy::unwrap_used, reason = "panics are how tests fail")]

mod draining;
mod failover;
mod leases;
mod moving;
#[cfg(feature = "nats")]
mod nats;
mod placement;
#[cfg(feature = "nats")]
mod processes;
#[cfg(feature = "nats")]
mod server;
mod sturdy;
mod support;
mod topics;
