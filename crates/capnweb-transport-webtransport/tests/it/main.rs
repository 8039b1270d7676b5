//! WebTransport over real sockets.

#![allow(clippy::unwrap_used, reason = "panics are how tests fail")]

mod connecting;
mod endings;
mod half_open;
mod last_words;
mod lines;
mod moving;
mod requests;
mod shutdown;
mod support;
mod talking;
mod tracked;
mod trust;
