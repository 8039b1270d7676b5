//! The state that the connections of a server share.

use std::{collections::HashMap, time::Duration};

use capnweb_core::SessionOptions;
use capnweb_net::{Origins, ServerLimits, Sessions};

use super::factory::Factory;

/// The state that the connections of a server share.
pub(super) struct Shared {
    pub(super) routes: HashMap<String, Factory>,
    pub(super) fallback: Option<Factory>,
    pub(super) options: SessionOptions,
    pub(super) only_from: Option<Origins>,
    pub(super) limits: ServerLimits,
    pub(super) sessions: Option<Sessions>,
    pub(super) open_timeout: Duration,
}

impl Shared {
    /// Returns whether a request with this `Origin` comes from a page that may not connect.
    pub(super) fn is_foreign(&self, origin: Option<&str>) -> bool {
        match (&self.only_from, origin) {
            (Some(allowed), Some(origin)) => !allowed.allow(origin),
            _ => false,
        }
    }

    /// Returns the factory for this path.
    pub(super) fn factory(&self, path: &str) -> Option<&Factory> {
        self.routes.get(path).or(self.fallback.as_ref())
    }
}
