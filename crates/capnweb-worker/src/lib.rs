//! Cap'n Web in Cloudflare Workers, based on the crate `worker`.
//!
//! This crate is for `wasm32-unknown-unknown`. On other targets it is empty.
//!
//! ```ignore
//! use worker::{Context, Env, Request, Response, event};
//!
//! #[event(fetch)]
//! async fn fetch(req: Request, env: Env, ctx: Context) -> worker::Result<Response> {
//!     capnweb::worker::rpc(req, &ctx, || ApiStub::new(Api { env })).await
//! }
//! ```
//!
//! A POST request is a batch, and an upgrade request is a WebSocket. Anything else is answered with
//! 405. For more options use `Rpc`.
//!
//! # Durable Objects
//!
//! `rpc` also works in the `fetch` of a Durable Object: pass its `State` instead of the context.
//! The requests to one object may do each other's I/O, so their sessions may call each other's
//! stubs.
//!
//! A Durable Object with open sessions does not hibernate. A session's tables refer to objects in
//! memory, which hibernation would discard. Sockets are therefore accepted without hibernation, and
//! keep the object in memory while they are open.
//!
//! # Between requests
//!
//! All requests to an instance of a Worker share its memory, but none may do another's I/O. A call
//! on a stub from another request's session fails. Keep shared state in a Durable Object.
//!
//! # Panics
//!
//! A panic is a trap: nothing is unwound, and the call is not answered. The WebSockets of the
//! request that panicked are closed with 3000, so their peers see the end of the session. A batch
//! whose handler panics is answered with 500. Return errors instead.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(all(target_family = "wasm", target_os = "unknown"))]
mod batch;
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
mod refusal;
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
mod rpc;
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
mod wait_until;

#[cfg(all(target_family = "wasm", target_os = "unknown"))]
pub use self::{
    refusal::Refuse,
    rpc::{Rpc, rpc},
    wait_until::WaitUntil,
};

#[cfg(all(target_family = "wasm", target_os = "unknown"))]
/// The crate `worker`, on which this crate is based.
#[doc(no_inline)]
pub use worker;
