//! The engine: performs operations on the graph and evaluates the expressions of peers.

pub(crate) mod admit;
pub(crate) mod context;
pub(crate) mod effort;
pub(crate) mod evaluate;
pub(crate) mod handler;
pub(crate) mod invoke;
pub(crate) mod map;
pub(crate) mod resolve_args;
pub(crate) mod target;
