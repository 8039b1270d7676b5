//! Building blocks of tests: scripted peers, pairs of sessions, relays and main objects.

mod broken_writer;
mod gate;
mod live_objects;
mod log;
mod objects;
mod relay;
mod scripted_peer;
mod session_pair;
pub(crate) mod stream_scenes;
mod waiting;
mod witness;

pub(crate) use broken_writer::Broken;
pub(crate) use gate::Gate;
pub(crate) use live_objects::LiveObjects;
pub(crate) use log::Log;
pub(crate) use objects::{calculator, counter};
pub(crate) use relay::Relay;
pub(crate) use scripted_peer::ScriptedPeer;
pub(crate) use session_pair::{Connected, connect, connect_with};
pub(crate) use waiting::{eventually, idle, idle_on_paused_clock, within};
pub(crate) use witness::Witness;
