//! Sessions: their tables, and how messages change them.
//!
//! The state of a session is behind one lock, which is held only for work on tables and buffers. No
//! foreign code runs under the lock: no `Serialize`, no `Drop` of a target or payload, no waker,
//! and no lock of another session. Values to drop and tasks to wake are put on a list, and handled
//! after unlocking: see [`locked::Locked`].
//!
//! There are four kinds of methods. [`receive`] handles messages from the peer, and [`resolve_ids`]
//! looks up the IDs in them. [`send`] handles operations of the application. [`answer`] sends
//! outcomes to the peer. [`end`] handles the end of the session.

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
mod traced;

pub use self::{
    compat::PeerVersion, connection::Connection, keep_alive::KeepAlive, options::SessionOptions,
};
pub(crate) use self::{
    end::AbortNotice,
    evaluation::Decode,
    guard::SessionGuard,
    inner::{Role, SessionInner},
    keep_alive::{Alarm, Signs},
};
