//! Messages that cross: a simulated pair of peers, each message of which takes any time to the
//! proxy in the middle and any time from there to the other peer.

use std::collections::{BTreeMap, VecDeque};

use capnweb_inspect::{Body, Entry, Event, Follower, Options, Side};
use proptest::prelude::*;
use serde_json::{Value, json};

/// The kind of a reference, which decides what may be done with it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Main,
    Result,
    Stub,
    Promise,
    Writable,
    Pipe,
}

#[derive(Clone, Copy, Debug)]
struct Import {
    kind: Kind,
    refs: u64,
    is_pulled: bool,
    is_settled: bool,
}

#[derive(Clone, Copy, Debug)]
struct Export {
    kind: Kind,
    refs: u64,
    is_pulled: bool,
    is_settled: bool,
    is_stream: bool,
}

/// A peer with the tables that its own messages and those that have arrived make.
#[derive(Debug)]
struct Peer {
    imports: BTreeMap<i64, Import>,
    exports: BTreeMap<i64, Export>,
    pushed: i64,
    peer_pushed: i64,
    exported: i64,
    /// Pipes whose readable end is not sent yet.
    pipes: Vec<i64>,
    sent: Vec<Value>,
}

impl Peer {
    fn new() -> Self {
        let main = Export {
            kind: Kind::Main,
            refs: 1,
            is_pulled: false,
            is_settled: false,
            is_stream: false,
        };
        let mut peer = Self {
            imports: BTreeMap::new(),
            exports: BTreeMap::from([(0, main)]),
            pushed: 0,
            peer_pushed: 0,
            exported: 0,
            pipes: Vec::new(),
            sent: Vec::new(),
        };
        peer.import(0, Kind::Main);
        peer
    }

    fn import(&mut self, id: i64, kind: Kind) {
        let import = self.imports.entry(id).or_insert(Import {
            kind,
            refs: 0,
            is_pulled: false,
            is_settled: false,
        });
        import.refs += 1;
    }

    fn export(&mut self, id: i64, kind: Kind, is_stream: bool) {
        let export = self.exports.entry(id).or_insert(Export {
            kind,
            refs: 0,
            is_pulled: is_stream,
            is_settled: false,
            is_stream,
        });
        export.refs += 1;
    }

    fn push_id(&mut self, kind: Kind) -> i64 {
        self.pushed += 1;
        self.import(self.pushed, kind);
        self.pushed
    }

    /// Returns a value for arguments or results, by two choices.
    fn content(&mut self, choice: u8, which: u8) -> Value {
        let (kind, form) = match choice % 8 {
            0 | 1 => (Kind::Stub, "export"),
            2 => (Kind::Promise, "promise"),
            3 => (Kind::Writable, "writable"),
            // An object that the peer has already: its ID is handed over again.
            4 => {
                let all = self.exports.iter();
                let stubs = all.filter(|(_, export)| export.kind == Kind::Stub);
                let ids: Vec<_> = stubs.map(|(id, _)| *id).collect();
                let Some(id) = chosen(&ids, which) else {
                    return json!(1);
                };
                self.export(id, Kind::Stub, false);
                return json!(["export", id]);
            }
            5 => match self.pipes.pop() {
                Some(id) => return json!(["readable", id]),
                None => return json!(2),
            },
            6 => {
                let all = self.imports.iter();
                let held = all.filter(|(_, import)| import.kind != Kind::Pipe);
                let ids: Vec<_> = held.map(|(id, _)| *id).collect();
                return chosen(&ids, which).map_or(json!(3), |id| json!(["import", id]));
            }
            _ => return json!("text"),
        };
        self.exported -= 1;
        self.export(self.exported, kind, false);
        json!([form, self.exported])
    }

    /// Does one thing that its tables allow.
    fn act(&mut self, choice: u8, which: u8, more: u8) {
        let ids: Vec<_> = self.imports.keys().copied().collect();
        let import = chosen(&ids, which).unwrap_or_default();
        let kind = self.imports.get(&import).map(|import| import.kind);
        match choice % 8 {
            0 | 1 => {
                let on = kind.map_or(0, |_| import);
                let content = self.content(more, which);
                self.push_id(Kind::Result);
                self.sent
                    .push(json!(["push", ["pipeline", on, ["f"], [content]]]));
                if more > 100 {
                    self.pull(self.pushed);
                }
            }
            2 => self.pull(import),
            3 | 4 => self.release(import, u64::from(more)),
            5 => match kind {
                Some(Kind::Pipe | Kind::Writable) => {
                    let content = self.content(more, which);
                    // The outcome releases it.
                    self.pushed += 1;
                    self.sent.push(json!([
                        "stream",
                        ["pipeline", import, ["write"], [content]]
                    ]));
                }
                _ => {
                    let id = self.push_id(Kind::Pipe);
                    self.pipes.push(id);
                    self.sent.push(json!(["pipe"]));
                }
            },
            _ => self.answer(which, more),
        }
    }

    fn pull(&mut self, id: i64) {
        if let Some(import) = self.imports.get_mut(&id)
            && matches!(import.kind, Kind::Result | Kind::Stub | Kind::Promise)
            && !import.is_pulled
            && !import.is_settled
        {
            import.is_pulled = true;
            self.sent.push(json!(["pull", id]));
        }
    }

    /// Releases all references to an import or some of them.
    fn release(&mut self, id: i64, count: u64) {
        let Some(import) = self.imports.get_mut(&id) else {
            return;
        };
        if import.kind == Kind::Main {
            return;
        }
        let count = 1 + count % import.refs;
        import.refs -= count;
        if import.refs == 0 {
            self.imports.remove(&id);
        }
        self.sent.push(json!(["release", id, count]));
    }

