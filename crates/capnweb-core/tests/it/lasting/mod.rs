//! Lasting stubs whose slot is filled, empty, filled again and closed.

mod cuts;
mod line;
mod repeated;
mod swaps;
mod through;
mod waiting;

use std::time::Duration;

use capnweb_core::{
    Error, PromiseFuture, Stub,
    lasting::{Slot, SlotGroup, SlotOptions, WhileDown},
};
use futures_util::FutureExt;

use crate::support::ScriptedPeer;

/// A slot, a stub of it, and the current session.
struct Scene {
    group: SlotGroup,
    slot: Slot,
    api: Stub,
}

impl Scene {
    fn new() -> Self {
        Self::with(SlotOptions::new())
    }

    fn with(options: SlotOptions) -> Self {
        let group = SlotGroup::new(options);
        let (slot, api) = group.slot();
        Self { group, slot, api }
    }

    /// Creates a slot that retries idempotent calls without limit.
    fn repeating() -> Self {
        Self::with(SlotOptions::new().retry(|_: &capnweb_core::lasting::LostCall<'_>| true))
    }

    /// Creates a slot with room for `calls` waiting calls of `bytes` bytes, for a second.
    fn bounded(calls: usize, bytes: usize) -> Self {
        Self::with(SlotOptions::new().while_down(WhileDown::Queue {
            calls,
            bytes,
            wait: Duration::from_secs(1),
        }))
    }

    /// Fills the slot with the main object of a new session.
    fn connect(&self) -> ScriptedPeer {
        let peer = ScriptedPeer::client();
        self.slot.put(&peer.session, peer.session.main());
        peer
    }
}

/// Loses the connection of the session.
fn cut(peer: &mut ScriptedPeer) {
    peer.connection.end(lost());
}

fn lost() -> Error {
    Error::disconnected("the connection is lost")
}

/// Returns the error of a future that must have failed.
#[track_caller]
fn failure<T: std::fmt::Debug + serde::de::DeserializeOwned + 'static>(
    future: PromiseFuture<T>,
) -> Error {
    match future.now_or_never() {
        Some(Err(error)) => error,
        Some(Ok(value)) => panic!("it has not failed: {value:?}"),
        None => panic!("it has not settled"),
    }
}

/// Returns the value of a future that must have succeeded.
#[track_caller]
fn value<T: serde::de::DeserializeOwned + 'static>(future: PromiseFuture<T>) -> T {
    match future.now_or_never() {
        Some(result) => result.unwrap(),
        None => panic!("it has not settled"),
    }
}
