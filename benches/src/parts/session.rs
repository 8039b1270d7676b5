//! Calls through a session with both ends in this process.

use capnweb::{StubType, join_all};
use tokio::runtime::Runtime;

use super::{GROUP, Part};
use crate::{ServiceStub, connect, runtime, typed};

/// The order of calls.
#[derive(Clone, Copy, Debug)]
pub enum Way {
    /// One call at a time.
    OneByOne,
    /// [`GROUP`] calls at a time.
    Grouped,
}

/// Awaits typed calls over a session and the in-process transport: both sides, their drivers and
/// the runtime, without a socket.
#[derive(Debug)]
pub struct InSession {
    runtime: Runtime,
    api: ServiceStub,
    way: Way,
    calls: usize,
}

impl InSession {
    /// Starts a new session.
    pub fn new(way: Way) -> Self {
        let runtime = runtime();
        let entered = runtime.enter();
        let api = ServiceStub::from_stub(connect(typed()));
        drop(entered);
        Self {
            runtime,
            api,
            way,
            calls: 0,
        }
    }
}

impl Part for InSession {
    fn prepare(&mut self, calls: usize) {
        self.calls = calls;
    }

    fn run(&mut self) {
        let group = match self.way {
            Way::OneByOne => 1,
            Way::Grouped => GROUP,
        };
        self.runtime.block_on(async {
            for _ in 0..self.calls / group {
                let calls = (0..group).map(|_| self.api.add(2.0, 3.0));
                for sum in join_all(calls).await {
                    assert_eq!(sum.expect("a sum"), 5.0);
                }
            }
        });
    }
}
