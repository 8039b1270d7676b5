//! Stubs that outlive sessions.
//!
//! A lasting stub refers to a [`Slot`]. The slot's owner fills it with a stub of one session after
//! another. A call on a lasting stub is a call on the slot's stub. It goes directly to that
//! session, with its arguments, promises and maps unchanged. While the slot is empty, calls fail or
//! wait, within the limits of the slot's [`Group`].
//!
//! ```text
//!            put                    waiting calls are sent
//!   empty ─────────► sending ───────────────────────────────► filled
//!     ▲                 │                                        │
//!     │                 └───────────────┬────────────────────────┘
//!     │  idempotent calls wait again    │  the session ends, or `take`
//!     └─────────────── losing ◄─────────┘                   close, from anywhere ──► closed
//! ```
//!
//! A slot is the end of a chain: [`Hook::follow`](super::hook::Hook::follow) stops there. So no
//! shortened chain leads past the slot to a session that may end. Each call looks up the slot's
//! content, and looks again if the session turns out to be over before the call is sent.
//!
//! A [`LastingCall`] is a call that a slot has to tend, because it waits, may be retried, or has a
//! time limit. Any other call through a filled slot is only the session's responsibility, and costs
//! no memory here.

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