    /// Answers what is asked for, or settles a promise.
    fn answer(&mut self, which: u8, more: u8) {
        let all = self.exports.iter();
        let open = all.filter(|(_, export)| {
            (export.is_pulled || export.kind == Kind::Promise) && !export.is_settled
        });
        let ids: Vec<_> = open.map(|(id, _)| *id).collect();
        let Some(id) = chosen(&ids, which) else {
            return;
        };
        let is_stub = self.exports[&id].kind == Kind::Stub;
        let tag = if is_stub || more > 200 {
            "reject"
        } else {
            "resolve"
        };
        let content = match tag {
            "resolve" => self.content(more, which),
            _ => json!(["error", "Error", "no"]),
        };
        self.sent.push(json!([tag, id, content]));
        if let Some(export) = self.exports.get_mut(&id) {
            export.is_settled = true;
            if export.is_stream {
                self.exports.remove(&id);
            }
        }
    }

    /// Takes in a message of the other peer.
    fn receive(&mut self, message: &Value) {
        let id = || message[1].as_i64().unwrap();
        match message[0].as_str().unwrap() {
            tag @ ("push" | "stream") => {
                let on = message[1][1].as_i64().unwrap();
                assert!(self.exports.contains_key(&on), "{message}");
                self.peer_pushed += 1;
                self.export(self.peer_pushed, Kind::Result, tag == "stream");
                self.receive_content(&message[1][3][0]);
            }
            "pipe" => {
                self.peer_pushed += 1;
                self.export(self.peer_pushed, Kind::Pipe, false);
            }
            "pull" => self.exports.get_mut(&id()).unwrap().is_pulled = true,
            "resolve" | "reject" => {
                self.receive_content(&message[2]);
                if let Some(import) = self.imports.get_mut(&id()) {
                    import.is_settled = true;
                    if import.kind == Kind::Result {
                        self.release(id(), 0);
                    }
                }
            }
            "release" => {
                let export = self.exports.get_mut(&id()).unwrap();
                export.refs -= message[2].as_u64().unwrap();
                if export.refs == 0 {
                    self.exports.remove(&id());
                }
            }
            other => panic!("{other}"),
        }
    }

    fn receive_content(&mut self, content: &Value) {
        let kind = match content[0].as_str() {
            Some("export") => Kind::Stub,
            Some("promise") => Kind::Promise,
            Some("writable") => Kind::Writable,
            _ => return,
        };
        self.import(content[1].as_i64().unwrap(), kind);
    }

    fn release_all(&mut self) {
        let ids: Vec<_> = self.imports.keys().copied().collect();
        for id in ids {
            while self.imports.contains_key(&id) && id != 0 {
                self.release(id, u64::MAX - 1);
            }
        }
    }
}

fn chosen(ids: &[i64], which: u8) -> Option<i64> {
    ids.get(usize::from(which) % ids.len().max(1)).copied()
}

/// Two peers, and what is on its way between them.
#[derive(Debug)]
struct Pair {
    peers: [Peer; 2],
    /// The messages of each peer that have passed the middle, and have yet to arrive.
    passed: [VecDeque<Value>; 2],
    /// The number of messages of each peer that have reached the middle.
    seen: [usize; 2],
    follower: Follower,
    log: Vec<String>,
}

impl Pair {
    fn new() -> Self {
        Self {
            peers: [Peer::new(), Peer::new()],
            passed: Default::default(),
            seen: [0; 2],
            follower: Follower::new(Options::default()),
            log: Vec::new(),
        }
    }

    /// Lets a message of a peer reach the middle.
    fn pass(&mut self, from: usize) -> bool {
        let Some(message) = self.peers[from].sent.get(self.seen[from]).cloned() else {
            return false;
        };
        self.seen[from] += 1;
        let side = [Side::Client, Side::Server][from];
        self.log.push(format!("{side}: {message}"));
        self.passed[from].push_back(message.clone());
        let body = Body::Text(message.to_string());
        let event = Event::Message { from: side, body };
        self.follower
            .follow(&Entry::new(self.log.len() as f64, 1, event));
        true
    }

    /// Lets a message of a peer arrive.
    fn arrive(&mut self, from: usize) -> bool {
        let Some(message) = self.passed[from].pop_front() else {
            return false;
        };
        self.peers[1 - from].receive(&message);
        true
    }

    fn step(&mut self, [what, choice, which, more]: [u8; 4]) {
        let peer = usize::from(what % 2);
        match what / 2 % 3 {
            0 => self.peers[peer].act(choice, which, more),
            1 => _ = self.pass(peer),
            _ => _ = self.arrive(peer),
        }
    }

    fn settle(&mut self) {
        while (0..2).any(|from| self.pass(from) || self.arrive(from)) {}
    }

    fn faults(&self) -> &[String] {
        self.follower
            .session(1)
            .map_or(&[], |session| session.faults())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_delay_makes_a_fault(steps in prop::collection::vec(any::<[u8; 4]>(), 0..400)) {
        let mut pair = Pair::new();
        for step in steps {
            pair.step(step);
        }
        prop_assert!(pair.faults().is_empty(), "{:?} in\n{}", pair.faults(), pair.log.join("\n"));

        // Whatever is released at the end is not held.
        pair.settle();
        for _ in 0..3 {
            pair.peers.iter_mut().for_each(Peer::release_all);
            pair.settle();
        }
        prop_assert!(pair.faults().is_empty(), "{:?} in\n{}", pair.faults(), pair.log.join("\n"));
        let held = pair.follower.session(1).map_or(0, |session| {
            // The results of chunks that nobody acknowledged.
            session.held().filter(|held| held.id < 0 || held.kind == capnweb_inspect::HeldKind::Pipe).count()
        });
        prop_assert_eq!(held, 0, "in\n{}", pair.log.join("\n"));
    }
}
