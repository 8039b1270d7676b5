//! Follows Cap'n Web sessions from outside.
//!
//! A [`Follower`] reads the messages of both sides, live or from a recording, and reconstructs the
//! tables of both peers. It records each [call](Call) with the calls that it depends on, the number
//! of round trips, and the references that each side [holds](Held).
//!
//! The command `capnweb inspect` records a session and draws it. It uses this library, and so can
//! tests:
//!
//! ```
//! use capnweb_inspect::{Follower, Recording};
//!
//! let text = r#"{"capnweb":"recording","version":1}
//! {"t":0,"session":1,"dir":"c2s","msg":["push",["pipeline",0,["getUser"],[7]]]}
//! {"t":0,"session":1,"dir":"c2s","msg":["pull",1]}
//! {"t":9,"session":1,"dir":"s2c","msg":["resolve",1,{"user":["export",-1]}]}
//! {"t":9,"session":1,"dir":"c2s","msg":["release",1,1]}
//! "#;
//! let follower = Follower::of(&Recording::read(text.as_bytes())?);
//! let session = follower.sessions().next().unwrap();
//! assert_eq!(session.calls().next().unwrap().label(), "getUser(7)");
//! let leak = &session.leaks()[0];
//! assert_eq!(
//!     leak.to_string(),
//!     "the client still holds a stub in the result of call 1, getUser(7), for 0 ms",
//! );
//! # Ok::<(), capnweb_inspect::ReadError>(())
//! ```
//!
//! For tests, [`assert_no_leaks`] makes the check in one line.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod batch;
mod calls;
mod follow;
mod leaks;
mod mermaid;
mod preview;
mod recording;
mod svg;

pub use batch::lines;
pub use calls::report;
pub use follow::{
    Advice, Call, CallKind, Changes, Counts, Follower, Held, HeldKind, Options, Origin, Outcome,
    Place, Session,
};
pub use leaks::{Leak, assert_no_leaks};
pub use mermaid::mermaid;
pub use recording::{
    Body, Entry, Event, Header, ReadError, Reader, Recording, Redactor, Side, TransportKind,
    VERSION, Writer,
};
pub use svg::svg;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
