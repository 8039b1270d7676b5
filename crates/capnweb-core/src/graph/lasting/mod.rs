//! Stubs that outlive sessions.
//!
//! A lasting stub refers to a [`Slot`], into which its owner puts the stub of one session after the
//! other. A call on it is a call on what is in the slot: it goes straight to that session, with its
//! arguments, promises and maps as they are. While the slot is empty calls fail or wait, within
//! the bounds of the slot's [`Group`].
//!
//! ```text
//!            put                    all that waited is sent
//!   empty ─────────► sending ───────────────────────────────► filled
//!     ▲                 │                                        │
//!     │                 └───────────────┬────────────────────────┘
//!     │  idempotent calls wait again    │  the session ends, or `take`
//!     └─────────────── losing ◄─────────┘                   close, from anywhere ──► closed
//! ```
//!
//! A slot is the end of a chain: [`Hook::follow`](super::hook::Hook::follow) stops there, so nothing
//! that is remembered of a walk leads past it to a session that may end. Each call looks up anew
//! what is in the slot, and looks again if the session was over by the time that it would have sent
//! the call.
//!
//! A [`LastingCall`] is a call that a slot has to look after: one that waits, or that may be made
//! again, or has to be answered in a certain time. Any other call through a filled slot is the
//! session's alone, and costs no memory here.

mod call;
mod deadlines;
mod group;
mod options;
mod send;
mod slot;

pub use self::options::{LostCall, RetryPolicy, SlotOptions, WhileDown};
pub(crate) use self::{
    group::Group,
    send::refuse_lost,
    slot::{Fate, Slot, Status},
};
