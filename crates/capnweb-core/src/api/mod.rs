//! The untyped API: handles that applications hold and what they pass.

pub(crate) mod args;
mod error_serde;
pub mod handoff;
pub(crate) mod into_main;
pub(crate) mod join_all;
pub mod lasting;
pub(crate) mod null;
pub(crate) mod object;
mod payload_serde;
pub(crate) mod promise;
pub(crate) mod session;
pub(crate) mod stub;
pub(crate) mod subscribers;
pub(crate) mod value;
