//! Sessions, tested from outside: a script plays the peer, or two sessions play with each other.
#![allow(clippy::unwrap_used, reason = "panics are how tests fail")]

mod attached;
mod back_pressure;
mod basics;
mod batch;
#[cfg(feature = "fetch")]
mod blobs;
mod cancellation;
mod circles;
mod corners;
mod depth;
mod disposal;
mod driver;
mod endings;
#[cfg(feature = "fetch")]
mod fetch;
mod flood;
mod forwarding;
mod frames;
mod handing_over;
mod lifetime;
mod lines;
mod local_calls;
mod long_bytes;
mod mains;
mod map_limits;
mod maps;
mod observability;
mod order;
mod panics;
mod properties;
mod random;
mod random_streams;
mod runtimes;
mod shapes;
mod stream_forwarding;
mod stream_reading;
mod stream_writing;
mod streams;
mod support;
mod typed;
mod values;
mod violations;
