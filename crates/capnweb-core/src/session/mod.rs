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
mod attached;
mod connection;
mod end;
mod export;
mod flow_control;
mod ground;
mod handle;
mod import;
mod limits;
mod old_peers;
mod options;
mod outgoing;
mod outlet;
mod pipes;
mod receive;
mod running;
mod send;
mod shared;
mod table;

pub(crate) use self::{
    answer::encode_error,
    import::Import,
    outlet::{Outlet, Sent},
    pipes::Pumping,
    running::{Held, PeerCall, RunningCall, Unfinished},
    shared::Shared,
};
pub use self::{
    connection::Connection,
    handle::{Session, Stats},
    limits::Limits,
    options::SessionOptions,
    outgoing::Outgoing,
};
