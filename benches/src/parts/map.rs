//! The server's side of `map`.

use std::fmt::Write;

use capnweb::{Bytes, Result, Session, SessionOptions, StubType, transport::Connection};

use super::Part;

/// The number of elements in a list.
const ELEMENTS: usize = 1024;

/// An object that returns numbers, and has a method for each of them.
#[capnweb::interface]
trait Numbers {
    /// Returns the numbers below `n`.
    fn numbers(&self, n: usize) -> Result<Vec<usize>>;
    fn double(&self, n: usize) -> Result<usize>;
}

struct Server;

impl Numbers for Server {
    fn numbers(&self, n: usize) -> Result<Vec<usize>> {
        Ok((0..n).collect())
    }

    fn double(&self, n: usize) -> Result<usize> {
        Ok(2 * n)
    }
}

/// Applies a function to each element of lists, without a transport. The function calls a method of
/// the server's own object. An element counts as a call.
#[derive(Debug)]
pub struct MapOnly {
    connection: Connection,
    /// The ID of the next push.
    next: usize,
    /// The lengths of the next lists, and the frames for each.
    lists: Vec<(usize, [String; 5])>,
    answers: Vec<Bytes>,
}

impl Default for MapOnly {
    fn default() -> Self {
        let (_, mut connection) = Session::server(SessionOptions::new());
        connection.set_main(NumbersStub::new(Server).into_stub());
        Self {
            connection,
            next: 1,
            lists: Vec::new(),
            answers: Vec::new(),
        }
    }
}

impl Part for MapOnly {
    fn prepare(&mut self, calls: usize) {
        self.lists.clear();
        self.answers.clear();
        for from in (0..calls).step_by(ELEMENTS) {
            let elements = ELEMENTS.min(calls - from);
            let (list, mapped) = (self.next, self.next + 1);
            let double = r#"["pipeline",-1,["double"],[["pipeline",0]]],["pipeline",1]"#;
            let frames = [
                format!(r#"["push",["pipeline",0,["numbers"],[{elements}]]]"#),
                format!(r#"["push",["remap",{list},[],[["import",0]],[{double}]]]"#),
                format!(r#"["pull",{mapped}]"#),
                format!(r#"["release",{list},1]"#),
                format!(r#"["release",{mapped},1]"#),
            ];
            self.lists.push((elements, frames));
            self.next += 2;
        }
    }

    fn run(&mut self) {
        for (_, frames) in &self.lists {
            for frame in frames {
                let received = self.connection.receive(frame);
                received.expect("the session goes on");
            }
            self.answers
                .push(self.connection.take_outgoing().take_lines());
        }
    }

    fn check(&self) {
        assert_eq!(self.answers.len(), self.lists.len(), "answers");
        for ((elements, _), answer) in self.lists.iter().zip(&self.answers) {
            let mut expected = String::from(",[[");
            for n in 0..*elements {
                // Writing to a string cannot fail.
                let _ = write!(expected, "{}{}", if n > 0 { "," } else { "" }, 2 * n);
            }
            expected.push_str("]]]");
            let answer = answer.trim_ascii_end();
            let right =
                answer.starts_with(b"[\"resolve\"") && answer.ends_with(expected.as_bytes());
            assert!(right, "another answer than was expected");
        }
    }
}
