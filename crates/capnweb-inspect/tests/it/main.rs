//! Recorded sessions, and the information that is derived from them.

#![allow(clippy::unwrap_used, reason = "panics are how tests fail")]

mod follow;
mod leaks;
mod pictures;
mod recordings;
mod schema;
mod script;
