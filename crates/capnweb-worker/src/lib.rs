//! Cap'n Web in Cloudflare Workers, on the crate `worker`.
//!
//! This crate is for `wasm32-unknown-unknown`, and is empty on other targets.
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
//! A POST is a batch, and a request for an upgrade is a WebSocket. Anything else is answered with
//! 405. `Rpc` has more options.
//!
//! # Durable Objects
//!
//! `rpc` works in the `fetch` of a Durable Object likewise: pass its `State` instead of the
//! context. Requests to one object may do each other's I/O, so its sessions may call each other's
//! stubs.
//!
//! A Durable Object with sessions does not hibernate. A session's tables hold references to objects
//! of its memory, which hibernation would drop: so sockets are accepted the ordinary way, and keep
//! the object in memory as long as they are open.
//!
//! # Between requests
//!
//! All requests to an instance of a Worker share its memory, but none may do the I/O of another. A
//! stub of one request's session that is called by another request fails. Keep what requests share
//! in a Durable Object.
//!
//! # Panics
//!
//! A panic traps: nothing is unwound, and the call is not answered. The sockets of the request that
//! panicked are closed with 3000, so that their peers see the end; a batch whose handler panics may
//! stay unanswered. Return errors instead.

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
/// The crate that this one stands on.
#[doc(no_inline)]
pub use worker;
