//! The client's side of calls.

use std::{
    fmt::Write,
    future::{Future, IntoFuture},
    pin::Pin,
    task::{Context, Poll, Waker},
};

use capnweb::{
    PromiseFuture, Session, SessionOptions, Stub, StubType,
    lasting::{SlotGroup, SlotOptions},
    transport::Connection,
};

use super::{GROUP, Part};
use crate::ServiceStub;

/// Makes typed calls in groups, waits for all calls of a group, and receives the frames of the
/// answers, without a transport.
#[derive(Debug)]
pub struct ClientOnly {
    connection: Connection,
    api: ServiceStub,
    next: usize,
    frames: String,
    ends: Vec<usize>,
    pulls: Vec<PromiseFuture<f64>>,
}

impl Default for ClientOnly {
    fn default() -> Self {
        Self::calling(|session| session.main())
    }
}

impl ClientOnly {
    /// Makes the calls through a lasting stub.
    pub fn lasting() -> Self {
        Self::calling(|session| {
            let (slot, stub) = SlotGroup::new(SlotOptions::new()).slot();
            slot.put(session, session.main());
            stub
        })
    }

    fn calling(stub: impl FnOnce(&Session) -> Stub) -> Self {
        let (session, connection) = Session::client(SessionOptions::new());
        Self {
            connection,
            api: ServiceStub::from_stub(stub(&session)),
            next: 1,
            frames: String::new(),
            ends: Vec::new(),
            pulls: Vec::with_capacity(GROUP),
        }
    }
}

impl Part for ClientOnly {
    fn prepare(&mut self, calls: usize) {
        const LONGEST: usize = 40;
        self.frames = String::with_capacity(calls * LONGEST);
        self.ends = Vec::with_capacity(calls);
        for id in self.next..self.next + calls {
            // Writing to a string cannot fail.
            let _ = write!(self.frames, r#"["resolve",{id},5]"#);
            self.ends.push(self.frames.len());
        }
        self.next += calls;
    }

    fn run(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        let mut start = 0;
        for group in self.ends.chunks(GROUP) {
            for _ in group {
                let mut pull = self.api.add(2.0, 3.0).into_future();
                assert!(Pin::new(&mut pull).poll(&mut cx).is_pending());
                self.pulls.push(pull);
            }
            drop(self.connection.take_outgoing());
            for &end in group {
                let received = self.connection.receive(&self.frames[start..end]);
                received.expect("the session goes on");
                start = end;
            }
            for mut pull in self.pulls.drain(..) {
                match Pin::new(&mut pull).poll(&mut cx) {
                    Poll::Ready(Ok(sum)) => assert_eq!(sum, 5.0),
                    other => panic!("{other:?}"),
                }
            }
        }
    }
}
