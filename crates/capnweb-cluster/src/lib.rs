//! Cap'n Web beyond one machine.
//!
//! An object has a kind and a name, and lives on one node of a cluster at a time. Every node can
//! call it. [`Cluster::get`] returns a lasting stub, which finds the object, activates it if it
//! lives nowhere, and follows it when it moves or its node crashes.
//!
//! - A node: [`Cluster`], its settings [`ClusterOptions`], and when its server stops,
//!   [`Cluster::leave_after`].
//! - Objects: [`Cluster::host`], [`Activation`].
//! - References as texts: [`Cluster::persist`], [`SturdyRef`], [`Keyring`], [`Rights`].
//! - Events for all nodes: [`Cluster::topic`], [`Topic`].
//! - Fencing durable writes: [`Epoch`], [`Fence`].
//! - Between nodes: a [`Backbone`] of a [`Bus`] and a [`Directory`].
//! - On several machines: `Nats`, with the feature `nats`; `NatsBus` with the directory `Postgres`,
//!   with the feature `postgres`.
//! - Within one process: [`Backbone::memory`], [`MemoryNetwork`].

#![cfg_attr(docsrs, feature(doc_cfg))]

mod backbone;
mod bus;
mod cluster;
mod directory;
mod epoch;
mod flag;
mod handoff;
mod lease;
mod link;
mod links;
mod member;
mod memory;
#[cfg(feature = "nats")]
mod nats;
mod node_id;
mod obituaries;
mod placement;
#[cfg(feature = "postgres")]
mod postgres;
mod rights;
mod settings;
mod sturdy;
mod token;
mod topic;

pub use self::{
    backbone::Backbone,
    bus::{Bus, BusError, Delivery, Message, Subscription},
    cluster::Cluster,
    directory::{Answering, Directory, DirectoryError, Entry, Revision},
    epoch::{Epoch, Fence},
    memory::{MemoryBus, MemoryDirectory, MemoryNetwork},
    node_id::NodeId,
    placement::{Activate, Activation, Hosting},
    rights::Rights,
    settings::ClusterOptions,
    sturdy::{Keyring, SturdyRef},
    topic::{Events, Topic},
};

#[cfg(feature = "nats")]
pub use self::nats::{Nats, NatsBus};
#[cfg(feature = "postgres")]
pub use self::postgres::Postgres;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
