//! Tests of the public API, mostly as properties of random texts.

#![allow(clippy::unwrap_used, reason = "panics are how tests fail")]

mod generate;
mod holes;
mod invariants;
mod json;
mod messages;
mod picks;
