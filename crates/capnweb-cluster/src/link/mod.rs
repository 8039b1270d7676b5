//! Links: streams of bytes between two nodes, over the bus.
//!
//! A message of the bus is a frame: a fragment of the stream with its number, and the number of
//! fragments that were read from the peer. Nothing is sent again: a gap breaks the link, and so the
//! session on it. A fragment that reaches no subscriber breaks it at once, and a peer that sends
//! nothing for some time breaks it too.

mod frame;
mod pump;
mod state;
mod stream;

use std::sync::Arc;

pub(crate) use self::{pump::Pulse, stream::LinkStream};
use self::{pump::Pump, state::Shared};
use crate::bus::{Bus, Subscription};

/// Creates this side of a link, whose frames arrive on `incoming`.
///
/// `own` is the subject of `incoming`, and `peer` that of the other side, which must have
/// subscribed to it.
pub(crate) fn open(
    bus: Arc<dyn Bus>,
    incoming: Subscription,
    own: String,
    peer: String,
    pulse: Pulse,
) -> LinkStream {
    let shared = Shared::new();
    let pump = Pump {
        bus: bus.clone(),
        shared: shared.clone(),
        incoming,
        peer: peer.clone(),
        own: own.clone(),
        pulse,
    };
    tokio::spawn(pump.run());
    LinkStream {
        bus,
        shared,
        peer,
        own,
        publishing: None,
    }
}

#[cfg(test)]
mod tests;
