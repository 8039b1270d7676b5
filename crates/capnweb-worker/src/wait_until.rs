//! Work that goes on after a response.

use std::future::Future;

use worker::{Context, State};

/// The context of a request, which keeps it alive for work that goes on after its response.
pub trait WaitUntil {
    /// Keeps the request alive until `work` has ended.
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
