//! A connection whose messages the test moves one at a time, and a server that counts calls.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
};

use capnweb_core::{Connection, Context, Object, Result, Session, SessionOptions, Stub};

use super::lost;

/// The calls that all sessions of a server have run, in order, as the session and the ID of the
/// call.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<(u32, u32)>>>);

impl Log {
    fn note(&self, session: u32, id: u32) {
        self.0.lock().unwrap().push((session, id));
    }

    /// Returns the number of times that each call has run.
    pub(super) fn counts(&self) -> BTreeMap<u32, u32> {
        let mut counts = BTreeMap::new();
        for (_, id) in self.0.lock().unwrap().iter() {
            *counts.entry(*id).or_default() += 1;
        }
        counts
    }

    /// Checks that each session has run the calls accepted by `counts` in the order of their IDs.
    #[track_caller]
    pub(super) fn check_order(&self, counts: impl Fn(u32) -> bool) {
        let mut last: BTreeMap<u32, u32> = BTreeMap::new();
        for (session, id) in self.0.lock().unwrap().iter() {
            if !counts(*id) {
                continue;
            }
            let before = last.insert(*session, *id);
            assert!(before < Some(*id), "{id} after {before:?} in {session}");
        }
    }

    /// Returns the main object of a session: `count(id)`, `me()`, `list()`, and `fail(id)`.
    fn main(&self, session: u32) -> Stub {
        let (count, fail) = (self.clone(), self.clone());
        Object::new()
            .method("count", move |id: u32| {
                count.note(session, id);
                async move { Ok(id) }
            })
            .method("fail", move |id: u32| {
                fail.note(session, id);
                async move { Err::<(), _>(capnweb_core::Error::not_found("no such thing")) }
            })
            .method("me", async |context: Context| Ok(context.this()))
            .method("list", async |ids: Vec<u32>| Ok(ids))
            .into_stub()
    }
}

/// The number of messages that may still pass to the server and to the client.
pub(super) type Left = (usize, usize);

/// Two sessions, and the messages between them.
pub(super) struct Line {
    pub(super) session: Session,
    client: Connection,
    server: Connection,
    to_server: VecDeque<String>,
    to_client: VecDeque<String>,
    pub(super) left: Left,
    pub(super) passed: Left,
    pub(super) is_cut: bool,
}

impl Line {
    pub(super) fn new(log: &Log, number: u32, left: Left) -> Self {
        let (_, mut server) = Session::server(SessionOptions::new());
        server.set_main(log.main(number));
        let (session, client) = Session::client(SessionOptions::new());
        Self {
            session,
            client,
            server,
            to_server: VecDeque::new(),
            to_client: VecDeque::new(),
            left,
            passed: (0, 0),
            is_cut: false,
        }
    }

    pub(super) fn cut(&mut self) {
        self.is_cut = true;
        self.client.end(lost());
        self.server.end(lost());
    }

    /// Moves one message, if there is one. Cuts the connection if no more may pass.
    pub(super) fn step(&mut self, to_server_first: bool) -> Result<bool> {
        if self.is_cut {
            return Ok(false);
        }
        collect(&mut self.client, &mut self.to_server);
        collect(&mut self.server, &mut self.to_client);
        for to_server in [to_server_first, !to_server_first] {
            let (queue, left, passed) = match to_server {
                true => (&mut self.to_server, &mut self.left.0, &mut self.passed.0),
                false => (&mut self.to_client, &mut self.left.1, &mut self.passed.1),
            };
            let Some(message) = queue.pop_front() else {
                continue;
            };
            if *left == 0 {
                self.cut();
                return Ok(true);
            }
            *left -= 1;
            *passed += 1;
            match to_server {
                true => self.server.receive(&message)?,
                false => self.client.receive(&message)?,
            }
            return Ok(true);
        }
        Ok(false)
    }

    /// Moves all messages.
    pub(super) fn run(&mut self) {
        while self.step(true).unwrap() {}
    }
}

fn collect(connection: &mut Connection, queue: &mut VecDeque<String>) {
    let mut outgoing = connection.take_outgoing();
    while let Some(message) = outgoing.pop() {
        queue.push_back(String::from_utf8(message.to_vec()).unwrap());
    }
}
