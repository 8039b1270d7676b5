//! Tests that run the program as a process, against servers in the test's own process.

#![allow(clippy::unwrap_used, reason = "panics are how tests fail")]

mod bench;
mod call;
mod failures;
mod inspect;
mod listen;
mod manual;
#[cfg(unix)]
mod repl;
mod streams;
mod support;
#[cfg(unix)]
mod terminal;
mod transports;
