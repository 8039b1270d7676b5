//! Detection of echo servers, which do not speak Cap'n Web.
//!
//! An echo server sends a client's own calls back to it. They arrive as calls of the client's main
//! object. No Cap'n Web server has a reason to call it, since this program offers no methods there.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use capnweb::{
    Stub,
    target::{Answer, Call, Get, Property, Target},
};

/// Records whether the server has called this program's main object.
#[derive(Clone, Debug, Default)]
pub(super) struct Guard(Arc<AtomicBool>);

impl Guard {
    /// Returns this program's main object.
    pub(super) fn stub(&self) -> Stub {
        Stub::new(Main(self.0.clone()))
    }

    pub(super) fn was_called(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

struct Main(Arc<AtomicBool>);

impl Target for Main {
    fn call(self: Arc<Self>, call: Call<'_>) -> Answer {
        // A session's pings have no method name.
        if !call.method().is_empty() {
            self.0.store(true, Ordering::Release);
        }
        Answer::not_found()
    }

    fn get(self: Arc<Self>, _: Get<'_>) -> Property {
        self.0.store(true, Ordering::Release);
        Property::Undefined
    }
}
