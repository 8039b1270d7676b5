//! Tests of clients that outlive their sessions, over a network in this process, mostly in virtual
//! time, and over real sockets.
#![allow(clippy::unwrap_used, reason = "panics are how tests fail")]

mod calls;
mod counting;
mod cuts;
mod derivations;
mod draining;
mod herd;
mod lifecycle;
mod network;
mod pools;
mod reactions;
mod reconnecting;
mod subscriptions;
