//! Work that continues after a response.

use std::future::Future;

use worker::{Context, State};

/// The context of a request. It can keep the request alive for work after its response.
pub trait WaitUntil {
    /// Keeps the request alive until `work` has completed.
    fn wait_until(&self, work: impl Future<Output = ()> + 'static);

    /// Returns whether the requests with such a context may do each other's I/O, as those to one
    /// Durable Object may.
    fn shares_io(&self) -> bool {
        false
    }
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

    fn shares_io(&self) -> bool {
        true
    }
}
