//! Tests of sessions through the public API, with a scripted peer or between two sessions.
#![allow(clippy::unwrap_used, reason = "panics are how tests fail")]

mod attachments;
mod back_pressure;
mod batch;
#[cfg(feature = "fetch")]
mod blobs;
mod call_order;
mod calls;
mod cancellation;
mod cycles;
#[cfg(feature = "describe")]
mod descriptions;
mod disposal;
mod drain;
mod driver;
mod edge_cases;
#[cfg(feature = "fetch")]
mod fetch;
mod flooding_peers;
mod forward_promises;
mod forwarding;
mod frame_transport;
mod handoff;
mod interceptors;
#[cfg(feature = "describe")]
mod introspection;
mod keep_alive;
mod lasting;
mod leaks;
mod line_transport;
mod local_calls;
mod long_bytes;
mod long_chains;
mod long_work;
mod main_object;
mod map_limits;
mod maps;
mod observer;
mod panics;
mod property_calls;
mod protocol_violations;
mod random_programs;
mod random_streams;
mod runtime_shutdown;
#[cfg(feature = "describe")]
mod schemas;
mod session_end;
mod session_lifetime;
mod shapes;
mod stranger_programs;
mod strangers;
mod stream_forwarding;
mod stream_reading;
mod stream_writing;
mod streams;
mod subscribers;
mod support;
mod trace_events;
mod tracing_spans;
mod typed_api;
mod values;
