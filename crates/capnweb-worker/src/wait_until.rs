//! Work that continues after a response.

use std::future::Future;

use worker::{Context, State};

/// The context of a request. It can keep the request alive for work after its response.
pub trait WaitUntil {
    /// Keeps the request alive until `work` has completed.
    fn wait_until(&self, work: impl Future<Output = ()> + 'static);
}

impl WaitUntil for Context {
    fn wait_until(&self, work: impl Future<Output = ()> + 'static) {
        Self::wait_until(self, work);
    }
}

impl WaitUntil for State {
    fn wait_until(&self, work: impl Future<Output = ()> + 'static) {
        Self::wait_until(self, work);
    }
}
