//! Noticing servers that are none.
//!
//! A server that echoes sends a client's own calls back to it. They arrive as calls of the client's main
//! object, which no server has a reason to call: this program offers nothing there.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use capnweb::{Answer, Call, Get, Property, Stub, Target};

/// Knows whether the server has called this program's main object.
#[derive(Clone, Debug, Default)]
pub(super) struct Guard(Arc<AtomicBool>);

impl Guard {
    /// Returns the main object.
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
        // Pings of a session call nothing.
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
