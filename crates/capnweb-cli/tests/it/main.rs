//! The program, as a process, against servers of this one.

#![allow(clippy::unwrap_used, reason = "panics are how tests fail")]

mod bench;
mod call;
mod failures;
mod listen;
mod manual;
#[cfg(unix)]
mod repl;
mod streams;
mod support;
mod transports;
