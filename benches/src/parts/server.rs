//! The server's side of calls.

use std::fmt::Write;

use capnweb::{Bytes, Session, SessionOptions, StubType, transport::Connection};

use super::{GROUP, Part};
use crate::typed;

/// Receives the frames of a client's calls and sends the answers, without a transport. As from a
/// client with many calls in flight, the frames arrive in groups, with the release of an earlier
/// call before each push and pull.
#[derive(Debug)]
pub struct ServerOnly {
    connection: Connection,
    /// The ID of the next call.
    next: usize,
    /// The frames of the next calls, end to end, the end of each, and the number of frames up to
    /// the end of each group.
    frames: String,
    ends: Vec<usize>,
    groups: Vec<usize>,
    answers: Vec<Bytes>,
}

impl Default for ServerOnly {
    fn default() -> Self {
        let (_, mut connection) = Session::server(SessionOptions::new());
        connection.set_main(typed().into_stub());
        Self {
            connection,
            next: 1,
            frames: String::new(),
            ends: Vec::new(),
            groups: Vec::new(),
            answers: Vec::new(),
        }
    }
}

impl ServerOnly {
    fn frame(&mut self, frame: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.frames.write_fmt(frame);
        self.ends.push(self.frames.len());
    }
}

impl Part for ServerOnly {
    fn prepare(&mut self, calls: usize) {
        const LONGEST: usize = 40;
        self.frames = String::with_capacity(3 * calls * LONGEST);
        self.ends = Vec::with_capacity(3 * calls);
        self.groups = Vec::with_capacity(calls / GROUP);
        self.answers = Vec::with_capacity(calls / GROUP);
        for group in (self.next..self.next + calls).step_by(GROUP) {
            for id in group..group + GROUP {
                if id > GROUP {
                    self.frame(format_args!(r#"["release",{},1]"#, id - GROUP));
                }
                self.frame(format_args!(r#"["push",["pipeline",0,["add"],[2,3]]]"#));
                self.frame(format_args!(r#"["pull",{id}]"#));
            }
            self.groups.push(self.ends.len());
        }
        self.next += calls;
    }

    fn run(&mut self) {
        let (mut from, mut start) = (0, 0);
        for &to in &self.groups {
            for &end in &self.ends[from..to] {
                let received = self.connection.receive(&self.frames[start..end]);
                received.expect("the session goes on");
                start = end;
            }
            from = to;
            self.answers
                .push(self.connection.take_outgoing().take_lines());
        }
    }

    fn check(&self) {
        let lines = self
            .answers
            .iter()
            .flat_map(|lines| lines.split(|byte| *byte == b'\n'));
        let right =
            lines.filter(|line| line.starts_with(b"[\"resolve\"") && line.ends_with(b",5]"));
        assert_eq!(right.count(), self.groups.len() * GROUP, "answers");
    }
}
