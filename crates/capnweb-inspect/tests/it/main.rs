//! Sessions as they are recorded, and what is known of them.

#![allow(clippy::unwrap_used, reason = "panics are how tests fail")]

mod follow;
mod leaks;
mod pictures;
mod recordings;
mod schema;
mod script;
