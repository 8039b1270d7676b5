//! One session: the tables, and what messages do to them.
//!
//! The state of a session is behind one lock, which is held for work on tables and buffers only.
//! While it is held nothing of anybody else's runs: no `Serialize`, no `Drop` of a target or
//! payload, no waker, no lock of another session. What has to be dropped or woken goes on a list
//! that is worked off after unlocking: see [`shared::Locked`].
//!
//! Methods fall into four kinds. Frames of the peer come in by [`receive`], and `ground` finds
//! what the IDs in them stand for. What the application does comes in by [`send`]. What is owed to the peer goes
//! out by [`answer`]. And [`end`] is the end, which is part of the state.

mod answer;
mod bounds;
mod call_queue;
mod compat;
mod connection;
mod counts;
mod drain;
mod end;
mod evaluation;
mod events;
mod export_table;
mod flow_control;
mod guard;
mod import_table;
mod inner;
mod keep_alive;
mod locked;
mod options;
mod peer;
mod pipes;
mod receive;
mod remote_stream;
mod resolve_ids;
mod send;
mod status;

pub use self::{
    compat::PeerVersion, connection::Connection, keep_alive::KeepAlive, options::SessionOptions,
};
pub(crate) use self::{
    end::AbortNotice,
    guard::SessionGuard,
    inner::{Role, SessionInner},
    keep_alive::{Alarm, Signs},
};
